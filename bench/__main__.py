"""`make bench`: every measurement, one table. Close other programs first; it takes minutes."""

from __future__ import annotations

import argparse

from bench import generation, serving, training


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--no-trl", action="store_true", help="do not install and measure TRL")
    options = parser.parse_args()
    print("Every number is a ratio of medians measured in turns in this one run.")
    for rows in (
        lambda: training.run(with_trl=not options.no_trl),
        generation.run,
        serving.run,
    ):
        for row in rows():
            print(row, flush=True)


if __name__ == "__main__":
    main()
