"""Events and result files of servers that are not quite like ours are read too."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from openai.types.fine_tuning import FineTuningJobEvent

from helpers.events import _plain_csv, loss_frame, metrics_of

CSV = b"step,train_loss\n1,2.5\n"


def event(number: int, message: str = "", data: Any = None) -> FineTuningJobEvent:
    return FineTuningJobEvent.construct(
        id=f"ftevent-{number}",
        created_at=number,
        level="info",
        message=message,
        object="fine_tuning.job.event",
        data=data,
        type="metrics",
    )


def test_numbers_from_data_and_from_text() -> None:
    events = [
        event(1, "Created fine-tuning job: ftjob-1"),
        event(2, data={"step": 1, "train_loss": 2.5, "total_steps": 3}),
        event(3, "Step 2/3: training loss=1.25, validation loss=1.5, full validation loss=1.75"),
        event(4, data={"step": 3, "train_loss": 1.0, "train_mean_token_accuracy": 0.5}),
        event(5, data={"step": 3, "train_loss": 0.9}),
        event(6, "Step 4/4: nothing to say", data={"note": 1}),
    ]
    frame = loss_frame(events)
    assert frame["step"].tolist() == [1, 2, 3]
    assert frame["train_loss"].tolist() == [2.5, 1.25, 0.9]
    assert frame.loc[1, ["valid_loss", "full_valid_loss"]].tolist() == [1.5, 1.75]
    assert frame.loc[0, ["valid_loss"]].isna().all()
    assert metrics_of(events[1]) == {"step": 1, "total_steps": 3, "train_loss": 2.5}
    assert metrics_of(events[0]) is None


def test_no_events_give_an_empty_table() -> None:
    frame = loss_frame([])
    assert frame.empty
    assert frame.dtypes["step"] == "int64"


@pytest.mark.parametrize(
    "served", [CSV, base64.b64encode(CSV), base64.encodebytes(CSV), CSV.replace(b"\n", b"\r\n")]
)
def test_result_files_in_every_dress(served: bytes) -> None:
    assert _plain_csv(served).replace(b"\r", b"") == CSV


@pytest.mark.parametrize("served", [b"no table", base64.b64encode(b"no table"), b"\xff\xfe\x00"])
def test_other_files_are_refused(served: bytes) -> None:
    with pytest.raises(ValueError, match="CSV"):
        _plain_csv(served)
