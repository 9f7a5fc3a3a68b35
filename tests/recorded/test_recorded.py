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
    """To the last digit where the weights are the same, which depends on the processor."""
    made, known = RECORDINGS["course_job"](), read("course_job")
    if all(made[kind]["weights"] == known[kind]["weights"] for kind in KINDS):
        assert made == known | {"machine": made["machine"]}
        return
    assert made["machine"] != known["machine"]
    for kind in KINDS:
        one, other = made[kind], known[kind]
        for name in ("hyperparameters", "trained_tokens"):
            assert one[name] == other[name]
        assert numbers(one["losses"]) == pytest.approx(numbers(other["losses"]), abs=0.01)
        for checkpoint, expected in zip(one["checkpoints"], other["checkpoints"], strict=True):
            assert checkpoint == pytest.approx(expected, abs=0.01)
    for name in ("greedy", "greedy_pairs"):
        same = [text == expected for text, expected in zip(made[name], known[name], strict=True)]
        assert sum(same) > 0.7 * len(same), name


def numbers(losses: list[str]) -> list[float]:
    """All numbers of a result file; -1 where there is none."""
    return [float(cell or -1) for line in losses[1:] for cell in line.split(",")]


@pytest.mark.parametrize("name", RECORDINGS)
def test_no_recording_names_a_key_or_a_place(name: str) -> None:
    text = path_of(name).read_text(encoding="utf-8")
    assert "sk-" not in text and "/tmp" not in text and "/home" not in text
    assert json.loads(text)
