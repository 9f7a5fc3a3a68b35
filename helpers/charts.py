"""The course's charts. Each is shown with its text twin: a printed sentence that says the same.

One calm style: blue and orange, which colour-blind eyes tell apart, and lines that differ in dash
as well; letters large enough for a phone.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from course.judge import Rate
from helpers.display import in_notebook
from helpers.live import TRAIN_COLOUR, VALID_COLOUR

WIDTH_PIXELS = 640
STYLE: dict[str, Any] = {
    "font.size": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#999999",
    "axes.labelcolor": "#333333",
    "axes.titlesize": 13,
    "axes.titlelocation": "left",
    "xtick.color": "#555555",
    "ytick.color": "#333333",
    "figure.facecolor": "white",
    "legend.frameon": False,
}


class TokenChance(Protocol):
    """A candidate for the next token, as `top_logprobs` holds them."""

    token: str
    logprob: float


def show(draw: Callable[[Axes], str], height: float = 3.6) -> None:
    """Draw on fresh axes, show the picture in a notebook, and print the sentence about it."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, height), layout="constrained")
        FigureCanvasAgg(figure)
        sentence = draw(figure.add_subplot())
        if in_notebook():
            _display(figure, sentence)
    print(sentence)


def _display(figure: Figure, sentence: str) -> None:
    from IPython.display import display

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160)
    data = {
        "image/png": base64.b64encode(buffer.getvalue()).decode("ascii"),
        "text/plain": sentence,
    }
    metadata = {"image/png": {"alt": sentence, "width": WIDTH_PIXELS}}
    display(data, metadata=metadata, raw=True)


def next_word_chart(top_logprobs: Iterable[TokenChance], title: str = "The next word") -> None:
    """Bars of the most likely next tokens, from `choice.logprobs.content[0].top_logprobs`."""
    found = list(top_logprobs)
    show(lambda axes: draw_next_word(axes, found, title), height=0.9 + 0.45 * max(len(found), 1))


def draw_next_word(axes: Axes, found: list[TokenChance], title: str) -> str:
    """The drawing of `next_word_chart` on given axes; the sentence comes back."""
    if not found:
        raise ValueError("There are no logprobs: ask with logprobs=True and top_logprobs=5.")
    chances = sorted(((math.exp(t.logprob), t.token) for t in found), reverse=True)
    labels = [_plain(token) for _, token in chances]
    shares = [100 * chance for chance, _ in chances]
    places = range(len(labels))
    axes.barh(places, shares, color=TRAIN_COLOUR, height=0.62)
    axes.set_yticks(places, labels)
    axes.invert_yaxis()
    axes.set_xlim(0, max(100.0, *shares))
    axes.set_xlabel("chance in %")
    axes.set_title(_escape(title))
    for place, share in zip(places, shares, strict=True):
        axes.text(share + 1.5, place, f"{share:.0f} %", va="center", fontsize=11)
    listed = ", ".join(
        f"{label} {share:.0f} %" for label, share in zip(labels, shares, strict=True)
    )
    return f"Chances of the next token: {listed}."


def loss_curve(frame: pd.DataFrame) -> None:
    """Training and validation loss over the steps, from `loss_frame` or `result_frame`."""
    show(lambda axes: draw_loss(axes, frame))


def draw_loss(axes: Axes, frame: pd.DataFrame) -> str:
    """The drawing of `loss_curve` on given axes; the sentence comes back."""
    train = frame.dropna(subset=["train_loss"])
    if train.empty:
        raise ValueError("The table holds no training loss yet.")
    axes.plot(train["step"], train["train_loss"], color=TRAIN_COLOUR, label="training")
    first, last = train["train_loss"].iloc[0], train["train_loss"].iloc[-1]
    verb = "falls" if last < first else "does not fall: it goes"
    steps = int(train["step"].iloc[-1])
    sentence = f"Training loss {verb} from {first:.2f} to {last:.2f} in {steps} steps."
    valid = frame.dropna(subset=["valid_loss"]) if "valid_loss" in frame else frame[:0]
    if not valid.empty:
        axes.plot(valid["step"], valid["valid_loss"], "--", color=VALID_COLOUR, label="validation")
        start, end = valid["valid_loss"].iloc[0], valid["valid_loss"].iloc[-1]
        sentence += f" Validation loss goes from {start:.2f} to {end:.2f}."
    axes.set_ylim(bottom=0)
    axes.set_xlabel("step")
    axes.set_title("Loss: how surprised the model is")
    axes.legend()
    return sentence


def length_histogram(df: pd.DataFrame, column: str = "response_txt") -> None:
    """How many words the texts of a column have."""
    show(lambda axes: draw_lengths(axes, df, column))


def draw_lengths(axes: Axes, df: pd.DataFrame, column: str = "response_txt") -> str:
    """The drawing of `length_histogram` on given axes; the sentence comes back."""
    lengths = df[column].dropna().astype(str).str.split().str.len()
    if lengths.empty:
        raise ValueError(f"The column {column!r} holds no text.")
    low, high = int(lengths.min()), int(lengths.max())
    width = max(1, math.ceil((high - low + 1) / 20))
    bins = range(low, high + width + 1, width)
    axes.hist(lengths, bins=list(bins), color=TRAIN_COLOUR, edgecolor="white")
    middle = float(lengths.median())
    axes.axvline(middle, color=VALID_COLOUR, linestyle="--")
    axes.set_xlabel("words")
    axes.set_ylabel("texts")
    axes.set_title("How long the texts are")
    return f"{len(lengths)} texts have {low} to {high} words; the middle one has {middle:.0f}."


def before_after(rates: Mapping[str, Rate | float], title: str = "Right descriptions") -> None:
    """Bars of shares (0 to 1), one per model or group; a `Rate` also shows its interval."""
    show(lambda axes: draw_rates(axes, rates, title), height=1.2 + 0.6 * len(rates))


def draw_rates(axes: Axes, rates: Mapping[str, Rate | float], title: str) -> str:
    """The drawing of `before_after` on given axes; the sentence comes back."""
    if not rates:
        raise ValueError("There are no rates to draw.")
    shares = [100 * (r.rate if isinstance(r, Rate) else r) for r in rates.values()]
    colours = [VALID_COLOUR, *[TRAIN_COLOUR] * (len(shares) - 1)]
    places = range(len(shares))
    axes.barh(places, shares, color=colours, height=0.55)
    for place, rate in zip(places, rates.values(), strict=True):
        if isinstance(rate, Rate):
            axes.plot([100 * rate.low, 100 * rate.high], [place, place], color="#222222", lw=2)
    for place, share in zip(places, shares, strict=True):
        inside = share > 85
        axes.text(
            share - 2 if inside else share + 2,
            place - 0.32,
            f"{share:.0f} %",
            ha="right" if inside else "left",
            va="bottom",
            fontsize=11,
        )
    axes.set_yticks(places, [_escape(name) for name in rates])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of texts")
    axes.set_title(_escape(title))
    listed = ", ".join(f"{name} {share:.0f} %" for name, share in zip(rates, shares, strict=True))
    return f"{title}: {listed}."


def _plain(token: str) -> str:
    """A token as a label: spaces and line ends made visible."""
    return _escape(repr(token)[1:-1].replace(" ", "␣") or "(nothing)")


def _escape(text: str) -> str:
    """Dollar signs would begin a formula."""
    return text.replace("$", r"\$")
