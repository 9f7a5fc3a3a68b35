"""Step 08: charts that lay two trainings, or two models, on each other."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from helpers.charts import show
from helpers.live import TRAIN_COLOUR, VALID_COLOUR


def two_curves(frame: pd.DataFrame) -> None:
    """The loss by hand and the job's, from a table with the columns step, by_hand and job."""
    show(lambda axes: draw_two_curves(axes, frame))


def draw_two_curves(axes: Axes, frame: pd.DataFrame) -> str:
    """The drawing of `two_curves` on given axes; the sentence comes back."""
    if frame.empty:
        raise ValueError("The table holds no step yet.")
    by_hand = frame["by_hand"]
    axes.plot(frame["step"], by_hand, color=TRAIN_COLOUR, lw=1.5, label="by hand")
    told = f"By hand the loss goes from {by_hand.iloc[0]:.2f} to {by_hand.iloc[-1]:.2f}"
    both = frame.dropna(subset=["job"])
    if both.empty:
        told += "; there is no job to compare it with."
    else:
        # Wide and behind: a line that lies exactly on it can be seen on it.
        style = {"color": VALID_COLOUR, "lw": 7, "alpha": 0.35, "zorder": 0}
        axes.plot(both["step"], both["job"], label="the job", **style)
        first, last = both["job"].iloc[0], both["job"].iloc[-1]
        gap = (both["by_hand"] - both["job"]).abs().max()
        close = "lie on each other" if gap < 0.001 else f"are up to {gap:.2f} apart"
        told += f", the job's from {first:.2f} to {last:.2f}. In {len(both)} steps they {close}."
    axes.set_ylim(bottom=0)
    axes.set_xlabel("step")
    axes.set_title("Training loss, twice")
    axes.legend()
    return told


def surprise_chart(before: Sequence[float], after: Sequence[float]) -> None:
    """How surprised two models are by the first, second, third … token of an answer."""
    show(lambda axes: draw_surprise(axes, before, after))


def draw_surprise(axes: Axes, before: Sequence[float], after: Sequence[float]) -> str:
    """The drawing of `surprise_chart` on given axes; the sentence comes back."""
    if not before or len(before) != len(after):
        raise ValueError("Hand in two lists of losses of the same length.")
    places = range(1, len(before) + 1)
    axes.bar([p - 0.2 for p in places], before, 0.4, color=VALID_COLOUR, label="before")
    axes.bar([p + 0.2 for p in places], after, 0.4, color=TRAIN_COLOUR, hatch="//", label="after")
    axes.set_xticks(list(places))
    axes.set_xlabel("token of the answer")
    axes.set_title("Loss at the first tokens of an answer")
    axes.legend()
    rest_before, rest_after = (sum(row[1:]) / max(1, len(row) - 1) for row in (before, after))
    return (
        f"Loss at the first token: {before[0]:.1f} before, {after[0]:.1f} after. "
        f"Tokens 2 to {len(before)} on average: {rest_before:.1f} before, {rest_after:.1f} after."
    )
