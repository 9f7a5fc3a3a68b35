"""Parts of pages that are made of data: hero, road, measured seconds."""

from __future__ import annotations

import base64
import json
import re
from html import escape
from pathlib import Path
from typing import Any

from course_notebooks import cell, load, text_of
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from course.steps import STEPS

PREDICTION = "notebooks/06_prediction.ipynb"
MEASURED = "docs/measured.json"


class BeforeAndAfter(SphinxDirective):
    """The same note, answered by the base model and by the tuned one: both as they are stored."""

    def run(self) -> list[nodes.Node]:
        row = self.stored("before", "text/markdown").splitlines()[2]
        note, before, after = [part.strip() for part in row.strip().strip("|").split("|")]
        html = (
            '<div class="hero-pair">'
            f'<p class="hero-note"><span>You send</span> <code>{escape(note.strip("`"))}</code></p>'
            '<div class="hero-answer hero-before">'
            f'<p class="hero-label">Before fine-tuning</p><p>{escape(before)}</p></div>'
            '<div class="hero-right"><div class="hero-answer hero-after">'
            f'<p class="hero-label">After 294 examples</p><p>{escape(after)}</p></div>'
            f'<div class="hero-portrait">{self.portrait()}</div></div></div>'
        )
        return [nodes.raw("", html, format="html")]

    def stored(self, cell_id: str, kind: str) -> str:
        """A stored output of notebook 06."""
        path = Path(self.env.srcdir) / PREDICTION
        self.env.note_dependency(str(path))
        for output in cell(load(path), cell_id)["outputs"]:
            if kind in output.get("data", {}):
                return text_of(output["data"][kind])
        raise ExtensionError(f"{PREDICTION}: the cell {cell_id!r} stores no {kind}")

    def portrait(self) -> str:
        """The left part of the stored card. The text is beside it, so it needs no description."""
        data = re.search(r"svg\+xml;base64,([\w+/=]+)", self.stored("card", "text/html"))
        if data is None:
            raise ExtensionError(f"{PREDICTION}: the card is no picture")
        svg = base64.b64decode(data[1]).decode()
        size = re.search(r'viewBox="0 0 \d+ (\d+)"', svg)
        if size is None:
            raise ExtensionError(f"{PREDICTION}: the card has no viewBox")
        height = int(size[1])
        opening = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="14 14 212 {height - 28}" '
            'aria-hidden="true">'
        )
        return opening + svg[svg.index("<clipPath") : svg.index("<text")] + "</svg>"


class TheRoad(SphinxDirective):
    """The stops of the course: what each is about, and what one has in hand after it."""

    def run(self) -> list[nodes.Node]:
        folder = Path(self.env.srcdir) / "notebooks"
        lines = ["| | notebook | at the end you have |", "|---|---|---|"]
        for number, stop in enumerate(STEPS):
            found = sorted(folder.glob(f"{number:02d}_*.ipynb"))
            name = f"[{stop.title}](../notebooks/{found[0].name})" if found else stop.title
            lines.append(f"| {number:02d} | {name} | {stop.product} |")
        return self.parse_text_to_nodes("\n".join(lines))


class MeasuredSeconds(SphinxDirective):
    """The table of measured seconds, from docs/measured.json."""

    def run(self) -> list[nodes.Node]:
        path = Path(self.env.srcdir) / MEASURED
        self.env.note_dependency(str(path))
        return self.parse_text_to_nodes(seconds_table(json.loads(path.read_text(encoding="utf-8"))))


def seconds_table(measured: dict[str, Any]) -> str:
    """The measurements as Markdown: a bar for people who look, numbers for people who read."""
    runs: dict[str, float] = measured["notebooks"]
    longest, total = max(runs.values()), sum(runs.values())
    rows = [
        f"| [{name[:2]} {name[3:].replace('_', ' ')}](../notebooks/{name}.ipynb) | {seconds:.1f} "
        f'| <meter min="0" max="{longest:.1f}" value="{seconds:.1f}" '
        f'title="{seconds:.1f} seconds"></meter> |'
        for name, seconds in sorted(runs.items())
    ]
    lines = [
        f"Measured on {measured['date']}: {measured['machine']}.\n",
        "| notebook | seconds | |",
        "|---|---:|---|",
        *rows,
        f"| **all of them** | **{total:.0f}** | {total / 60:.1f} minutes |",
    ]
    if install := measured.get("install"):
        lines.append(f"\nThe installation took {install:.0f} seconds.")
    return "\n".join(lines)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("before-and-after", BeforeAndAfter)
    app.add_directive("the-road", TheRoad)
    app.add_directive("measured-seconds", MeasuredSeconds)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
