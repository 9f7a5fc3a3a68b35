"""How a notebook shows things, and the text that replaces them on a page where nothing runs."""

from __future__ import annotations

import base64
import textwrap
from dataclasses import dataclass
from html import escape

import ipywidgets
from IPython import get_ipython
from IPython.display import display

TRAIN_COLOUR, VALID_COLOUR = "#0b6e8f", "#b8501f"  # told apart by colour-blind eyes, too


def in_lines(text: str, columns: int = 118) -> str:
    """The text in lines that JupyterLab shows whole; it breaks longer ones within words."""
    return textwrap.fill(text, columns, break_long_words=False, break_on_hyphens=False)


def in_notebook() -> bool:
    """Whether this code runs in a notebook's kernel, where widgets can be shown."""
    return hasattr(get_ipython(), "kernel")


def show(widget: ipywidgets.Widget, words: str) -> None:
    """Show a widget; `words` take its place where it can't be drawn, such as in the book."""
    data = widget._repr_mimebundle_() or {}
    display({**data, "text/plain": in_lines(words)}, raw=True)


@dataclass(frozen=True)
class Picture:
    """A drawing, and `alt`, which says the same in words.

    It is shown as an image: JupyterLab hides a bare SVG in a notebook that has not been run yet.
    """

    svg: str
    alt: str

    def _repr_html_(self) -> str:
        data = base64.b64encode(self.svg.encode()).decode()
        source = f"data:image/svg+xml;base64,{data}"
        return f'<img src="{source}" alt="{escape(self.alt)}" style="max-width: 100%">'

    def __repr__(self) -> str:
        return self.alt
