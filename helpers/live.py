"""The live picture of a job in a notebook: its state, a progress bar, the loss as a curve.

Everything is drawn through the values of widgets, which are displayed once. So the notebook's
stored output is the same whether the job took a second or an hour.
"""

from __future__ import annotations

import math
from html import escape

import ipywidgets
import pandas as pd

from helpers.display import show

TRAIN_COLOUR, VALID_COLOUR = "#0b6e8f", "#b8501f"  # told apart by colour-blind eyes, too
WIDTH, HEIGHT, LEFT, BOTTOM = 480, 200, 44, 28


class LiveView:
    """A widget with state, bar and curve; `update` sets their values."""

    def __init__(self, curve: bool = True) -> None:
        self.state = ipywidgets.HTML(value="")
        self.bar = ipywidgets.IntProgress(value=0, min=0, max=1)
        self.curve = ipywidgets.HTML(value="") if curve else None
        rows = [self.state, self.bar, *([self.curve] if self.curve else [])]
        self.box = ipywidgets.VBox(rows)

    def show(self) -> None:
        """Show it, once: from then on its values move."""
        what = "its state, a bar and the loss curve" if self.curve else "its state and a bar"
        show(self.box, f"(A live view of the job, with {what}: it moves in a running notebook.)")

    def update(self, text: str, step: int, total: int, frame: pd.DataFrame) -> None:
        """Show a line of text, `step` of `total` steps, and the losses so far."""
        self.state.value = f"<span>{escape(text)}</span>"
        self.bar.max = max(total, step, 1)
        self.bar.value = step
        if self.curve:
            self.curve.value = loss_svg(frame, total)


def loss_svg(frame: pd.DataFrame, total: int = 0) -> str:
    """The losses of `loss_frame` as a small SVG drawing, with a sentence for those who can't see
    it. An empty string while there is nothing to draw."""
    lines = []
    for column, name, colour in (
        ("train_loss", "training", TRAIN_COLOUR),
        ("valid_loss", "validation", VALID_COLOUR),
    ):
        points = frame[["step", column]].dropna() if column in frame else frame[:0]
        values = [
            (float(s), float(v)) for s, v in points.itertuples(index=False) if math.isfinite(v)
        ]
        if values:
            lines.append((name, colour, values))
    if not lines:
        return ""
    right = max(total, *(point[0] for line in lines for point in line[2]), 1)
    top = max(point[1] for line in lines for point in line[2]) * 1.05 or 1.0
    told = ", ".join(f"{name} loss {values[-1][1]:.2f}" for name, _, values in lines)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'style="max-width:{WIDTH}px;width:100%" aria-label="Loss curve: {told}">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _axes(right, top),
    ]
    for number, (name, colour, values) in enumerate(lines):
        path = " ".join(_point(step, value, right, top) for step, value in values)
        dash = ' stroke-dasharray="6 4"' if number else ""
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>'
            f'<text x="{WIDTH - 8}" y="{18 + 16 * number}" text-anchor="end" font-size="12" '
            f'fill="{colour}">{name} {values[-1][1]:.2f}</text>'
        )
    return "".join(parts) + "</svg>"


def _point(step: float, value: float, right: float, top: float) -> str:
    x = LEFT + (WIDTH - LEFT - 12) * step / right
    y = 8 + (HEIGHT - BOTTOM - 8) * (1 - value / top)
    return f"{x:.1f},{y:.1f}"


def _axes(right: float, top: float) -> str:
    floor = HEIGHT - BOTTOM
    text = 'font-size="11" fill="#555555"'
    return (
        f'<path d="M{LEFT},8 V{floor} H{WIDTH - 12}" fill="none" stroke="#999999"/>'
        f'<text x="{LEFT - 6}" y="{floor}" text-anchor="end" {text}>0</text>'
        f'<text x="{LEFT - 6}" y="18" text-anchor="end" {text}>{top:.1f}</text>'
        f'<text x="{LEFT}" y="{HEIGHT - 10}" {text}>step 0</text>'
        f'<text x="{WIDTH - 12}" y="{HEIGHT - 10}" text-anchor="end" {text}>{right:.0f}</text>'
    )
