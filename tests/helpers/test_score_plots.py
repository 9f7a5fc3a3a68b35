"""The charts of scores draw what their sentences say."""

from __future__ import annotations

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course.judge import Rate
from helpers import charts_scores as score_plots

LOW = {"powers": Rate(0.5, 0.4, 0.6, 60), "ages": Rate(0.1, 0.0, 0.2, 60)}
HIGH = {"powers": Rate(0.9, 0.8, 1.0, 60), "ages": Rate(0.7, 0.6, 0.8, 60)}


@pytest.fixture
def axes() -> Axes:
    return Figure().add_subplot()


def test_scores(axes: Axes) -> None:
    sentence = score_plots.draw_scores(axes, {"base": LOW, "tuned": HIGH}, "Two models")
    assert sentence == "Two models. base: powers 50 %, ages 10 %; tuned: powers 90 %, ages 70 %."
    dots = [line for line in axes.lines if line.get_marker() in ("o", "s")]
    assert [list(line.get_xdata()) for line in dots] == [[50, 90], [10, 70]]
    spans = [list(line.get_xdata()) for line in axes.lines if line not in dots]
    assert [40, 60] in spans
    assert len(spans) == 4
    bottom, top = axes.get_ylim()
    assert top < bottom, "the first model stands at the top"
    assert len({line.get_marker() for line in dots}) == 2, "told apart without colours"


def test_learning_curve(axes: Axes) -> None:
    sentence = score_plots.draw_learning_curve(axes, {10: LOW, 294: HIGH}, "Rows")
    assert (
        sentence == "Rows. powers: 10 rows 50 %, 294 rows 90 %; ages: 10 rows 10 %, 294 rows 70 %."
    )
    assert [list(line.get_ydata()) for line in axes.lines] == [[50, 90], [10, 70]]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["10", "294"]
    assert len(axes.collections) == 2, "the intervals of both groups"


def test_scores_that_do_not_fit_together_are_refused(axes: Axes) -> None:
    with pytest.raises(ValueError, match="no scores"):
        score_plots.draw_scores(axes, {}, "Nothing")
    with pytest.raises(ValueError, match="same groups"):
        score_plots.draw_learning_curve(axes, {1: LOW, 2: {"powers": LOW["powers"]}}, "Half")


def test_a_chart_prints_its_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    score_plots.score_chart({"tuned": HIGH}, "One")
    score_plots.learning_curve({5: LOW})
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "One. tuned: powers 90 %, ages 70 %."
    assert told[1].startswith("The learning curve. powers: 5 rows 50 %")
