from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from course.exercise import Exercise
from course.exercises import step_00, step_01

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
        (step_00.hesitation, (PIECES[1], PIECES)),
        (step_00.note, ("40, woman, Healing ->",)),
        (step_00.note, ("7, man, talking to cats and dogs ->",)),
        (step_01.conversation, (TALK,)),
        (step_01.request, (REQUEST,)),
        (step_01.request, (REQUEST | {"stop": ["."], "temperature": 1.2},)),
    ],
)
def test_a_solution_passes(exercise: Exercise, artefacts: tuple[Any, ...]) -> None:
    assert exercise.verdict(*artefacts)


@pytest.mark.parametrize(
    "exercise",
    [step_00.note, step_01.conversation, step_01.request, step_01.env_file],
)
def test_nothing_handed_in_is_not_yet(
    exercise: Exercise, capsys: pytest.CaptureFixture[str]
) -> None:
    exercise.check(...)
    assert "not yet" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("exercise", "artefacts", "problem"),
    [
        (step_00.hesitation, (-2.1, PIECES), "with its token"),
        (step_00.hesitation, (PIECES[0], PIECES), "smallest chance"),
        (step_00.hesitation, (SimpleNamespace(token="x", logprob=-9.0), PIECES), "another"),
        (step_00.note, ("40, woman, Healing",), "an arrow"),
        (step_00.note, ("40, woman, Healing -> ",), "very end"),
        (step_00.note, ("40,woman,Healing ->",), "three parts"),
        (step_00.note, ("forty, woman, Healing ->",), "age in digits"),
        (step_00.note, ("400, woman, Healing ->",), "at most 120"),
        (step_00.note, ("40, Woman, Healing ->",), "man or woman"),
        (step_00.note, ("40, woman,  ->",), "name of a power"),
        (step_01.conversation, ("You are a pirate.",), "a list"),
        (step_01.conversation, (TALK[1:],), "4 messages"),
        (step_01.conversation, ([*TALK[:3], TALK[2]],), "a question again"),
        (step_01.conversation, ([*TALK[1:], TALK[0]],), "who the model is"),
        (step_01.conversation, ([*TALK[:3], {"role": "user"}],), "a role and a content"),
        (step_01.conversation, ([*TALK[:3], TALK[3] | {"content": ""}],), "few words"),
        (step_01.request, (TALK,), "a dictionary"),
        (step_01.request, ({"n": 3},), "a model"),
        (step_01.request, (REQUEST | {"n": 1},), "3 answers"),
        (step_01.request, (REQUEST | {"max_tokens": 40},), "today's name"),
        (step_01.request, (REQUEST | {"max_completion_tokens": 200},), "at most 40"),
        (step_01.request, (REQUEST | {"stop": "!"},), "a full stop"),
        (step_01.request, (REQUEST | {"temperature": 0},), "may differ"),
        (step_01.request, (REQUEST | {"engine": "davinci"},), "engine"),
    ],
)
def test_a_mistake_is_named(exercise: Exercise, artefacts: tuple[Any, ...], problem: str) -> None:
    verdict = exercise.verdict(*artefacts)
    assert not verdict
    assert problem in str(verdict.problem)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (step_01.BROKEN_ENV, "nothing to mend"),
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
    verdict = step_01.env_file.verdict(path)
    assert bool(verdict) is (problem is None)
    assert problem is None or problem in str(verdict.problem)


def test_a_missing_env_file(tmp_path: Path) -> None:
    assert not step_01.env_file.verdict(tmp_path / ".env")
