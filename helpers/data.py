"""Where the products of each step lie: the learner's own first, else the ones that we ship."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from helpers.settings import ROOT, read_variable

DATA = ROOT / "data"
MADE_BY = {
    "superheroes.csv": "02_synthetic_superheroes",
    "validation.csv": "02_synthetic_superheroes",
    "train.jsonl": "03_jsonl_preparation",
    "validation.jsonl": "03_jsonl_preparation",
    "train_completions.jsonl": "03_jsonl_preparation",
    "validation_completions.jsonl": "03_jsonl_preparation",
    "model.json": "06_prediction",
    "evaluation.csv": "07_evaluation",
    "errors_met.json": "10_when_things_go_wrong",
    "loss_by_hand.csv": "08_trainer_by_hand",
    "plan.json": "11_beyond_one_laptop",
    "comparison.csv": "09_retrieval_or_fine_tuning",
}


def my_folder() -> Path:
    """HEROES_MY (seen from the project's folder if relative), else data/my, which git ignores."""
    named = read_variable("HEROES_MY")
    return ROOT / Path(named).expanduser() if named else DATA / "my"


def my(name: str) -> Path:
    """Where to write the artefact `name`; its folder exists afterwards."""
    path = my_folder() / _plain(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def find(name: str) -> Path:
    """The artefact `name` to read: the learner's own, else the shipped one.

    Raises FileNotFoundError, naming the notebook that makes it, if there is neither.
    """
    for folder in (my_folder(), DATA):
        path = folder / _plain(name)
        if path.is_file():
            return path
    maker = MADE_BY.get(name)
    remedy = f"Run notebook {maker} first; it makes this file." if maker else _known()
    raise FileNotFoundError(f"There is no {name} in data/my or data. {remedy}")


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
        with suppress(FileNotFoundError):
            draft.unlink()


def _plain(name: str) -> str:
    """The name itself, once it is sure that it does not lead out of the folder."""
    if name in ("", ".", "..") or name != Path(name).name or "\\" in name:
        raise ValueError(f"An artefact is a plain file name without folders, not {name!r}.")
    return name


def _known() -> str:
    return f"Known artefacts: {', '.join(MADE_BY)}."
