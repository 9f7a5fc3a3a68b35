"""Start a step again: `heroes reset 03`. Nothing is deleted, only moved aside."""

from __future__ import annotations

import shutil
import subprocess
from datetime import datetime
from pathlib import Path

from course.exercise import ProgressError, forget, numbers_of, passed
from course.steps import STEPS
from helpers.data import my_folder
from helpers.settings import ROOT


def reset(step: str, notebook: bool = False) -> list[str]:
    """Put a step back to its beginning, and return the paths of what was moved aside.

    The step's files move to data/my/set_aside, and its exercises are open again. With `notebook`,
    the edited notebook moves there too, and the version in git takes its place. Raises
    ProgressError, before anything is moved, for an unknown step or without a version in git.
    """
    chosen = next((each for each in STEPS if each.number == step.zfill(2)), None)
    if chosen is None:
        known = ", ".join(each.number for each in STEPS)
        raise ProgressError(f"There is no step {step.zfill(2)}. There are: {known}.")
    passed()  # a damaged record is refused before anything is moved
    # Beside a table is the file of the rows that it was made from.
    names = [name for each in chosen.files for name in (each, f"{Path(each).stem}.rows.jsonl")]
    paths = [my_folder() / name for name in names]
    edited = (ROOT / "notebooks").glob(f"{chosen.number}_*.ipynb") if notebook else ()
    originals = {path: _original(path) for path in edited}
    moment = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    aside = my_folder() / "set_aside" / f"{chosen.number}_{moment}"
    moved = [_move(path, aside) for path in (*paths, *originals) if path.is_file()]
    for path, content in originals.items():
        path.write_bytes(content)
    forget(numbers_of(chosen.number))
    return moved


def _move(path: Path, folder: Path) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    return str(shutil.move(path, folder / path.name))


def _original(notebook: Path) -> bytes:
    """A notebook as git has it."""
    name = notebook.relative_to(ROOT).as_posix()
    command = ["git", "show", f"HEAD:{name}"]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise ProgressError(
            f"git has no {name} here, so it cannot be brought back. Get a fresh copy of the course."
        ) from error
