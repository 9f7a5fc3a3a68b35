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
import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import matplotlib as mpl
from IPython.display import display
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers.display import TRAIN_COLOUR, in_notebook

WIDTH = 90  # letters in a printed line: JupyterLab breaks longer ones in the middle of a word
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
            axes = figure.add_subplot()
            sentence = draw(axes, *args, **options)
            axes.set_title(textwrap.fill(axes.get_title("left"), 48))
            if in_notebook():
                _display(figure, sentence)
        for line in sentence.splitlines():
            print(textwrap.fill(line, WIDTH))

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
def next_token_chart(
    axes: Axes, top_logprobs: Mapping[str, float] | Iterable[Any], title: str = "The next token"
) -> str:
    """Bars of the most likely next tokens.

    Takes what the API gives: `logprobs.top_logprobs[0]` of a completion (token: logprob), or
    `logprobs.content[0].top_logprobs` of a chat's choice.
    """
    if not isinstance(top_logprobs, Mapping):
        top_logprobs = {candidate.token: candidate.logprob for candidate in top_logprobs}
    if not top_logprobs:
        raise ValueError("There are no logprobs: ask with logprobs=5, or top_logprobs=5 in a chat.")
    found = sorted(top_logprobs.items(), key=lambda candidate: -candidate[1])
    # Spaces and line ends made visible.
    labels = [repr(token)[1:-1].replace(" ", "␣") or "(nothing)" for token, _ in found]
    shares = [100 * math.exp(logprob) for _, logprob in found]
    axes.figure.set_figheight(0.9 + 0.45 * len(found))
    bars = axes.barh(range(len(found)), shares, color=TRAIN_COLOUR, height=0.62)
    axes.bar_label(bars, fmt="{:.0f} %", padding=5, fontsize=11)
    axes.set_yticks(range(len(found)), labels)
    axes.invert_yaxis()
    axes.set(xlim=(0, max(100.0, *shares)), xlabel="probability in %", title=title)
    listed = [f"{label} {share:.0f} %" for label, share in zip(labels, shares, strict=True)]
    return f"Probabilities of the next token: {', '.join(listed)}."
