"""Do the notebooks' checks hold for another training seed, or another precision?

`python -m bench.ranges --seeds 1 2` runs notebooks as the tests do, but trains the course's models
with these seeds, and prints each compared cell that comes out differently from the stored run.
`SANDBOX_PRECISION=float32 python -m bench.ranges --seeds 42` does so in another precision.
"""

from __future__ import annotations

import argparse
import difflib
import os
import tempfile
import time
from pathlib import Path

from nbformat import NotebookNode

from helpers import jobs
from tools.conditions import at_kernel_start, conditions
from tools.notebooks import NotebookFailed, code_cells, execute, find_notebooks, output_text, read
from tools.refresh_notebooks import comparable, is_compared, sanitize
from tools.trained import FIRST, make

CELL_SECONDS = 1800.0  # float32 is slow where the processor knows bfloat16
# Those that train the large base model, or use the model that the course trains.
NOTEBOOKS = ("00", "05", "06", "07", "09", "10", "12")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.ranges", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2], help="of the trainings")
    parser.add_argument("--only", nargs="+", default=NOTEBOOKS, metavar="NN", help="notebooks")
    options = parser.parse_args()
    precision = os.environ.get("SANDBOX_PRECISION", "the usual precision")
    for seed in options.seeds:
        jobs.SEED = seed
        with tempfile.TemporaryDirectory() as folder:
            state = Path(folder) / "state"
            for path in find_notebooks(options.only):
                cold = int(path.name[:2]) < FIRST
                if not cold and not state.is_dir():
                    make(state)
                started = time.monotonic()
                found = deviations(path, seed, None if cold else state)
                print(f"{path.name}, seed {seed}, {precision}: ", end="")
                print(f"{len(found)} lines differ, {time.monotonic() - started:.0f} s")
                print(*found, sep="\n", end="\n" if found else "", flush=True)


def deviations(path: Path, seed: int, state: Path | None) -> list[str]:
    """Run a notebook with this training seed; say what differs, cell by cell."""
    stored, notebook = read(path), read(path)
    for cell in code_cells(notebook):
        cell.source = cell.source.replace("seed=42", f"seed={seed}")
    found = []
    with conditions(state):
        at_kernel_start(f"import helpers.jobs\nhelpers.jobs.SEED = {seed}\n")
        try:
            execute(notebook, path, cell_seconds=CELL_SECONDS)
        except NotebookFailed as error:
            found.append(f"    {error}")
    for old, new in zip(code_cells(stored), code_cells(notebook), strict=True):
        if new.execution_count and is_compared(new) and comparable(old) != comparable(new):
            found += [f"  {new.id}", *changed_lines(old, new)]
    return found


def changed_lines(old: NotebookNode, new: NotebookNode) -> list[str]:
    """The lines of a cell's outputs that have come (+) or gone (-)."""
    texts = [sanitize("\n".join(map(output_text, c.outputs))).splitlines() for c in (old, new)]
    return [f"    {line}" for line in difflib.ndiff(*texts) if line[0] in "+-"]


if __name__ == "__main__":
    main()
