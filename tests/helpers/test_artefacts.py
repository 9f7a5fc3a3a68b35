from __future__ import annotations

from pathlib import Path

import pytest

from helpers import data as artefacts
from helpers.data import find, my, replace_text


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEROES_MY", str(tmp_path / "my"))
    monkeypatch.setattr(artefacts, "DATA", tmp_path / "shipped")
    (tmp_path / "shipped").mkdir()


def test_the_learners_own_comes_first(tmp_path: Path) -> None:
    shipped = tmp_path / "shipped" / "train.jsonl"
    shipped.write_text("shipped")
    assert find("train.jsonl") == shipped
    own = my("train.jsonl")
    assert own == tmp_path / "my" / "train.jsonl"
    own.write_text("own")
    assert find("train.jsonl") == own


def test_a_missing_one_names_its_notebook() -> None:
    with pytest.raises(FileNotFoundError, match="notebook 03_jsonl_preparation"):
        find("train.jsonl")
    with pytest.raises(FileNotFoundError, match="Known artefacts: superheroes.csv"):
        find("heros.csv")


@pytest.mark.parametrize("name", ["../secret", "a/b", "", "a\\b", ".."])
def test_a_name_leads_nowhere_else(name: str) -> None:
    with pytest.raises(ValueError, match="plain file name"):
        my(name)


def test_without_a_setting_it_is_data_my(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("HEROES_MY")
    monkeypatch.setenv("HEROES_ENV_FILE", str(tmp_path / "none"))
    assert my("model.json") == tmp_path / "shipped" / "my" / "model.json"


def test_a_relative_folder_is_the_same_from_everywhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HEROES_MY", "data/elsewhere")
    monkeypatch.chdir(tmp_path)
    assert artefacts.my_folder() == artefacts.ROOT / "data" / "elsewhere"


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.csv"
    replace_text(path, "a\n")
    replace_text(path, "ä\nb\n")
    assert path.read_bytes() == "ä\nb\n".encode()
    assert [entry.name for entry in path.parent.iterdir()] == ["file.csv"]
    with pytest.raises(UnicodeEncodeError):
        replace_text(path, "\ud800")
    assert path.read_bytes() == "ä\nb\n".encode()
    assert [entry.name for entry in path.parent.iterdir()] == ["file.csv"]
