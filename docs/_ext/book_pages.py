"""The front door of the book: `index.html`, which leads to the landing page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sphinx.application import Sphinx

FRONT_DOOR = "index"


def front_door(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """`index.html` of the whole book leads to the landing page, which is in docs/."""
    if app.builder.format == "html":
        goal = app.builder.get_relative_uri(FRONT_DOOR, app.config.root_doc)
        yield FRONT_DOOR, {"goal": goal, "book": app.config.project}, "front_door.html"


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("html-collect-pages", front_door)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
