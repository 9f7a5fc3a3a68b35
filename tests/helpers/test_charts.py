"""Every chart prints a sentence that says what it draws."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from helpers import charts
from helpers.charts import next_token_chart
from helpers.charts_scores import band_chart, before_after, mark_bars, score_chart
from helpers.charts_training import (
    epoch_curves,
    length_histogram,
    loss_curve,
    surprise_chart,
    two_curves,
)
from helpers.events import epoch_frame
from helpers.statistics import Rate

CANDIDATES = [
    SimpleNamespace(token=token, logprob=math.log(chance))
    for token, chance in (("\n", 0.05), ("$", 0.3), (" hero", 0.62))
]
LOSSES = pd.DataFrame(
    {"step": [1, 2, 3, 4], "train_loss": [2.0, 1.5, 1.0, 0.5], "valid_loss": [None, 1.6, None, 1.2]}
)
EPOCHS = pd.DataFrame(
    {
        "step": range(1, 7),
        "train_loss": [4.0, 3.0, 2.0, 1.0, 0.8, 0.6],
        "full_valid_loss": [None, 3.0, None, 2.0, None, 2.5],
    }
)
NO_LOSSES = "This server reports no losses, so there is nothing to draw."
TEXTS = pd.DataFrame({"response_txt": ["a b c", "a b c d", "a", None, "a b c"]})
CURVES = pd.DataFrame({"step": [1, 2], "by_hand": [0.26, 0.14], "job": [0.26, 0.14]})
LOW = {"powers": Rate(30, 60), "ages": Rate(6, 60)}
HIGH = {"powers": Rate(54, 60), "ages": Rate(42, 60)}
TRAININGS = pd.DataFrame({"rows": [30, 30, 120, 120], "right": [1, 3, 7, 9], "n": 10})
MARKS = {
    ("base", "known"): ["no idea"] * 4,
    ("tuned", "known"): ["right", "right", "right", "invented"],
    ("base", "new"): ["no idea"] * 4,
    ("tuned", "new"): ["invented"] * 4,
}
BY_HAND = "By hand the loss goes from 0.26 to 0.14"
SENTENCES: list[tuple[Callable[..., None], tuple[Any, ...], str]] = [
    (
        next_token_chart,
        (CANDIDATES,),
        r"Probabilities of the next token: ␣hero 62 %, $ 30 %, \n 5 %.",
    ),
    (
        loss_curve,
        (LOSSES,),
        "Training loss falls from 2.00 to 0.50 in 4 steps. Validation loss goes from 1.60 to 1.20.",
    ),
    (
        loss_curve,
        (LOSSES[["step", "train_loss"]][::-1],),
        "Training loss does not fall: it goes from 0.50 to 2.00 in 1 steps.",
    ),
    (loss_curve, (LOSSES[:0],), NO_LOSSES),
    (
        epoch_curves,
        ([epoch_frame(EPOCHS), epoch_frame(EPOCHS + 1)],),
        "Mean of 2 trainings: training loss goes from 4.00 to 1.20. Validation loss is lowest "
        "after epoch 2 (2.50) and ends at 3.00.",
    ),
    (epoch_curves, ([epoch_frame(EPOCHS[:0])],), NO_LOSSES),
    (length_histogram, (TEXTS,), "4 texts have 1 to 4 words; the median is 3."),
    (
        length_histogram,
        (TEXTS, "response_txt", 3),
        "4 texts have 1 to 4 words; the median is 3. 1 has more than 3.",
    ),
    (
        two_curves,
        (CURVES,),
        BY_HAND + ", the job's from 0.26 to 0.14. In 2 steps they are the same.",
    ),
    (
        two_curves,
        (CURVES.assign(job=[0.36, 0.14]),),
        BY_HAND + ", the job's from 0.36 to 0.14. In 2 steps they are up to 0.10 apart.",
    ),
    (
        two_curves,
        (CURVES.assign(job=math.nan),),
        BY_HAND + "; there is no job to compare it with.",
    ),
    (
        surprise_chart,
        ([6.4, 1.0, 0.4], [2.9, 0.6, 0.4]),
        "Loss at the first token: 6.4 before, 2.9 after. "
        "Tokens 2 to 3 on average: 0.7 before, 0.5 after.",
    ),
    (
        before_after,
        ({"before": Rate(0, 200), "after": Rate(192, 200)}, "Right"),
        "Right: before 0 %, after 96 %.",
    ),
    (
        score_chart,
        ({"base": LOW, "tuned": HIGH}, "Two models"),
        "Two models. base: powers 50 %, ages 10 %; tuned: powers 90 %, ages 70 %.",
    ),
    (
        band_chart,
        ({"one epoch": TRAININGS, "two": TRAININGS[2:]}, "rows", "Rows"),
        "Rows. one epoch, 30: 20 % (10 to 30), 120: 80 % (70 to 90); two, 120: 80 % (70 to 90).",
    ),
    (
        mark_bars,
        (MARKS,),
        "known, right/no idea/invented; base 0/4/0; tuned 3/0/1\n"
        "new, right/no idea/invented; base 0/4/0; tuned 0/0/4",
    ),
]


@pytest.mark.parametrize(("chart", "arguments", "sentence"), SENTENCES)
def test_a_chart_says_what_it_shows(
    chart: Callable[..., None],
    arguments: tuple[Any, ...],
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown: list[tuple[dict[str, str], dict[str, Any]]] = []
    monkeypatch.setattr(
        charts, "display", lambda data, metadata, raw: shown.append((data, metadata))
    )
    chart(*arguments)
    printed = capsys.readouterr().out
    assert printed.split() == sentence.split()
    assert max(map(len, printed.splitlines())) <= charts.WIDTH
    assert not shown, "no pictures outside a notebook"

    monkeypatch.setattr(charts, "in_notebook", lambda: True)
    chart(*arguments)
    [(data, metadata)] = shown
    assert data["image/png"].startswith("iVBORw0KGgo")
    assert data["text/plain"] == metadata["image/png"]["alt"] == sentence


@pytest.mark.parametrize(
    ("chart", "arguments", "message"),
    [
        (next_token_chart, ([],), "logprobs=5"),
        (length_histogram, (TEXTS[:0],), "holds no text"),
    ],
)
def test_nothing_to_draw_is_an_error(
    chart: Callable[..., None], arguments: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        chart(*arguments)


def test_a_chart_is_called_without_axes() -> None:
    assert list(inspect.signature(loss_curve).parameters) == ["frame"]
    assert "loss_frame" in (loss_curve.__doc__ or "")
