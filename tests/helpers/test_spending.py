"""The diary of paid calls, and the ceiling that holds however many spend at once."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.money.spending import (
    FILE,
    BudgetExceeded,
    Diary,
    at_most,
    ceiling,
    diary,
    spent,
)
from helpers.settings import ROOT, SettingsError

LUNA = "gpt-6-luna"


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    monkeypatch.setenv("HEROES_MY", str(tmp_path))
    monkeypatch.setenv("HEROES_ENV_FILE", str(tmp_path / ".env"))
    monkeypatch.delenv("HEROES_MAX_USD", raising=False)
    yield tmp_path


def lines(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / FILE).read_text().splitlines()]


def test_nothing_is_spent_at_the_start() -> None:
    assert (spent().usd, spent().calls, len(spent().frame())) == (0, 0, 0)
    assert str(spent()) == "Spent: $0.00 in 0 paid calls."


def test_a_call_is_set_aside_and_then_settled(own_folder: Path) -> None:
    entry = diary().reserve("chat", LUNA, 0.5)
    assert (spent().usd, spent().open_usd) == (0.5, 0.5)
    assert "for calls without an answer" in str(spent())
    diary().settle(entry, 0.02, 100, 20)
    refused = diary().reserve("chat", LUNA, 0.5)
    diary().void(refused)
    assert (spent().usd, spent().open_usd, spent().calls) == (0.02, 0, 1)
    row = spent().frame().iloc[0]
    assert (row["model"], row["calls"], row["input_tokens"]) == (LUNA, 1, 100)
    assert [line["state"] for line in lines(own_folder)] == ["open", "done", "open", "void"]


def test_other_programs_see_it_at_once(own_folder: Path) -> None:
    other = Diary(own_folder / FILE)
    entry = diary().reserve("chat", LUNA, 0.5)
    assert [each.usd for each in other.entries()] == [0.5]
    other.settle(entry, 0.1, 1, 1)
    assert spent().usd == 0.1


def test_half_a_line_spoils_nothing(own_folder: Path) -> None:
    diary().reserve("chat", LUNA, 0.5)
    with (own_folder / FILE).open("a") as file:
        file.write('{"id": "x", "at": 1, "wh')  # its writer was killed
    diary().reserve("chat", LUNA, 0.25)
    assert spent().usd == 0.75
    assert Diary(own_folder / FILE).entries() == diary().entries()


def test_a_new_diary_may_be_begun(own_folder: Path) -> None:
    diary().reserve("chat", LUNA, 0.5)
    (own_folder / FILE).unlink()
    assert spent().usd == 0
    diary().reserve("chat", LUNA, 0.25)
    assert spent().usd == 0.25


def test_the_ceiling_refuses(monkeypatch: pytest.MonkeyPatch, own_folder: Path) -> None:
    monkeypatch.setenv("HEROES_MAX_USD", "1.00")
    diary().reserve("chat", LUNA, 0.75)
    with pytest.raises(BudgetExceeded, match=r"HEROES_MAX_USD=1\. Nothing was called"):
        diary().reserve("chat", LUNA, 0.2500001)
    with pytest.raises(BudgetExceeded, match="after \\$0.75"):
        diary().check(LUNA, 0.3)
    diary().reserve("chat", LUNA, 0.25)
    assert len(lines(own_folder)) == 2
    assert "the ceiling is $1.00" in str(spent())


def test_a_ceiling_needs_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    diary().reserve("chat", "mystery", None)
    assert "price that is not known" in str(spent())
    monkeypatch.setenv("HEROES_MAX_USD", "5")
    with pytest.raises(BudgetExceeded, match="price of mystery is not known"):
        diary().reserve("chat", "mystery", None)


def test_a_ceiling_must_be_an_amount(monkeypatch: pytest.MonkeyPatch) -> None:
    for good, usd in (("$2.50", 2.5), ("0", 0.0), (" ", None)):
        monkeypatch.setenv("HEROES_MAX_USD", good)
        assert ceiling() == usd
    for bad in ("a lot", "-1", "nan"):
        monkeypatch.setenv("HEROES_MAX_USD", bad)
        with pytest.raises(SettingsError, match="HEROES_MAX_USD must be an amount"):
            ceiling()


def test_a_block_has_a_ceiling_of_its_own() -> None:
    diary().reserve("chat", LUNA, 10)
    with at_most(1.0):
        entry = diary().reserve("chat", LUNA, 0.9)
        with pytest.raises(BudgetExceeded, match="--max-usd=1"):
            diary().reserve("chat", LUNA, 0.2)
        diary().settle(entry, 0.1, 1)
        diary().reserve("chat", LUNA, 0.2)
    with at_most(None):
        diary().reserve("chat", LUNA, 10)


AMOUNTS = st.floats(0, 1, allow_nan=False)


@given(steps=st.lists(st.tuples(AMOUNTS, AMOUNTS), max_size=25), most=AMOUNTS)
def test_no_order_of_calls_breaks_the_ceiling(
    steps: list[tuple[float, float]], most: float
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEROES_MAX_USD", repr(most))
        book = Diary(Path(folder) / FILE)
        for worst, share in steps:
            try:
                entry = book.reserve("chat", LUNA, worst)
            except BudgetExceeded:
                continue
            if share < 0.9:  # the others never get an answer
                book.settle(entry, worst * share, 1)
            assert sum(each.usd or 0 for each in book.entries()) <= most + 1e-9


SPENDER = """
import random, sys
from helpers.money.spending import BudgetExceeded, diary
random.seed(int(sys.argv[1]))
for _ in range(30):
    worst = random.uniform(0.01, 0.1)
    try:
        entry = diary().reserve("chat", "gpt-6-luna", worst)
    except BudgetExceeded:
        continue
    diary().settle(entry, worst * random.random(), 1, 1)
"""


def test_many_programs_at_once_keep_the_ceiling(
    monkeypatch: pytest.MonkeyPatch, own_folder: Path
) -> None:
    monkeypatch.setenv("HEROES_MAX_USD", "1.5")
    spenders = [
        subprocess.Popen([sys.executable, "-c", SPENDER, str(seed)], cwd=ROOT) for seed in range(4)
    ]
    assert [each.wait(120) for each in spenders] == [0] * 4
    # Looked at after every line: at no moment was more spent and set aside than allowed.
    state: dict[object, float] = {}
    for line in lines(own_folder):
        state[line["id"]] = float(str(line["usd"]))
        assert sum(state.values()) <= 1.5 + 1e-9
    assert sum(state.values()) > 1.5 - 0.1
    assert spent().open_usd == 0


def test_many_threads_at_once_keep_the_ceiling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEROES_MAX_USD", "1.0")

    def spend() -> None:
        for _ in range(10):
            try:
                diary().reserve("chat", LUNA, 0.03)
            except BudgetExceeded:
                return

    threads = [threading.Thread(target=spend) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert spent().calls == 33


def test_what_a_killed_program_set_aside_stays(own_folder: Path) -> None:
    code = (
        "import os; from helpers.money.spending import diary; diary().reserve('chat', 'm', 0.5); "
    )
    killed = subprocess.run([sys.executable, "-c", f"{code}os._exit(9)"], cwd=ROOT, check=False)
    assert killed.returncode == 9
    assert spent().open_usd == 0.5
    diary().reserve("chat", LUNA, 0.25)  # and its lock is free
