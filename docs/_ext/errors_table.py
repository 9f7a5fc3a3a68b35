"""`{errors-lookup}`: every error that is explained, from the data that `explain(error)` uses."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from course.errors import NOTEBOOK, ErrorEntry, entries, section_titles

# A regular expression's wild cards, which a reader wants to see as an ellipsis.
WILD = re.compile(r"(?:\[\^?[^\]]*\]|\\d|\.)(?:[*+]|\{[\d,]+\})|\[[^\]]*\]|(?:\\d)+")


def phrase(pattern: str) -> str:
    """Words to search for: the first way in which a pattern can be met, without its marks."""
    first = re.split(r"(?<!\\)\||\(\?", pattern)[0]
    return re.sub(r"\\(.)", r"\1", WILD.sub("…", first)).replace("`", "'")


def row(entry: ErrorEntry, linked: bool) -> str:
    """An error's line in the table."""
    name = entry.title
    if linked and entry.cell:
        # The anchors of cells are the book's own, so Markdown's links don't know them.
        name = f'<a href="../notebooks/{NOTEBOOK}.html#cell-{entry.cell}">{entry.title}</a>'
    what = f"{name}<br>`` {phrase(entry.pattern)} ``"
    return "| " + " | ".join(plain(each) for each in (what, entry.meaning, entry.remedy)) + " |"


def plain(text: str) -> str:
    return text.replace("|", "\\|")


def table(linked: bool) -> str:
    """The whole page below its opening, in MyST."""
    lines = []
    for number, title in section_titles().items():
        lines += [f"\n## {title}\n", "| error | what it means | what to do |", "|---|---|---|"]
        lines += [row(each, linked) for each in entries() if each.number[0] == number]
    return "\n".join(lines)


class ErrorsLookup(SphinxDirective):
    """The tables, one for each section of notebook 10."""

    def run(self) -> list[nodes.Node]:
        linked = (Path(self.env.srcdir) / "notebooks" / f"{NOTEBOOK}.ipynb").is_file()
        return self.parse_text_to_nodes(table(linked), allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("errors-lookup", ErrorsLookup)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
