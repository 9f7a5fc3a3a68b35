"""`{helpers-reference}`: the helpers, module by module, and which notebooks use them."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import course
import helpers

# In our docstrings `x` is code, as in Markdown; reStructuredText wants ``x``.
CODE = re.compile(r"(?<![`:\w])`([^`\n]+)`(?!`)")


def modules(package: ModuleType) -> Iterator[tuple[str, str]]:
    """Each module of a package, and the first sentence of its docstring."""
    for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        told = inspect.getdoc(importlib.import_module(found.name)) or ""
        yield found.name, re.split(r"(?<=\.)\s", told.replace("\n", " "))[0]


def users(module: str, notebooks: list[Path]) -> str:
    """Links to the notebooks that import from the module, as a sentence; empty if none does."""
    line = re.compile(rf'"from {re.escape(module)} import ')
    links = [
        f"[{path.stem[:2]}](../notebooks/{path.name})"
        for path in notebooks
        if line.search(path.read_text(encoding="utf-8"))
    ]
    return f" *Used in {', '.join(links)}.*" if links else ""


class HelpersReference(SphinxDirective):
    """A section for each module of helpers/, and a table of course/."""

    def run(self) -> list[nodes.Node]:
        notebooks = sorted((Path(self.env.srcdir) / "notebooks").glob("[0-9][0-9]_*.ipynb"))
        lines = []
        for name, purpose in modules(helpers):
            lines += [f"## {name}\n", f"{purpose}{users(name, notebooks)}\n"]
            lines += ["```{eval-rst}", f".. automodule:: {name}", "   :members:", "```\n"]
        lines += ["## The course's own parts\n", "| module | what it does |", "|---|---|"]
        lines += [
            f"| `{name}` | {told}{users(name, notebooks)} |" for name, told in modules(course)
        ]
        return self.parse_text_to_nodes("\n".join(lines), allow_section_headings=True)


def code_marks(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Write `code` the way reStructuredText wants it; the section has said what a module is."""
    lines[:] = [] if what == "module" else [CODE.sub(r"``\1``", line) for line in lines]


def no_fields(app: Sphinx, what: str, name: str, obj: Any, *_: Any) -> tuple[str, None] | None:
    """Leave out the signature of a pydantic model, which is a page of types."""
    return ("", None) if hasattr(obj, "model_fields") else None


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("helpers-reference", HelpersReference)
    app.connect("autodoc-process-docstring", code_marks)
    app.connect("autodoc-process-signature", no_fields)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
