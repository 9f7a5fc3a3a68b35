"""Every chart has a sentence that says the same, and draws what it says."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course.judge import Rate
from helpers import charts as plots


@dataclass
class Chance:
    token: str
    logprob: float


CHANCES = [
    Chance(" hero", math.log(0.62)),
    Chance("$", math.log(0.3)),
    Chance("\n", math.log(0.05)),
]
LOSSES = pd.DataFrame(
    {"step": [1, 2, 3, 4], "train_loss": [2.0, 1.5, 1.0, 0.5], "valid_loss": [None, 1.6, None, 1.2]}
)


@pytest.fixture
def axes() -> Axes:
    return Figure().add_subplot()


def test_next_words(axes: Axes) -> None:
    sentence = plots.draw_next_word(axes, CHANCES[::-1], "Next")
    assert sentence == r"Chances of the next token: ␣hero 62 %, \$ 30 %, \n 5 %."
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([62, 30, 5])
    with pytest.raises(ValueError, match="logprobs=True"):
        plots.draw_next_word(axes, [], "Next")


def test_loss(axes: Axes) -> None:
    sentence = plots.draw_loss(axes, LOSSES)
    assert sentence == (
        "Training loss falls from 2.00 to 0.50 in 4 steps. Validation loss goes from 1.60 to 1.20."
    )
    assert [list(line.get_ydata()) for line in axes.lines] == [[2.0, 1.5, 1.0, 0.5], [1.6, 1.2]]
    only_training = plots.draw_loss(axes, LOSSES[["step", "train_loss"]][::-1])
    assert only_training == "Training loss does not fall: it goes from 0.50 to 2.00 in 1 steps."
    with pytest.raises(ValueError, match="no training loss"):
        plots.draw_loss(axes, LOSSES[:0])


def test_lengths(axes: Axes) -> None:
    frame = pd.DataFrame({"response_txt": ["a b c", "a b c d", "a", None, "a b c"]})
    assert plots.draw_lengths(axes, frame) == "4 texts have 1 to 4 words; the middle one has 3."
    assert sum(bar.get_height() for bar in axes.patches) == 4
    with pytest.raises(ValueError, match="holds no text"):
        plots.draw_lengths(axes, frame[:0])


def test_rates(axes: Axes) -> None:
    rates = {"before": 0.0, "after": Rate(0.96, 0.93, 0.98, 200)}
    assert plots.draw_rates(axes, rates, "Right") == "Right: before 0 %, after 96 %."
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([0, 96])
    assert list(axes.lines[0].get_xdata()) == pytest.approx([93, 98])
    with pytest.raises(ValueError, match="no rates"):
        plots.draw_rates(axes, {}, "Right")


def test_a_chart_prints_its_sentence_and_shows_a_picture(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[tuple[dict[str, str], dict[str, Any]]] = []

    def display(data: dict[str, str], metadata: dict[str, Any], raw: bool) -> None:
        assert raw
        shown.append((data, metadata))

    monkeypatch.setattr("IPython.display.display", display)
    plots.loss_curve(LOSSES)
    assert not shown, "no pictures outside a notebook"
    monkeypatch.setattr(plots, "in_notebook", lambda: True)
    plots.next_word_chart(CHANCES)
    plots.loss_curve(LOSSES)
    plots.length_histogram(pd.DataFrame({"response_txt": ["a b", "c"]}))
    plots.before_after({"before": 0.1, "after": 0.9})
    told = capsys.readouterr().out.splitlines()[1:]
    assert [data["text/plain"] for data, _ in shown] == told
    for data, metadata in shown:
        assert data["image/png"].startswith("iVBORw0KGgo")
        assert metadata["image/png"]["alt"] == data["text/plain"]
