"""Stopping a run in the middle: what is on the disk counts, and a failure is not hidden."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from course.interrupt import interrupt_after


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "heroes.csv"


async def write(path: Path, rows: int) -> None:
    with path.with_name("heroes.rows.jsonl").open("a", encoding="utf-8") as ledger:
        for _ in range(rows):
            ledger.write("{}\n")
            ledger.flush()
            await asyncio.sleep(0.001)


def test_the_run_is_stopped_once_enough_rows_are_there(path: Path) -> None:
    rows = asyncio.run(interrupt_after(5, path, write(path, 10_000)))
    assert 5 <= rows < 10_000


def test_a_run_that_ends_before_is_not_stopped(path: Path) -> None:
    assert asyncio.run(interrupt_after(50, path, write(path, 3))) == 3


def test_rows_of_an_earlier_run_count_and_nothing_is_started(path: Path) -> None:
    asyncio.run(write(path, 7))
    assert asyncio.run(interrupt_after(5, path, write(path, 10))) == 7


def test_a_failure_of_the_run_is_raised(path: Path) -> None:
    async def fail() -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        asyncio.run(interrupt_after(1, path, fail()))
