from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

from helpers import exercises_04, exercises_05, exercises_06
from helpers.check import Exercise

METHOD = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}}
ORDER: dict[str, Any] = {
    "model": "some-model",
    "training_file": "some-file",
    "suffix": "my-hero",
    "seed": 7,
    "method": METHOD,
    "metadata": {"course": "superheroes", "made_by": "me"},
}
DIARY = [
    FineTuningJobEvent.construct(id=f"event-{n}", message=f"Step {n}/30: training loss=0.5")
    for n in range(1, 31)
]
CURVE = pd.DataFrame(
    {"step": [1, 2, 3, 4, 5, 6], "full_valid_loss": [None, 0.5, None, 0.3, None, 0.4]}
)
NOTE = [{"role": "user", "content": "33, man, Super Hearing ->"}]
DOOR = {"model": "m", "prompt": "50, woman, flight ->", "stop": " END", "max_tokens": 150}


def a_job(status: str = "cancelled", job_id: str = "one") -> FineTuningJob:
    return FineTuningJob.construct(id=job_id, status=status)


@pytest.mark.parametrize(
    ("exercise", "artefacts"),
    [
        (exercises_04.request, (ORDER,)),
        (exercises_04.request, (ORDER | {"validation_file": "other", "extra_body": {}},)),
        (exercises_04.lost_and_found, (a_job(), "one")),
        (exercises_05.whole_diary, (DIARY, DIARY)),
        (exercises_05.best_moment, (4, CURVE)),
        (exercises_05.best_moment, (CURVE["step"][3], CURVE)),
        (exercises_06.bare_note, (NOTE,)),
        (exercises_06.old_door, (DOOR,)),
        (exercises_06.old_door, (DOOR | {"stop": [" END"], "temperature": 0},)),
    ],
)
def test_a_solution_passes(exercise: Exercise, artefacts: tuple[Any, ...]) -> None:
    verdict = exercise.verdict(*artefacts)
    assert verdict, verdict.problem


@pytest.mark.parametrize(
    ("exercise", "artefacts", "problem"),
    [
        (exercises_04.request, ([],), "a dict"),
        (exercises_04.request, ({},), "the setting model"),
        (exercises_04.request, (ORDER | {"suffix": "hero"},), "my-hero"),
        (exercises_04.request, (ORDER | {"seed": "7"},), "the seed 7"),
        (exercises_04.request, (ORDER | {"hyperparameters": {"n_epochs": 2}},), "as in 2023"),
        (exercises_04.request, (ORDER | {"method": None},), "the type supervised"),
        (exercises_04.request, (ORDER | {"method": METHOD | {"supervised": 2}},), "two epochs"),
        (exercises_04.request, (ORDER | {"metadata": {"made_by": "me"}},), "the label course"),
        (exercises_04.request, (ORDER | {"metadata": {"course": "superheroes"}},), "one more"),
        (
            exercises_04.request,
            (ORDER | {"metadata": {"course": "superheroes", "try": 1}},),
            "are texts",
        ),
        (exercises_04.request, (ORDER | {"epochs": 2},), "saw epochs"),
        (exercises_04.lost_and_found, (None, "one"), "nothing yet"),
        (exercises_04.lost_and_found, ("one", "one"), "saw str"),
        (exercises_04.lost_and_found, (a_job("failed"), "one"), "saw one that is failed"),
        (exercises_04.lost_and_found, (a_job(job_id="two"), "one"), "another cancelled"),
        (exercises_05.whole_diary, (DIARY[-20:], DIARY), "all 30 entries, saw 20"),
        (exercises_05.whole_diary, (DIARY[::-1], DIARY), "the oldest entry first"),
        (exercises_05.whole_diary, ([*DIARY, DIARY[0]], DIARY), "every entry once"),
        (exercises_05.whole_diary, (DIARY, DIARY[:5]), "another job"),
        (exercises_05.whole_diary, (None, DIARY), "Nothing was handed in"),
        (exercises_05.best_moment, (None, CURVE), "nothing yet"),
        (exercises_05.best_moment, (True, CURVE), "one whole number"),
        (exercises_05.best_moment, (4.0, CURVE), "one whole number"),
        (exercises_05.best_moment, (3, CURVE), "the whole exam was held"),
        (exercises_05.best_moment, (6, CURVE), "a loss of 0.40"),
        (exercises_06.bare_note, ("33, man, Super Hearing ->",), "a list"),
        (exercises_06.bare_note, ([{"role": "system", "content": "x"}, *NOTE],), "system, user"),
        (exercises_06.bare_note, ([NOTE[0] | {"content": "man, Super Hearing ->"}],), "age 33"),
        (exercises_06.bare_note, ([NOTE[0] | {"content": "33, man, Super Hearing"}],), "an arrow"),
        (
            exercises_06.bare_note,
            ([NOTE[0] | {"content": "33, man, Super Hearing -> "}],),
            "to the letter",
        ),
        (exercises_06.old_door, ([],), "a dict"),
        (exercises_06.old_door, (DOOR | {"model": ""},), "a model"),
        (exercises_06.old_door, (DOOR | {"prompt": "50, woman, flight"},), "training file"),
        (exercises_06.old_door, (DOOR | {"prompt": "50, man, flight ->"},), "a woman of 50"),
        (exercises_06.old_door, (DOOR | {"stop": "END"},), "the stop sign"),
        (exercises_06.old_door, (DOOR | {"max_tokens": 200},), "at most 150"),
        (exercises_06.old_door, (DOOR | {"messages": NOTE},), "saw messages"),
    ],
)
def test_a_mistake_is_named(exercise: Exercise, artefacts: tuple[Any, ...], problem: str) -> None:
    verdict = exercise.verdict(*artefacts)
    assert not verdict
    assert problem in str(verdict.problem)
