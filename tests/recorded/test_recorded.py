"""The sandbox and the commands do what they did: held against the recordings beside this file.

After a change that is meant, `python -m tests.recorded` writes them anew; read the difference.
"""

from __future__ import annotations

import json

import pytest

from tests.recorded.recordings import RECORDINGS, path_of, read

KINDS = ("chat", "pairs")


@pytest.mark.slow
def test_every_request_gets_its_recorded_answer() -> None:
    made, known = RECORDINGS["answers"](), read("answers")
    assert [entry["name"] for entry in made] == [entry["name"] for entry in known]
    for one, other in zip(made, known, strict=True):
        assert one == other, one["name"]


def test_the_openapi_document_is_the_recorded_one() -> None:
    made, known = RECORDINGS["openapi"](), read("openapi")
    assert made["paths"].keys() == known["paths"].keys()
    assert made == known


def test_the_commands_take_the_recorded_options() -> None:
    assert RECORDINGS["commands"]() == read("commands")


@pytest.mark.slow
def test_the_course_job_learns_and_says_what_it_did() -> None:
    made, known = RECORDINGS["course_job"](), read("course_job")
    same_weights = [made[name].pop("weights") == known[name].pop("weights") for name in KINDS]
    assert all(same_weights) or made["machine"] != known["machine"]
    for kind in KINDS:
        assert made[kind] == known[kind]
    assert made["greedy"] == known["greedy"]
    assert made["greedy_pairs"] == known["greedy_pairs"]
    if all(same_weights):
        assert made["sampled"] == known["sampled"]


@pytest.mark.parametrize("name", RECORDINGS)
def test_no_recording_names_a_key_or_a_place(name: str) -> None:
    text = path_of(name).read_text(encoding="utf-8")
    assert "sk-" not in text and "/tmp" not in text and "/home" not in text
    assert json.loads(text)
