"""The exercises of notebook 05."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

import pandas as pd
from openai.types.fine_tuning import FineTuningJobEvent

from course.exercise import Expectations, exercise, expect, is_number

Events = Sequence[FineTuningJobEvent]


@exercise("5.1")
def every_event(events: Events, wanted: Events) -> Expectations:
    ids, right = [event.id for event in events], [event.id for event in wanted]
    yield expect(len(ids) == len(set(ids)), "every entry once", "entries that come twice")
    strangers = set(ids) - set(right)
    yield expect(not strangers, "entries of the crammer", "entries of another job")
    yield expect(len(ids) == len(right), f"all {len(right)} entries", f"{len(ids)} entries")
    yield expect(ids == right, "the oldest entry first", "another order")


@exercise("5.2")
def lowest_loss(step: int, frame: pd.DataFrame) -> Expectations:
    yield expect(step is not None, "the number of a step", "nothing yet")
    yield expect(is_number(step, Integral), "one whole number", f"{step!r}")
    losses = frame.dropna(subset="full_valid_loss").set_index("step")["full_valid_loss"]
    yield expect(step in losses.index, "a step after which the whole exam was held", f"step {step}")
    loss = losses[step]
    yield expect(loss == losses.min(), "the lowest loss of all exams", f"a loss of {loss:.2f}")
