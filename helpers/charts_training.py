"""Charts that lay two trainings, or two models, on each other."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

import pandas as pd
from matplotlib.axes import Axes

from helpers.charts import chart
from helpers.display import TRAIN_COLOUR, VALID_COLOUR


@chart
def two_curves(axes: Axes, frame: pd.DataFrame) -> str:
    """The loss by hand and the job's, from a table with the columns step, by_hand and job."""
    axes.plot(frame["step"], frame["by_hand"], color=TRAIN_COLOUR, lw=1.5, label="by hand")
    told = "By hand the loss goes from {:.2f} to {:.2f}".format(*frame["by_hand"].iloc[[0, -1]])
    both = frame.dropna(subset=["job"])
    if both.empty:
        told += "; there is no job to compare it with."
    else:
        # Wide and behind: a line that lies exactly on it can be seen on it.
        style = {"color": VALID_COLOUR, "lw": 7, "alpha": 0.35, "zorder": 0}
        axes.plot(both["step"], both["job"], label="the job", **style)
        first, last = both["job"].iloc[[0, -1]]
        gap = (both["by_hand"] - both["job"]).abs().max()
        close = "lie on each other" if gap < 0.001 else f"are up to {gap:.2f} apart"
        told += f", the job's from {first:.2f} to {last:.2f}. In {len(both)} steps they {close}."
    axes.set_ylim(bottom=0)
    axes.set(xlabel="step", title="Training loss, twice")
    axes.legend()
    return told


@chart
def surprise_chart(axes: Axes, before: Sequence[float], after: Sequence[float]) -> str:
    """How surprised two models are by the first, second, third … token of an answer."""
    places = range(1, len(before) + 1)
    axes.bar([p - 0.2 for p in places], before, 0.4, color=VALID_COLOUR, label="before")
    axes.bar([p + 0.2 for p in places], after, 0.4, color=TRAIN_COLOUR, hatch="//", label="after")
    axes.set_xticks(list(places))
    axes.set(xlabel="token of the answer", title="Loss at the first tokens of an answer")
    axes.legend()
    rest_before, rest_after = fmean(before[1:]), fmean(after[1:])
    return (
        f"Loss at the first token: {before[0]:.1f} before, {after[0]:.1f} after. "
        f"Tokens 2 to {len(before)} on average: {rest_before:.1f} before, {rest_after:.1f} after."
    )
