"""An album of the errors that somebody has met: the product of notebook 10."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from course.errors import Entry, entries, explain
from helpers.data import my, replace_text

FILE = "errors_met.json"
KEY = re.compile(r"\bsk-[\w-]{20,}")


class Album:
    """Collects errors in `data/my/errors_met.json`; earlier ones stay in it."""

    def __init__(self) -> None:
        self._met: dict[str, dict[str, Any]] = {}

    def __len__(self) -> int:
        return len(self._met)

    def keep(self, entry_id: str, error: BaseException | str | None = None) -> None:
        """Put an error into the album, and say what it means.

        Without `error` it is the last one that a cell has ended in. For errors that raise
        nothing, give the message as text. An error that does not fit the entry is not kept.
        """
        entry = _entry(entry_id)
        if error is None:
            error = getattr(sys, "last_value", None)
        if error is None or entry not in explain(error).entries:
            print(f"Not kept: run the cell above first, until it shows “{entry.title}”.")
            return
        self._met[entry_id] = _page(entry, error)
        self._save()
        print(f"Kept: {entry}")

    def missing(self) -> list[str]:
        """The titles of the errors that were not met since this album was opened."""
        return [entry.title for entry in entries() if entry.id not in self._met]

    def _save(self) -> None:
        pages = {page["id"]: page for page in _stored()} | self._met
        order = {entry.id: place for place, entry in enumerate(entries())}
        known = sorted(
            (p for p in pages.values() if p["id"] in order), key=lambda p: order[p["id"]]
        )
        replace_text(my(FILE), json.dumps(known, indent=2, ensure_ascii=False) + "\n")


def _entry(entry_id: str) -> Entry:
    for entry in entries():
        if entry.id == entry_id:
            return entry
    raise KeyError(
        f"There is no error {entry_id!r}. There are: {', '.join(e.id for e in entries())}"
    )


def _page(entry: Entry, error: BaseException | str) -> dict[str, Any]:
    text = " ".join(str(error).split())
    return {
        "id": entry.id,
        "section": entry.number,
        "title": entry.title,
        "type": type(error).__name__ if isinstance(error, BaseException) else None,
        "status": getattr(error, "status_code", None),
        "code": getattr(error, "code", None),
        # An album may be shown around: no key, whatever a server may have quoted.
        "message": KEY.sub("sk-…", text),
    }


def _stored() -> list[dict[str, Any]]:
    """The pages of earlier runs; a damaged file counts as none."""
    try:
        pages = json.loads(my(FILE).read_text(encoding="utf-8"))
        return [page for page in pages if isinstance(page, dict) and "id" in page]
    except (OSError, ValueError, TypeError):
        return []
