"""`{the-scripts}`: each notebook again as one short program, to read, to copy, to change."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from tools.roadmap import STEPS


def told(path: Path) -> tuple[str, list[str]]:
    """What a script's docstring says in its first paragraph, and how to call it."""
    text = inspect.cleandoc(
        ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")), clean=False) or ""
    )
    first = " ".join(text.split("\n\n")[0].split())
    calls = re.findall(r"^(?: {4})?(python \S.*)$", text, re.MULTILINE)
    sentence = re.sub(r"^Notebook \d\d in short: ", "", first)
    return sentence[:1].upper() + sentence[1:], calls or [f"python scripts/{path.name}"]


def section(path: Path, notebooks: Path) -> str:
    """A script's section, in MyST."""
    sentence, calls = told(path)
    notebook = notebooks / f"{path.stem}.ipynb"
    number = path.name[:2]
    link = f" It goes with [notebook {number}](../notebooks/{notebook.name})."
    lines = [
        f"## {number} · {STEPS[int(number)].title}\n",
        f"{sentence}{link if notebook.is_file() else ''}\n",
        "```text",
        *calls,
        "```\n",
        ":::{dropdown} The program",
        f"```{{literalinclude}} ../scripts/{path.name}",
        ":language: python",
        "```",
        ":::\n",
    ]
    return "\n".join(lines)


class TheScripts(SphinxDirective):
    """A section for each script."""

    def run(self) -> list[nodes.Node]:
        root = Path(self.env.srcdir)
        scripts = sorted((root / "scripts").glob("[0-9][0-9]_*.py"))
        text = "\n".join(section(path, root / "notebooks") for path in scripts)
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("the-scripts", TheScripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
