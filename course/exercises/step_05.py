"""The exercises of notebook 05: what is expected of a diary and of a step, with three hints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from numbers import Integral

import pandas as pd
from openai.types.fine_tuning import FineTuningJobEvent

from course.exercise import Exercise, Expectation, expect


def _whole_diary(
    events: Sequence[FineTuningJobEvent], wanted: Sequence[FineTuningJobEvent]
) -> Iterator[Expectation]:
    ids, right = [event.id for event in events], [event.id for event in wanted]
    yield expect(len(ids) == len(set(ids)), "every entry once", "entries that come twice")
    strangers = set(ids) - set(right)
    yield expect(not strangers, "entries of the crammer", "entries of another job")
    yield expect(len(ids) == len(right), f"all {len(right)} entries", f"{len(ids)} entries")
    yield expect(ids == right, "the oldest entry first", "another order")


def _best_moment(step: int, frame: pd.DataFrame) -> Iterator[Expectation]:
    yield expect(step is not None, "the number of a step", "nothing yet")
    number = isinstance(step, Integral) and not isinstance(step, bool)
    yield expect(number, "one whole number", f"{step!r}")
    exams = frame.dropna(subset="full_valid_loss").set_index("step")["full_valid_loss"]
    yield expect(step in exams.index, "a step after which the whole exam was held", f"step {step}")
    loss = exams[step]
    yield expect(loss == exams.min(), "the lowest loss of all exams", f"a loss of {loss:.2f}")


whole_diary = Exercise(
    "5.1",
    "the whole diary",
    _whole_diary,
    (
        "How many entries has `my_events`? One page of the list holds 20.",
        "The answer of `list_events` is more than its `.data`: when you loop over it, it turns "
        "the pages by itself.",
        "`list(…)` around the answer gives all entries, newest first. `[::-1]` turns a list "
        "around.",
    ),
)

best_moment = Exercise(
    "5.2",
    "the best moment",
    _best_moment,
    (
        "Look at the table above the exercises: where does the right-hand column turn?",
        "In pandas, `.idxmin()` of a column names the row with the smallest number.",
        'Take that row from the column "step": `cram_frame["step"][row]`, as an `int`.',
    ),
)
