from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

from course.exercise import Exercise
from course.exercises import step_04, step_05, step_06

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
        (step_04.request, (ORDER,)),
        (step_04.request, (ORDER | {"validation_file": "other", "extra_body": {}},)),
        (step_04.lost_and_found, (a_job(), "one")),
        (step_05.whole_diary, (DIARY, DIARY)),
        (step_05.best_moment, (4, CURVE)),
        (step_05.best_moment, (CURVE["step"][3], CURVE)),
        (step_06.bare_note, (NOTE,)),
        (step_06.old_door, (DOOR,)),
        (step_06.old_door, (DOOR | {"stop": [" END"], "temperature": 0},)),
    ],
)
def test_a_solution_passes(exercise: Exercise, artefacts: tuple[Any, ...]) -> None:
    verdict = exercise.verdict(*artefacts)
    assert verdict, verdict.problem


@pytest.mark.parametrize(
    ("exercise", "artefacts", "problem"),
    [
        (step_04.request, ([],), "a dict"),
        (step_04.request, ({},), "the setting model"),
        (step_04.request, (ORDER | {"suffix": "hero"},), "my-hero"),
        (step_04.request, (ORDER | {"seed": "7"},), "the seed 7"),
        (step_04.request, (ORDER | {"hyperparameters": {"n_epochs": 2}},), "as in 2023"),
        (step_04.request, (ORDER | {"method": None},), "the type supervised"),
        (step_04.request, (ORDER | {"method": METHOD | {"supervised": 2}},), "two epochs"),
        (step_04.request, (ORDER | {"metadata": {"made_by": "me"}},), "the label course"),
        (step_04.request, (ORDER | {"metadata": {"course": "superheroes"}},), "one more"),
        (
            step_04.request,
            (ORDER | {"metadata": {"course": "superheroes", "try": 1}},),
            "are texts",
        ),
        (step_04.request, (ORDER | {"epochs": 2},), "saw epochs"),
        (step_04.lost_and_found, (None, "one"), "nothing yet"),
        (step_04.lost_and_found, ("one", "one"), "saw str"),
        (step_04.lost_and_found, (a_job("failed"), "one"), "saw one that is failed"),
        (step_04.lost_and_found, (a_job(job_id="two"), "one"), "another cancelled"),
        (step_05.whole_diary, (DIARY[-20:], DIARY), "all 30 entries, saw 20"),
        (step_05.whole_diary, (DIARY[::-1], DIARY), "the oldest entry first"),
        (step_05.whole_diary, ([*DIARY, DIARY[0]], DIARY), "every entry once"),
        (step_05.whole_diary, (DIARY, DIARY[:5]), "another job"),
        (step_05.whole_diary, (None, DIARY), "Nothing was handed in"),
        (step_05.best_moment, (None, CURVE), "nothing yet"),
        (step_05.best_moment, (True, CURVE), "one whole number"),
        (step_05.best_moment, (4.0, CURVE), "one whole number"),
        (step_05.best_moment, (3, CURVE), "the whole exam was held"),
        (step_05.best_moment, (6, CURVE), "a loss of 0.40"),
        (step_06.bare_note, ("33, man, Super Hearing ->",), "a list"),
        (step_06.bare_note, ([{"role": "system", "content": "x"}, *NOTE],), "system, user"),
        (step_06.bare_note, ([NOTE[0] | {"content": "man, Super Hearing ->"}],), "age 33"),
        (step_06.bare_note, ([NOTE[0] | {"content": "33, man, Super Hearing"}],), "an arrow"),
        (
            step_06.bare_note,
            ([NOTE[0] | {"content": "33, man, Super Hearing -> "}],),
            "to the letter",
        ),
        (step_06.old_door, ([],), "a dict"),
        (step_06.old_door, (DOOR | {"model": ""},), "a model"),
        (step_06.old_door, (DOOR | {"prompt": "50, woman, flight"},), "training file"),
        (step_06.old_door, (DOOR | {"prompt": "50, man, flight ->"},), "a woman of 50"),
        (step_06.old_door, (DOOR | {"stop": "END"},), "the stop sign"),
        (step_06.old_door, (DOOR | {"max_tokens": 200},), "at most 150"),
        (step_06.old_door, (DOOR | {"messages": NOTE},), "saw messages"),
    ],
)
def test_a_mistake_is_named(exercise: Exercise, artefacts: tuple[Any, ...], problem: str) -> None:
    verdict = exercise.verdict(*artefacts)
    assert not verdict
    assert problem in str(verdict.problem)
