"""Files that the steps make and read: the learner's own in data/my first, else the shipped ones."""

from __future__ import annotations

import os
from pathlib import Path

from helpers.settings import ROOT, read_variable

DATA = ROOT / "data"


def my_folder() -> Path:
    """HEROES_MY (seen from the project's folder if relative), else data/my, which git ignores."""
    named = read_variable("HEROES_MY")
    return ROOT / Path(named).expanduser() if named else DATA / "my"


def my(name: str) -> Path:
    """Where to write your own file `name`; its folder exists afterwards."""
    path = my_folder() / _plain(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def find(name: str) -> Path:
    """The file `name` to read: your own, else the shipped one. FileNotFoundError without either."""
    for folder in (my_folder(), DATA):
        if (path := folder / _plain(name)).is_file():
            return path
    raise FileNotFoundError(
        f"There is no {name} in data/my or data. Run the notebook that makes it."
    )


def replace_text(path: Path, text: str) -> None:
    """Write a whole file at once: a reader, or a crash, never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _plain(name: str) -> str:
    """The name itself, once it is sure that it does not lead out of the folder."""
    if name in ("", ".", "..") or name != Path(name).name or "\\" in name:
        raise ValueError(f"Only a plain file name without folders is allowed, not {name!r}.")
    return name
