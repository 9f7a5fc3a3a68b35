"""Showing moving things, and what stands in their place on a page where nothing runs."""

from __future__ import annotations

from typing import Any

import ipywidgets
import tqdm


def in_notebook() -> bool:
    """Whether this code runs in a notebook's kernel, where widgets can be shown."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    shell = get_ipython()
    return shell is not None and hasattr(shell, "kernel")


def show(widget: ipywidgets.Widget, words: str) -> None:
    """Show a widget; `words` stand in its place where it can't be drawn, such as in the book."""
    from IPython.display import display

    data = widget._repr_mimebundle_() or {}
    display({**data, "text/plain": words}, raw=True)


def progress_bar(total: int, initial: int, unit: str, quiet: bool = False) -> tqdm.std.tqdm:
    """A bar with `initial` of `total` units done; `update(1)` moves it, `close()` ends it.

    In a notebook it is a widget, elsewhere a line of text on standard error.
    """
    options: dict[str, Any] = {"total": total, "initial": initial, "unit": unit, "disable": quiet}
    if quiet or not in_notebook():
        return tqdm.tqdm(**options)
    from tqdm.notebook import tqdm_notebook

    bar = tqdm_notebook(**options, display=False)
    show(bar.container, f"(A progress bar, up to {total} {unit}s: it moves in a running notebook.)")
    return bar
