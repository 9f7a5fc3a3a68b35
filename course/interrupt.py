"""Stop a run of `ask_many` in the middle, as the stop button would."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any


async def interrupt_after(rows: int, path: Path, work: Coroutine[Any, Any, Any]) -> int:
    """Cancel `work`, an `ask_many` that writes `path`, once `rows` answers are on the disk.

    Returns how many are there: a few more than `rows`, or all of an earlier run. Raises what
    `work` raises if it fails before.
    """
    ledger = path.with_name(path.stem + ".rows.jsonl")
    task = asyncio.ensure_future(work)
    while not task.done() and _lines(ledger) < rows:
        await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()
    return _lines(ledger)


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.is_file() else 0
