"""Charts of the training data and of the training: lengths, losses, one run against another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

import pandas as pd
from matplotlib.axes import Axes

from helpers.charts import chart
from helpers.display import TRAIN_COLOUR, VALID_COLOUR

MOST_DOTS = 20


@chart
def loss_curve(axes: Axes, frame: pd.DataFrame) -> str:
    """Training and validation loss over the steps, from `loss_frame` or `result_frame`."""
    if frame["train_loss"].isna().all():
        axes.set_axis_off()
        return "This server reports no losses, so there is nothing to draw."
    return draw_losses(axes, frame)


@chart
def epoch_curves(axes: Axes, frames: Sequence[pd.DataFrame]) -> str:
    """Training and validation loss over the epochs, one frame from `epoch_frame` per training.

    The lines are means, the bands go from the lowest to the highest.
    """
    whole = pd.concat(frames, ignore_index=True)
    if whole.empty:
        axes.set_axis_off()
        return "This server reports no losses, so there is nothing to draw."
    styles = {
        "train_loss": {"color": TRAIN_COLOUR, "label": "training"},
        "full_valid_loss": {"color": VALID_COLOUR, "label": "validation", "linestyle": "--"},
    }
    by_epoch = whole.groupby("epoch")
    for column, style in styles.items():
        losses = by_epoch[column]
        axes.plot(losses.mean().index, losses.mean(), **style)
        band = losses.min().index, losses.min(), losses.max()
        axes.fill_between(*band, color=style["color"], alpha=0.2, linewidth=0)
    axes.set_ylim(bottom=0)
    axes.set(xlabel="epoch", title="Loss, epoch by epoch")
    axes.legend()
    train, valid = by_epoch["train_loss"].mean(), by_epoch["full_valid_loss"].mean()
    return (
        f"Mean of {len(frames)} trainings: training loss goes from {train.iloc[0]:.2f} to "
        f"{train.iloc[-1]:.2f}. Validation loss is lowest after epoch {valid.idxmin()} "
        f"({valid.min():.2f}) and ends at {valid.iloc[-1]:.2f}."
    )


def draw_losses(axes: Axes, frame: pd.DataFrame) -> str:
    """Draw the losses on axes; a sentence about them comes back."""
    train = frame.dropna(subset=["train_loss"])
    if train.empty:
        raise ValueError("The table holds no training loss yet.")
    axes.plot(train["step"], train["train_loss"], color=TRAIN_COLOUR, label="training")
    first, last = train["train_loss"].iloc[[0, -1]]
    verb = "falls" if last < first else "does not fall: it goes"
    steps = int(train["step"].iloc[-1])
    sentence = f"Training loss {verb} from {first:.2f} to {last:.2f} in {steps} steps."
    valid = frame.dropna(subset=["valid_loss"]) if "valid_loss" in frame else frame[:0]
    if not valid.empty:
        # The first point is a dot before it is a line; too many dots would hide the line.
        style = "--" if len(valid) > MOST_DOTS else "o--"
        line = {"markersize": 4, "color": VALID_COLOUR, "label": "validation"}
        axes.plot(valid["step"], valid["valid_loss"], style, **line)
        start, end = valid["valid_loss"].iloc[[0, -1]]
        sentence += f" Validation loss goes from {start:.2f} to {end:.2f}."
    axes.set_ylim(bottom=0)
    axes.set(xlabel="step", title="Loss: how surprised the model is")
    axes.legend()
    return sentence


@chart
def length_histogram(
    axes: Axes, df: pd.DataFrame, column: str = "response_txt", limit: int | None = None
) -> str:
    """How many words the texts of a column have; `limit` draws the number that was asked for."""
    lengths = df[column].dropna().astype(str).str.split().str.len()
    if lengths.empty:
        raise ValueError(f"The column {column!r} holds no text.")
    low, high, middle = int(lengths.min()), int(lengths.max()), float(lengths.median())
    width = max(1, math.ceil((high - low + 1) / 20))
    bins = list(range(low, high + width + 1, width))
    axes.hist(lengths, bins=bins, color=TRAIN_COLOUR, edgecolor="white")
    axes.axvline(middle, color=VALID_COLOUR, linestyle="--", label=f"median: {middle:.0f}")
    axes.set(xlabel="words", ylabel="texts", title="How long the texts are")
    told = f"{len(lengths)} texts have {low} to {high} words; the median is {middle:.0f}."
    if limit is not None:
        axes.axvline(limit, color="#555555", label=f"limit: {limit}")
        longer = int((lengths > limit).sum())
        told += f" {longer} {'has' if longer == 1 else 'have'} more than {limit}."
    axes.legend(loc="upper left")
    return told


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
        close = "are the same" if gap < 0.001 else f"are up to {gap:.2f} apart"
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
