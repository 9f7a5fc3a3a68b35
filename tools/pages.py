"""The book's pages that are made from something else: old calls, errors, commands, glossary.

They are stored like any page, so that every site that shows Markdown shows them;
`python tools/build_docs.py` brings them up to date first.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from course.errors import NOTEBOOK, ErrorEntry, entries, sections

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
GLOSSARY = ROOT / "docs" / "glossary.md"
COMMANDS = ROOT / "docs" / "heroes.md"
OLD_CALLS = ROOT / "docs" / "old_and_new.toml"
OLD_AND_NEW = ROOT / "docs" / "old_and_new.md"
ERRORS = ROOT / "docs" / "errors.md"
ERRORS_OPENING = """\
<!-- Made from course/errors.toml by `python tools/build_docs.py`: change it there. -->

# All errors

Search this page for a few words of your message (Ctrl + F, or ⌘ + F), without your own names and \
numbers. `…` marks what was left out.

In a notebook, `explain(error)` from `course.errors` finds the row for you; in a terminal, \
`heroes explain "MESSAGE"` does. [Notebook 11](../notebooks/11_when_things_go_wrong.ipynb) causes \
and repairs the most common ones.
"""
OPENING = """\
<!-- Made from old_and_new.toml by `python tools/build_docs.py`: change it there. -->

# Old call → today's call

Between 2020 and 2024 many guides were written about fine-tuning at OpenAI. Nearly all of their \
calls are gone. This page says what they are called today. The course's tests run every line of \
the middle column against the sandbox; the same calls go to any provider with this API.

Replace the names in capitals. The Python package has had no command line since May \
2026; `heroes` is this course's.
"""
LINK = re.compile(r"\]\(\.\./docs/glossary\.md(?:#([^)\s]*))?\)")
TERM = re.compile(r"^## (?P<term>.+)\n\n(?P<told>.+?) Introduced in (?P<where>.+)\.$", re.MULTILINE)


def write_all() -> None:
    """Bring the four pages up to date."""
    ERRORS.write_text(errors(), encoding="utf-8", newline="\n")
    OLD_AND_NEW.write_text(old_and_new(old_calls()), encoding="utf-8", newline="\n")
    glossary = with_notebooks(GLOSSARY.read_text(encoding="utf-8"))
    GLOSSARY.write_text(glossary, encoding="utf-8", newline="\n")
    write_commands(COMMANDS)


def write_commands(page: Path) -> None:
    """The page about the command `heroes`, as Typer writes it from the program's own help."""
    command = [sys.executable, "-m", "typer", "heroes.app", "utils", "docs", "--name", "heroes"]
    command += ["--title", "The command heroes", "--output", str(page)]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


# Old call -> today's call


@dataclass(frozen=True)
class OldCall:
    """What the guides wrote, and what runs today; `check` is how a test runs it."""

    part: str
    old: str
    new: str
    check: str
    note: str = ""
    notebook: str = ""

    @property
    def is_command(self) -> bool:
        return self.new.startswith("heroes ")


def old_calls() -> list[OldCall]:
    """The pairs in the order of the page. Raises TypeError for a field that is not known."""
    data = tomllib.loads(OLD_CALLS.read_text(encoding="utf-8"))
    return [OldCall(part["title"], **row) for part in data["part"] for row in part["row"]]


def old_and_new(calls: list[OldCall]) -> str:
    """The page, as Markdown: a table for each part."""
    lines, part = [OPENING], ""
    for call in calls:
        if call.part != part:
            part = call.part
            lines += [f"\n## {part}\n", "| the old guides wrote | today | good to know |"]
            lines += ["|---|---|---|"]
        found = sorted(NOTEBOOKS.glob(f"{call.notebook}_*.ipynb")) if call.notebook else []
        met = [f"[Notebook {path.name[:2]}](../notebooks/{path.name})" for path in found]
        note = " ".join([*filter(None, [call.note]), *met])
        lines.append(f"| {_code(call.old)} | {_code(call.new)} | {note} |")
    return "\n".join(lines) + "\n"


def _code(text: str) -> str:
    """A call as code, a phrase as words."""
    is_call = any(mark in text for mark in "(=.{[") or text.startswith(("openai ", "heroes "))
    return f"`{text}`" if is_call else text


# All errors


def errors() -> str:
    """The page of errors, as Markdown: a table for each section."""
    lines = [ERRORS_OPENING]
    for number, title in sections().items():
        lines += [f"\n## {title}\n", "| you see | it means | do this |", "|---|---|---|"]
        lines += [_error(entry) for entry in entries() if entry.section == number]
    return "\n".join(lines) + "\n"


def _error(entry: ErrorEntry) -> str:
    """An error's row. Two backticks: some messages have one inside."""
    where = f" [11, section {entry.met}](../notebooks/{NOTEBOOK}.ipynb)" if entry.met else ""
    cells = (f"**{entry.title}**<br>`` {entry.message} ``", entry.meaning, entry.remedy + where)
    return "| " + " | ".join(text.replace("|", "\\|") for text in cells) + " |"


# Glossary: a notebook links a term where it explains it, and the first one that does is named


def anchor(term: str) -> str:
    """The anchor that GitHub, JupyterLab and the book make of a heading in small letters."""
    return term.replace(" ", "-")


def links(notebook: Path) -> list[str]:
    """The glossary's anchors that a notebook's texts link to, in order."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    return [found for text in texts for found in LINK.findall(text)]


def with_notebooks(text: str) -> str:
    """The glossary with the right notebook at each term; one that none links to stays as it is."""
    first: dict[str, str] = {}
    for path in sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")):
        for name in links(path):
            first.setdefault(name, f"[notebook {path.name[:2]}](../notebooks/{path.name})")

    def line(term: re.Match[str]) -> str:
        where = first.get(anchor(term["term"]), term["where"])
        return f"## {term['term']}\n\n{term['told']} Introduced in {where}."

    return TERM.sub(line, text)
