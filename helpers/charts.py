"""The course's charts. Each shows a picture and prints a sentence that says the same.

One calm style: blue and orange, which colour-blind eyes tell apart, and lines that differ in dash
as well; letters large enough for a phone.
"""

from __future__ import annotations

import base64
import functools
import inspect
import io
import math
from collections.abc import Callable, Iterable
from typing import Any

import matplotlib as mpl
import pandas as pd
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.display import TRAIN_COLOUR, VALID_COLOUR, in_notebook

STYLE: dict[str, Any] = {
    "font.size": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#999999",
    "axes.labelcolor": "#333333",
    "axes.titlesize": 13,
    "axes.titlelocation": "left",
    "text.parse_math": False,  # a dollar sign is a dollar sign
    "xtick.color": "#555555",
    "ytick.color": "#333333",
    "figure.facecolor": "white",
    "legend.frameon": False,
}


def chart(draw: Callable[..., str]) -> Callable[..., None]:
    """Make a chart of a function that draws on axes and returns a sentence about the drawing.

    The chart takes the same arguments without the axes, shows the picture in a notebook, with the
    sentence as its alternative text, and prints the sentence.
    """

    @functools.wraps(draw)
    def drawn(*args: Any, **options: Any) -> None:
        with mpl.rc_context(STYLE):
            figure = Figure(figsize=(6.4, 3.6), layout="constrained")
            sentence = draw(figure.add_subplot(), *args, **options)
            if in_notebook():
                _display(figure, sentence)
        print(sentence)

    _, *others = inspect.signature(draw).parameters.values()
    drawn.__signature__ = inspect.Signature(others)
    return drawn


def _display(figure: Figure, sentence: str) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160)
    picture = base64.b64encode(buffer.getvalue()).decode("ascii")
    metadata = {"image/png": {"alt": sentence, "width": 640}}
    display({"image/png": picture, "text/plain": sentence}, metadata=metadata, raw=True)


@chart
def next_word_chart(axes: Axes, top_logprobs: Iterable[Any], title: str = "The next word") -> str:
    """Bars of the most likely next tokens, from `choice.logprobs.content[0].top_logprobs`."""
    found = sorted(top_logprobs, key=lambda candidate: -candidate.logprob)
    if not found:
        raise ValueError("There are no logprobs: ask with logprobs=True and top_logprobs=5.")
    # Spaces and line ends made visible.
    labels = [repr(c.token)[1:-1].replace(" ", "␣") or "(nothing)" for c in found]
    shares = [100 * math.exp(candidate.logprob) for candidate in found]
    axes.figure.set_figheight(0.9 + 0.45 * len(found))
    bars = axes.barh(range(len(found)), shares, color=TRAIN_COLOUR, height=0.62)
    axes.bar_label(bars, fmt="{:.0f} %", padding=5, fontsize=11)
    axes.set_yticks(range(len(found)), labels)
    axes.invert_yaxis()
    axes.set(xlim=(0, max(100.0, *shares)), xlabel="chance in %", title=title)
    listed = [f"{label} {share:.0f} %" for label, share in zip(labels, shares, strict=True)]
    return f"Chances of the next token: {', '.join(listed)}."


@chart
def loss_curve(axes: Axes, frame: pd.DataFrame) -> str:
    """Training and validation loss over the steps, from `loss_frame` or `result_frame`."""
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
        axes.plot(valid["step"], valid["valid_loss"], "--", color=VALID_COLOUR, label="validation")
        start, end = valid["valid_loss"].iloc[[0, -1]]
        sentence += f" Validation loss goes from {start:.2f} to {end:.2f}."
    axes.set_ylim(bottom=0)
    axes.set(xlabel="step", title="Loss: how surprised the model is")
    axes.legend()
    return sentence


@chart
def length_histogram(axes: Axes, df: pd.DataFrame, column: str = "response_txt") -> str:
    """How many words the texts of a column have."""
    lengths = df[column].dropna().astype(str).str.split().str.len()
    if lengths.empty:
        raise ValueError(f"The column {column!r} holds no text.")
    low, high, middle = int(lengths.min()), int(lengths.max()), float(lengths.median())
    width = max(1, math.ceil((high - low + 1) / 20))
    bins = list(range(low, high + width + 1, width))
    axes.hist(lengths, bins=bins, color=TRAIN_COLOUR, edgecolor="white")
    axes.axvline(middle, color=VALID_COLOUR, linestyle="--")
    axes.set(xlabel="words", ylabel="texts", title="How long the texts are")
    return f"{len(lengths)} texts have {low} to {high} words; the middle one has {middle:.0f}."
