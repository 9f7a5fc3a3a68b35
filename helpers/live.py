"""Live output in a notebook: a progress bar, and a job with its loss curve.

Everything moves through the values of widgets, which are displayed once. So the notebook's
stored output is the same whether the job took a second or an hour.
"""

from __future__ import annotations

import io
import time
from html import escape
from typing import Any

import ipywidgets
import matplotlib as mpl
import pandas as pd
import tqdm
from matplotlib.figure import Figure
from tqdm.notebook import tqdm_notebook

from helpers.charts import STYLE
from helpers.charts_training import draw_losses
from helpers.display import in_notebook, show

REDRAW = 0.5  # seconds between two drawings of a curve: each costs some hundredths of a second


def progress_bar(total: int, initial: int, unit: str, quiet: bool = False) -> tqdm.std.tqdm:
    """A bar with `initial` of `total` units done; `update(1)` moves it, `close()` ends it.

    In a notebook it is a widget, elsewhere a line of text on standard error.
    """
    options: dict[str, Any] = {"total": total, "initial": initial, "unit": unit, "disable": quiet}
    if quiet or not in_notebook():
        return tqdm.tqdm(**options)
    bar = tqdm_notebook(**options, display=False)
    show(bar.container, f"(A progress bar, up to {total} {unit}s: it moves in a running notebook.)")
    return bar


class LiveView:
    """A job's state, a progress bar and the loss as a curve; `update` sets their values."""

    def __init__(self, curve: bool = True) -> None:
        self.state = ipywidgets.HTML(value="")
        self.bar = ipywidgets.IntProgress(value=0, min=0, max=1)
        self.curve = ipywidgets.HTML(value="") if curve else None
        self.box = ipywidgets.VBox([self.state, self.bar, *([self.curve] if self.curve else [])])
        self._drawn = -REDRAW

    def show(self) -> None:
        """Show it, once: from then on its values move."""
        what = "its state, a bar and the loss curve" if self.curve else "its state and a bar"
        show(self.box, f"(A live view of the job, with {what}: it moves in a running notebook.)")

    def update(self, title: str, step: int, total: int, frame: pd.DataFrame) -> None:
        """Show a line of text, `step` of `total` steps, and the losses so far (`loss_frame`)."""
        self.state.value = f"<span>{escape(title)}</span>"
        self.bar.max = max(total, step, 1)
        self.bar.value = step
        now = time.monotonic()
        if self.curve and (now - self._drawn >= REDRAW or step >= total):
            self.curve.value, self._drawn = loss_svg(frame, total), now


def loss_svg(frame: pd.DataFrame, total: int = 0) -> str:
    """The losses of `loss_frame` as a small SVG picture, with a sentence for those who can't see
    it. An empty string while there is nothing to draw."""
    if frame["train_loss"].isna().all():
        return ""
    with mpl.rc_context({**STYLE, "font.size": 8, "axes.titlesize": 9, "svg.fonttype": "none"}):
        axes = Figure(figsize=(5, 2), layout="constrained").add_subplot()
        told = draw_losses(axes, frame)
        axes.set_xlim(0, max(total, frame["step"].max(), 1))
        text = io.StringIO()
        axes.get_figure(root=True).savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    return (
        f'<div role="img" aria-label="{escape(told)}" style="overflow:auto">'
        f"{svg[svg.index('<svg') :]}</div>"
    )
