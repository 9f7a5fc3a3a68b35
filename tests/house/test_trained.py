"""The finished jobs that later notebooks start from: made once, made anew when they must be."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tools import trained
from tools.trained import fingerprint, state_for, trained_state


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(trained, "KEPT", tmp_path / "trained")
    return tmp_path / "trained"


@pytest.mark.parametrize("name", ["00_start_here.ipynb", "05_polling.ipynb", "draft.ipynb"])
def test_the_early_notebooks_start_with_an_empty_sandbox(name: str, kept: Path) -> None:
    assert state_for(Path(name)) is None
    assert not kept.exists()


def test_a_state_that_was_made_is_found_again(kept: Path) -> None:
    folder = kept / fingerprint()
    folder.mkdir(parents=True)
    assert state_for(Path("06_prediction.ipynb")) == folder


@pytest.mark.slow
def test_an_outdated_state_goes_and_a_failed_one_leaves_nothing(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> None:
        raise RuntimeError("The course's job is failed.")

    monkeypatch.setattr(trained, "train", fails)
    (kept / "outdated").mkdir(parents=True)
    with pytest.raises(RuntimeError, match="is failed"):
        trained_state()
    assert list(kept.iterdir()) == []


def test_of_two_that_ask_at_once_only_one_trains(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        time.sleep(0.2)
        folder.mkdir()

    monkeypatch.setattr(trained, "make", make)
    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(lambda _: trained_state(), range(2))
    assert made == [one] == [two]


def test_the_name_changes_with_what_has_a_part_in_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert fingerprint() == fingerprint()
    parts = {path.relative_to(trained.ROOT).as_posix() for path in trained._parts()}
    assert {"data/train.jsonl", "sandbox/engine/trainer/loop.py", "helpers/jobs.py"} <= parts
    assert "sandbox/base_model/weights/model.safetensors" in parts
    assert not any(part.endswith(".pyc") for part in parts)
    before = fingerprint()
    changed = tmp_path / "train.jsonl"
    changed.write_text("{}\n")
    monkeypatch.setattr(trained, "ROOT", tmp_path)
    monkeypatch.setattr(trained, "_parts", lambda: iter([changed]))
    assert fingerprint() != before
