from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from helpers import exercises_00, exercises_01
from helpers.check import Exercise

PIECES = [SimpleNamespace(token=t, logprob=p) for t, p in [("Meet", -0.3), (" Ama", -2.1)]]
TALK = [
    {"role": "system", "content": "You are a pirate."},
    {"role": "user", "content": "Who are you?"},
    {"role": "assistant", "content": "A captain, arr."},
    {"role": "user", "content": "Where is your ship?"},
]
REQUEST: dict[str, Any] = {
    "model": "some-model",
    "messages": TALK,
    "n": 3,
    "max_completion_tokens": 40,
    "stop": ".",
}


@pytest.mark.parametrize(
    ("exercise", "artefacts"),
    [
        (exercises_00.hesitation, (PIECES[1], PIECES)),
        (exercises_00.note, ("40, woman, Healing ->",)),
        (exercises_00.note, ("7, man, talking to cats and dogs ->",)),
        (exercises_01.conversation, (TALK,)),
        (exercises_01.request, (REQUEST,)),
        (exercises_01.request, (REQUEST | {"stop": ["."], "temperature": 1.2},)),
    ],
)
def test_a_solution_passes(exercise: Exercise, artefacts: tuple[Any, ...]) -> None:
    assert exercise.verdict(*artefacts)


@pytest.mark.parametrize(
    "exercise",
    [exercises_00.note, exercises_01.conversation, exercises_01.request, exercises_01.env_file],
)
def test_nothing_handed_in_is_not_yet(
    exercise: Exercise, capsys: pytest.CaptureFixture[str]
) -> None:
    exercise.check(...)
    assert "not yet" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("exercise", "artefacts", "problem"),
    [
        (exercises_00.hesitation, (-2.1, PIECES), "with its token"),
        (exercises_00.hesitation, (PIECES[0], PIECES), "smallest chance"),
        (exercises_00.hesitation, (SimpleNamespace(token="x", logprob=-9.0), PIECES), "another"),
        (exercises_00.note, ("40, woman, Healing",), "an arrow"),
        (exercises_00.note, ("40, woman, Healing -> ",), "very end"),
        (exercises_00.note, ("40,woman,Healing ->",), "three parts"),
        (exercises_00.note, ("forty, woman, Healing ->",), "age in digits"),
        (exercises_00.note, ("400, woman, Healing ->",), "at most 120"),
        (exercises_00.note, ("40, Woman, Healing ->",), "man or woman"),
        (exercises_00.note, ("40, woman,  ->",), "name of a power"),
        (exercises_01.conversation, ("You are a pirate.",), "a list"),
        (exercises_01.conversation, (TALK[1:],), "4 messages"),
        (exercises_01.conversation, ([*TALK[:3], TALK[2]],), "a question again"),
        (exercises_01.conversation, ([*TALK[1:], TALK[0]],), "who the model is"),
        (exercises_01.conversation, ([*TALK[:3], {"role": "user"}],), "a role and a content"),
        (exercises_01.conversation, ([*TALK[:3], TALK[3] | {"content": ""}],), "few words"),
        (exercises_01.request, (TALK,), "a dictionary"),
        (exercises_01.request, ({"n": 3},), "a model"),
        (exercises_01.request, (REQUEST | {"n": 1},), "3 answers"),
        (exercises_01.request, (REQUEST | {"max_tokens": 40},), "today's name"),
        (exercises_01.request, (REQUEST | {"max_completion_tokens": 200},), "at most 40"),
        (exercises_01.request, (REQUEST | {"stop": "!"},), "a full stop"),
        (exercises_01.request, (REQUEST | {"temperature": 0},), "may differ"),
        (exercises_01.request, (REQUEST | {"engine": "davinci"},), "engine"),
    ],
)
def test_a_mistake_is_named(exercise: Exercise, artefacts: tuple[Any, ...], problem: str) -> None:
    verdict = exercise.verdict(*artefacts)
    assert not verdict
    assert problem in str(verdict.problem)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (exercises_01.BROKEN_ENV, "nothing to mend"),
        ("OPENAI_API_KEY=sk-demo—1234\n", "long dash"),
        ("OPENAI_API_KEY=sk-demo-1234\nOPENAI_BASE_URL=\n", "blank"),
        ("OPENAI_API_KEY=sk-demo1234\n", "two short dashes"),
        ("# nothing\n", "a line for the key"),
        ("OPENAI_API_KEY=sk-demo-1234\nCOLOUR=green\n", "the key alone"),
        ("OPENAI_API_KEY=sk-demo-1234\n", None),
    ],
)
def test_the_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, problem: str | None
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-key-of-the-learner")
    path = tmp_path / ".env"
    path.write_text(text, encoding="utf-8")
    verdict = exercises_01.env_file.verdict(path)
    assert bool(verdict) is (problem is None)
    assert problem is None or problem in str(verdict.problem)


def test_a_missing_env_file(tmp_path: Path) -> None:
    assert not exercises_01.env_file.verdict(tmp_path / ".env")
