"""The powers file is read with clear errors, and names are found however they are written."""

import json
from pathlib import Path

import pytest

from course.powers import Catalogue, content_words, read_catalogue

TINY = {
    "powers": {
        "flight": {
            "phrase": "flight",
            "in_data_set": True,
            "sentences": [
                "{He} glides over the rooftops like a paper kite.",
                "Kites salute {him}.",
            ],
        },
        "X-Ray Vision": {
            "phrase": "x-ray vision",
            "in_data_set": False,
            "aliases": ["seeing through things"],
            "sentences": ["{He} reads letters through closed envelopes."],
        },
    },
    "shared": ["{He} loves soup."],
}


@pytest.fixture
def tiny(tmp_path: Path) -> Catalogue:
    path = tmp_path / "powers.json"
    path.write_text(json.dumps(TINY), encoding="utf-8")
    return read_catalogue(path)


def test_names_in_any_form(tiny: Catalogue) -> None:
    assert tiny.mentions("Her X-ray vision is famous.", "X-Ray Vision")
    assert tiny.mentions("A gift for seeing through things.", "x-ray vision")
    assert not tiny.mentions("Flightless birds.", "flight")
    assert tiny.find("FLIGHT") is tiny.powers["flight"]
    assert tiny.find("nonsense") is None


def test_belonging(tiny: Catalogue) -> None:
    text = "He glides over the rooftops like a big paper kite."
    found = tiny.stranger(text, "X-Ray Vision")
    assert found is not None
    assert found.power == "flight"
    assert found.sentence == TINY["powers"]["flight"]["sentences"][0]
    assert tiny.stranger(text, "flight") is None
    assert tiny.stranger("He loves soup.", "flight") is None
    assert tiny.stranger("Nothing like it anywhere.", "flight") is None
    assert tiny.claimed_instead("He has the power of flight.", "X-Ray Vision") == "flight"
    assert tiny.claimed_instead("He has the power of flight.", "flight") is None


def test_content_words_leave_out_placeholders() -> None:
    assert content_words("{His} kites and the kite's {name}") == {"kites", "kite"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "not a JSON file"),
        ("[]", 'expected an object with the keys "powers" and "shared"'),
        ('{"powers": {"a": 3}}', r'powers\["a"\] must be an object'),
        ('{"powers": {"a": {"phrase": ""}}}', r'powers\["a"\]\.phrase'),
        (
            '{"powers": {"a": {"phrase": "a", "in_data_set": 1}}}',
            "in_data_set must be true or false",
        ),
        ('{"powers": {"a": {"phrase": "a", "in_data_set": true}}}', "sentences must be a list"),
        ('{"powers": {}, "shared": [1]}', "shared must be a list"),
    ],
)
def test_a_wrong_file_says_where(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "powers.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_catalogue(path)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="belongs to the course"):
        read_catalogue(tmp_path / "powers.json")
