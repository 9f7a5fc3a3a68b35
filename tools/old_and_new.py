"""Old call -> today's call: `python tools/old_and_new.py` writes the page from its data.

The pairs stand in docs/old_and_new.toml. The page docs/old_and_new.md is made from them, so that it
can be read on any site that shows Markdown, and `python tools/build_docs.py` makes it first.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "docs" / "old_and_new.toml"
PAGE = ROOT / "docs" / "old_and_new.md"
OPENING = """\
<!-- Made from old_and_new.toml by `python tools/old_and_new.py`: change it there. -->

# Old call → today's call

Between 2020 and 2024 many guides were written about fine-tuning at OpenAI. Nearly all of their \
calls are gone. Here is what they are called today. Every line on the right is run by the course's \
tests, against the sandbox; the same calls go to any provider that speaks this API.

The names in capitals are yours to fill in. The Python package has had no command line since May \
2026; `heroes` is the one of this course.
"""


@dataclass(frozen=True)
class Row:
    """A pair: what the guides wrote, and what runs today."""

    part: str
    old: str
    new: str
    check: str
    note: str = ""
    notebook: str = ""

    @property
    def is_command(self) -> bool:
        return self.new.startswith("heroes ")


def load(path: Path = DATA) -> list[Row]:
    """The pairs in the order of the page. Raises TypeError for a field that nobody knows."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    return [Row(part["title"], **row) for part in data["part"] for row in part["row"]]


def render(rows: list[Row], notebooks: Path = ROOT / "notebooks") -> str:
    """The page, as Markdown."""
    lines = [OPENING]
    part = ""
    for row in rows:
        if row.part != part:
            part = row.part
            lines += [
                f"\n## {part}\n",
                "| the old guides wrote | today | good to know |",
                "|---|---|---|",
            ]
        cells = [
            code(row.old),
            code(row.new),
            " ".join(filter(None, [row.note, met(row, notebooks)])),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def code(text: str) -> str:
    """A call as code, a phrase as words."""
    words = not any(mark in text for mark in "(=.{[") and not text.startswith(
        ("openai ", "heroes ")
    )
    return text if words else f"`{text}`"


def met(row: Row, notebooks: Path) -> str:
    """A link to the notebook where the call is explained."""
    found = sorted(notebooks.glob(f"{row.notebook}_*.ipynb")) if row.notebook else []
    return f"[Notebook {row.notebook}](../notebooks/{found[0].name})" if found else ""


def write(page: Path = PAGE) -> bool:
    """Bring the page up to date; say whether that was needed."""
    text = render(load())
    if page.is_file() and page.read_text(encoding="utf-8") == text:
        return False
    page.write_text(text, encoding="utf-8", newline="\n")
    return True


if __name__ == "__main__":
    print("docs/old_and_new.md:", "written anew" if write() else "up to date")
