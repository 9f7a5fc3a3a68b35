"""The album of errors met: the product of notebook 11."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from course.errors import entries, explain
from helpers.data import my, replace_text

FILE = "errors_met.json"
KEY = re.compile(r"\bsk-[\w-]{20,}")
ENTRIES = {entry.id: entry for entry in entries() if entry.cell}


class Album:
    """Collects errors in `data/my/errors_met.json`; earlier ones stay in it."""

    def __init__(self) -> None:
        self._met: dict[str, dict[str, Any]] = {}

    def __len__(self) -> int:
        return len(self._met)

    def keep(self, entry_id: str, error: BaseException | str | None = None) -> None:
        """Put an error into the album, and print what it means.

        Without `error` it is the last one that a cell has ended in. For errors that raise
        nothing, give the message as text. An error that does not fit the entry is not kept.
        """
        if entry_id not in ENTRIES:
            raise KeyError(f"There is no error {entry_id!r}. There are: {', '.join(ENTRIES)}")
        entry = ENTRIES[entry_id]
        if error is None:
            error = getattr(sys, "last_value", None)
        if error is None or entry not in explain(error).entries:
            print(f"Not kept: run the cell above first, until it shows “{entry.title}”.")
            return
        self._met[entry_id] = {
            "id": entry.id,
            "section": entry.number,
            "title": entry.title,
            "type": type(error).__name__ if isinstance(error, BaseException) else None,
            "status": getattr(error, "status_code", None),
            "code": getattr(error, "code", None),
            # An album may be shown to others: no key, whatever a server may have quoted.
            "message": KEY.sub("sk-…", " ".join(str(error).split())),
        }
        pages = _stored() | self._met
        known = [pages[name] for name in ENTRIES if name in pages]
        replace_text(my(FILE), json.dumps(known, indent=2, ensure_ascii=False) + "\n")
        print(f"Kept: {entry}")

    def missing(self) -> list[str]:
        """The titles of the errors that were not met since this album was opened."""
        return [entry.title for name, entry in ENTRIES.items() if name not in self._met]


def _stored() -> dict[str, dict[str, Any]]:
    """The pages of earlier runs by id; a damaged file counts as none."""
    try:
        pages = json.loads(my(FILE).read_text(encoding="utf-8"))
        return {page["id"]: page for page in pages}
    except (OSError, ValueError, TypeError, KeyError):
        return {}
