"""`{helpers-reference}`: what the notebooks import from `helpers`, and what stands behind it.

The notebooks themselves say what belongs here: a module that one of them imports gets a section
with the imported names, and a link to those notebooks. All other modules get a line in a table.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from course_notebooks import load, text_of
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import helpers

LEFT_OUT = ("course.exercises",)
LONGEST_VALUE = 240  # characters
# In our docstrings `x` is code, as in Markdown; reStructuredText wants ``x``.
CODE = re.compile(r"(?<![`:\w])`([^`\n]+)`(?!`)")


def imports(source: str) -> dict[str, set[str]]:
    """The names that a cell imports, by module of `helpers`."""
    found: dict[str, set[str]] = defaultdict(set)
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    for node in ast.walk(compile(source, "<cell>", "exec", flags=flags)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("helpers."):
            found[node.module] |= {alias.name for alias in node.names}
    return found


def imported(notebooks: list[Path]) -> dict[str, dict[str, list[Path]]]:
    """module -> name -> the notebooks that import it."""
    table: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in notebooks:
        for cell in load(path)["cells"]:
            if cell["cell_type"] != "code":
                continue
            for module, names in imports(text_of(cell["source"])).items():
                for name in names:
                    if path not in table[module][name]:
                        table[module][name].append(path)
    return {
        module: dict(names) for module, names in table.items() if not module.startswith(LEFT_OUT)
    }


def first_sentence(thing: Any) -> str:
    """The first sentence of a docstring, in one line."""
    text = inspect.cleandoc(thing.__doc__ or "").split("\n\n")[0].replace("\n", " ")
    return re.split(r"(?<=\.)\s", text)[0]


def described(name: str, thing: Any) -> list[str]:
    """The lines of reStructuredText that document one imported name."""
    if not callable(thing):
        return constant(name, thing)
    if not inspect.isclass(thing):
        return [f".. autofunction:: {name}", ""]
    members = [] if issubclass(thing, Exception) else ["   :members:"]
    return [f".. autoclass:: {name}", *members, ""]


def constant(name: str, value: Any) -> list[str]:
    """A constant with its value if that is short, else with what it is made of."""
    shown = repr(value)
    if len(shown) > LONGEST_VALUE:
        size = f" with {len(value)} entries" if hasattr(value, "__len__") else ""
        shown = f"a {type(value).__name__}{size}"
        return [f".. py:data:: {name}", "", f"   {shown[0].upper()}{shown[1:]}.", ""]
    return [f".. py:data:: {name}", "", f"   ``{shown}``", ""]


def section(module: str, names: dict[str, list[Path]]) -> str:
    """A module's section, in MyST."""
    code = importlib.import_module(module)
    users = sorted({path for paths in names.values() for path in paths})
    links = ", ".join(f"[{path.stem[:2]}](../notebooks/{path.name})" for path in users)
    order = sorted(names, key=lambda name: (not callable(getattr(code, name)), name.lower()))
    body = [line for name in order for line in described(name, getattr(code, name))]
    return "\n".join(
        [
            f"## {module}\n",
            f"{first_sentence(code)} *Used in {links}.*\n",
            "```{eval-rst}",
            f".. currentmodule:: {module}\n",
            *body,
            "```\n",
        ]
    )


def behind(shown: set[str]) -> str:
    """A table of the modules that no notebook imports."""
    rows = ["| module | what it does |", "|---|---|"]
    for found in pkgutil.walk_packages(helpers.__path__, "helpers."):
        if found.name in shown or found.name.startswith(LEFT_OUT):
            continue
        purpose = first_sentence(importlib.import_module(found.name)).replace("|", "\\|")
        rows.append(f"| `{found.name}` | {purpose} |")
    return "\n".join(["## Behind the scenes\n", *rows, ""])


class HelpersReference(SphinxDirective):
    """The whole reference."""

    def run(self) -> list[nodes.Node]:
        notebooks = sorted((Path(self.env.srcdir) / "notebooks").glob("[0-9][0-9]_*.ipynb"))
        table = imported(notebooks)
        text = "\n".join(section(module, names) for module, names in sorted(table.items()))
        return self.parse_text_to_nodes(text + behind(set(table)), allow_section_headings=True)


def code_marks(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Docstrings are written for readers of the source: `code` in single marks."""
    lines[:] = [CODE.sub(r"``\1``", line) for line in lines]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("helpers-reference", HelpersReference)
    app.connect("autodoc-process-docstring", code_marks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
