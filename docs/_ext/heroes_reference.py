"""`{heroes-opening}` and `{heroes-reference}`: the command `heroes`, told by the program itself."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

import typer.main
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from heroes.app import app as heroes

NAME = "heroes"
EXAMPLE = re.compile(r"Example: (heroes .+)")
HIDDEN = {"help", "install_completion", "show_completion"}


def commands(command: Any, path: tuple[str, ...] = (NAME,)) -> Iterator[tuple[str, Any]]:
    """All commands below, each with its full name; groups come before what is in them."""
    yield " ".join(path), command
    for name, child in getattr(command, "commands", {}).items():
        if not child.hidden:
            yield from commands(child, (*path, name))


def cell(text: Any) -> str:
    """Text for a table's cell."""
    return " ".join(str(text).split()).replace("|", "\\|").replace("<", "&lt;")


def shown_default(option: Any) -> str:
    default = option.default
    if callable(default) or default in (None, "", (), []) or isinstance(default, bool):
        return ""
    return f" Without it: `{cell(getattr(default, 'value', default))}`."


def parameters(command: Any) -> list[tuple[str, str]]:
    """(how it is written, what it says) for each argument and option."""
    rows = []
    for each in command.params:
        if each.name in HIDDEN or getattr(each, "hidden", False):
            continue
        told = getattr(each, "help", None) or ""
        if each.param_type_name == "argument":
            rows.append((f"`{(each.metavar or each.name).upper()}`", told))
            continue
        names = ", ".join(f"`{name}`" for name in [*each.opts, *each.secondary_opts])
        told += " Needed." if each.required else ""
        rows.append((names, told + shown_default(each)))
    return rows


def told(command: Any) -> tuple[str, list[str]]:
    """What a command says about itself, as Markdown, and the examples that it gives."""
    text = inspect.cleandoc(command.help or "").replace("\b", "")
    parts = [" ".join(part.split()) for part in text.split("\n\n")]
    examples = [found[1] for part in parts if (found := EXAMPLE.fullmatch(part))]
    return "\n\n".join(part for part in parts if not EXAMPLE.fullmatch(part)), examples


def section(name: str, command: Any) -> str:
    """A command's section, in MyST."""
    text, examples = told(command)
    level = "##" if len(name.split()) == 2 else "###"
    lines = [f"{level} {name}", "", text, ""]
    if not hasattr(command, "commands"):
        context = command.make_context(name, [], resilient_parsing=True)
        usage = " ".join([name, *command.collect_usage_pieces(context)])
        lines += ["```text", usage.replace("{", "").replace("}", ""), "```", ""]
    if rows := parameters(command):
        lines += ["| written | what it says |", "|---|---|"]
        lines += [f"| {written} | {cell(what)} |" for written, what in rows]
        lines.append("")
    if examples:
        lines += ["For example:", "", "```text", *examples, "```", ""]
    return "\n".join(lines)


def root_command() -> Any:
    return typer.main.get_command(heroes)


class HeroesOpening(SphinxDirective):
    """What the program says about itself as a whole."""

    def run(self) -> list[nodes.Node]:
        root = root_command()
        return self.parse_text_to_nodes(f"{told(root)[0]}\n\n{' '.join(root.epilog.split())}")


class HeroesReference(SphinxDirective):
    """A section for each command."""

    def run(self) -> list[nodes.Node]:
        _, *others = commands(root_command())
        text = "\n\n".join(section(name, command) for name, command in others)
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("heroes-opening", HeroesOpening)
    app.add_directive("heroes-reference", HeroesReference)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
