"""The glossary: `python tools/glossary.py` brings "First met in …" up to date for every term.

A notebook links a term where it is explained: `[token](../docs/glossary.md#token)`. The first one
that does so is where the term is met first. `python tools/build_docs.py` does this before it
builds.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "glossary.md"
NOTEBOOKS = ROOT / "notebooks"
LINK = re.compile(r"\]\(\.\./docs/glossary\.md(?:#([^)\s]*))?\)")
TERM = re.compile(r"^## (?P<term>.+)\n\n(?P<told>.+?) First met in (?P<where>.+)\.$", re.MULTILINE)


def anchor(term: str) -> str:
    """The anchor that GitHub, JupyterLab and the book make of a heading in small letters."""
    return term.replace(" ", "-")


def links(notebook: Path) -> list[str]:
    """The anchors that a notebook's texts link to, in order."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    texts = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    return [found for text in texts for found in LINK.findall(text)]


def first_met(folder: Path = NOTEBOOKS) -> dict[str, str]:
    """anchor -> the name of the first notebook that links to it."""
    found: dict[str, str] = {}
    for path in sorted(folder.glob("[0-9][0-9]_*.ipynb")):
        for name in links(path):
            found.setdefault(name, path.name)
    return found


def updated(text: str, met: dict[str, str]) -> str:
    """The page with the right notebook at each term; a term that none links to stays as it is."""

    def line(term: re.Match[str]) -> str:
        name = met.get(anchor(term["term"]))
        where = f"[notebook {name[:2]}](../notebooks/{name})" if name else term["where"]
        return f"## {term['term']}\n\n{term['told']} First met in {where}."

    return TERM.sub(line, text)


def write(page: Path = PAGE) -> bool:
    """Bring the page up to date; say whether that was needed."""
    before = page.read_text(encoding="utf-8")
    after = updated(before, first_met())
    if after == before:
        return False
    page.write_text(after, encoding="utf-8", newline="\n")
    return True


if __name__ == "__main__":
    print("docs/glossary.md:", "written anew" if write() else "up to date")
