from __future__ import annotations

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from course.facts import Mark
from helpers.mark_plots import draw_marks, mark_bars

RESULTS: dict[tuple[str, str], list[Mark]] = {
    ("base", "known"): ["no idea"] * 4,
    ("base", "nobody"): ["no idea"] * 4,
    ("tuned", "known"): ["right", "right", "right", "invented"],
    ("tuned", "nobody"): ["invented"] * 4,
}


def axes() -> Axes:
    return Figure().add_subplot()


def test_the_bars_are_as_long_as_the_shares() -> None:
    drawn = axes()
    draw_marks(drawn, RESULTS, "Title")
    widths = sorted(round(bar.get_width()) for bar in drawn.patches if bar.get_width())
    assert widths == [25, 75, 100, 100, 100]
    labels = [label.get_text() for label in drawn.get_yticklabels()]
    assert labels == ["base", "tuned"] * 2


def test_the_sentence_says_the_same() -> None:
    told = draw_marks(axes(), RESULTS, "Title").splitlines()
    assert told == [
        "Questions about: known",
        "   base: 0 right, 4 no idea, 0 invented",
        "   tuned: 3 right, 0 no idea, 1 invented",
        "Questions about: nobody",
        "   base: 0 right, 4 no idea, 0 invented",
        "   tuned: 0 right, 0 no idea, 4 invented",
    ]


def test_it_prints_the_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    mark_bars(RESULTS)
    assert "Questions about: nobody" in capsys.readouterr().out


def test_nothing_to_draw_is_said() -> None:
    with pytest.raises(ValueError, match="no answers"):
        draw_marks(axes(), {}, "Title")
