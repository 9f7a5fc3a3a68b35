"""Tokens made visible: each in a box of its own, with a text twin."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

# Pale enough for dark letters, told apart by colour-blind eyes; every box has a border as well.
COLOURS = ("#d5e8f0", "#fbe6d4", "#e4efdc", "#ece3f4")
BOX = (
    "display:inline-block;white-space:pre;margin:1px;padding:1px 3px;border:1px solid #8d8d94;"
    "border-radius:4px;color:#2b2b33;font-family:monospace;background:{}"
)


class TokenBoxes:
    """A row of boxes, one for each piece of text; `str` of it draws bars between the pieces."""

    def __init__(self, pieces: Sequence[str]) -> None:
        self.pieces = list(pieces)

    def _repr_html_(self) -> str:
        boxes = "".join(
            f'<span style="{BOX.format(COLOURS[number % len(COLOURS)])}">{_visible(piece)}</span>'
            for number, piece in enumerate(self.pieces)
        )
        return f'<div role="img" aria-label="{escape(str(self))}">{boxes}</div>'

    def __str__(self) -> str:
        return f"{len(self.pieces)} tokens: " + "|".join(self.pieces)

    __repr__ = __str__


def _visible(piece: str) -> str:
    """Text for a box: a line break would break it, and an empty box says nothing."""
    return escape(piece.replace("\n", "↵")) or "∅"
