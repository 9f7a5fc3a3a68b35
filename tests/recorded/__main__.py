"""Write recordings anew: `python -m tests.recorded`, or with the names of some of them."""

from __future__ import annotations

import sys

from tests.recorded.recordings import RECORDINGS, write


def main(names: list[str]) -> None:
    unknown = set(names) - set(RECORDINGS)
    if unknown:
        sys.exit(f"No recording {', '.join(sorted(unknown))}. There are: {', '.join(RECORDINGS)}.")
    for name in names or RECORDINGS:
        print(write(name))


main(sys.argv[1:])
