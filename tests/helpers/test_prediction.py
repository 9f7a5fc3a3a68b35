"""Hero cards for any text, and model records that are safe to keep."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.fine_tuning import FineTuningJob

from course.hero_card import EMBLEMS, _width, _wrap, emblem
from helpers.prediction import hero_card, load_record, record_of, save_record
from helpers.settings import Settings

TEXT = "Meet Amara, a 40-year-old woman <b>& friends</b>. She heals with a hum."


def test_a_card_tells_the_hero() -> None:
    card = hero_card(TEXT, 40, "woman", "Healing")
    root = ElementTree.fromstring(card.svg)
    words = " ".join(" ".join(root.itertext()).split())
    assert "Amara" in words
    assert "40 · woman · Healing" in words
    assert "<b>& friends</b>" in words, "escaped in the source, whole for the reader"
    assert root.get("aria-label") == card.alt == repr(card)
    assert card.alt.startswith("Hero card: Amara, 40, woman, with the power Healing. Meet Amara")
    assert card._repr_svg_() == card.svg


def test_the_same_hero_gets_the_same_card() -> None:
    again = hero_card(TEXT, 40, "woman", "Healing")
    assert hero_card(TEXT, 40, "woman", "Healing") == again
    assert hero_card(TEXT, 41, "woman", "Healing").svg != again.svg
    assert emblem("Healing") == EMBLEMS["heal"]
    assert emblem("juggling soup") == emblem("Juggling SOUP") != emblem("juggling spoons")


@settings(deadline=None)
@given(st.text(max_size=300), st.text(max_size=60), st.integers())
def test_any_text_makes_a_valid_picture(text: str, power: str, age: int) -> None:
    card = hero_card(text, age, "woman", power)
    root = ElementTree.fromstring(card.svg)
    assert root.tag.endswith("svg")
    assert root.get("aria-label")


def test_long_texts_are_clipped_and_wide_letters_wrapped() -> None:
    card = hero_card("word " * 5000, 40, "man", "x" * 500)
    assert len(card.svg) < 12_000
    assert "…" in card.svg
    lines = _wrap("漢字" * 60 + " and " + "a" * 100, 40)
    assert all(_width(line) <= 40 for line in lines)
    assert "".join(lines).replace(" ", "") == "漢字" * 60 + "and" + "a" * 100


@pytest.fixture
def job() -> FineTuningJob:
    return FineTuningJob.construct(
        id="ftjob-1",
        created_at=100,
        finished_at=120,
        status="succeeded",
        model="superhero-mini",
        fine_tuned_model="ft:superhero-mini:learner:superhero:abcdefgh",
        hyperparameters=FineTuningJob.model_fields["hyperparameters"].annotation(n_epochs=4),
        seed=42,
        training_file="file-1",
        validation_file="file-2",
        trained_tokens=1000,
    )


SETTINGS = Settings("sandbox", "sandbox", None, "superhero-mini", "superhero-mini")


def test_a_record_comes_back_as_it_was(job: FineTuningJob, tmp_path: Path) -> None:
    record = record_of(job, SETTINGS, n_rows=294)
    path = save_record(tmp_path / "my" / "model.json", record)
    assert load_record(path) == record
    assert json.loads(path.read_text())["hyperparameters"]["n_epochs"] == 4
    assert record.created_at == 120


def test_a_job_without_a_model_has_no_record(job: FineTuningJob) -> None:
    job.status = "running"
    with pytest.raises(ValueError, match="its status is running"):
        record_of(job, SETTINGS, n_rows=1)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not a JSON file"),
        ("[]", "must hold one JSON object"),
        ('{"job_id": "a"}', "lacks base_model, created_at"),
    ],
)
def test_a_wrong_record_says_what_is_wrong(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "model.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        load_record(path)


def test_empty_names_and_missing_files_are_told(job: FineTuningJob, tmp_path: Path) -> None:
    path = save_record(tmp_path / "model.json", record_of(job, SETTINGS, n_rows=1))
    path.write_text(path.read_text().replace('"ftjob-1"', '""'))
    with pytest.raises(ValueError, match="job_id must be a non-empty string"):
        load_record(path)
    with pytest.raises(FileNotFoundError, match="notebook 06 saves it"):
        load_record(tmp_path / "none.json")
