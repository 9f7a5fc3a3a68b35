"""Asking for many rows: against a stand-in for a hosted provider, whose answers a test chooses."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai import AsyncOpenAI, OpenAI

from course.grid import superhero_grid
from helpers import ask
from helpers.ask import GenerationError, ask_many
from helpers.ledger import LedgerBusy, open_ledger, row_key
from helpers.money import BudgetExceeded
from helpers.settings import Settings
from tests.support.provider import Answer, Provider, completion, error

HOSTED = Settings(
    "hosted", "openai", "https://api.openai.com/v1", "gpt-6-luna", "gpt-4.1-mini", concurrency=4
)
AT_HOME = Settings("sandbox", "sandbox", None, "m", "m", concurrency=4, seeds=True)
SOON = {"retry-after-ms": "10"}


def good(number: int, body: dict[str, Any]) -> Answer:
    return 200, {}, completion(f"text {number}")


def run(provider: Provider, grid: pd.DataFrame, path: Path, **options: Any) -> pd.DataFrame:
    """Call ask_many() as a notebook does, on a loop of its own."""

    async def work() -> pd.DataFrame:
        async with AsyncOpenAI(api_key="k", base_url=provider.url) as client:
            arguments = {"model": "gpt-6-luna", "settings": HOSTED, "progress": False, **options}
            return await ask_many(client, grid, path, **arguments)

    return asyncio.run(work())


@pytest.fixture
def grid() -> pd.DataFrame:
    return superhero_grid(powers=("flight",), repeats=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.csv"


def test_all_rows_are_written_in_the_grids_order(grid: pd.DataFrame, path: Path) -> None:
    together = threading.Barrier(2, timeout=300)

    def script(number: int, body: dict[str, Any]) -> Answer:
        if number < 2:
            together.wait()
        time.sleep(0.02 * (3 - number % 4))  # later calls overtake earlier ones
        return 200, {}, completion("You asked: " + body["messages"][0]["content"])

    with Provider(script) as provider:
        frame = run(provider, grid, path)
    added = ["response_txt", "finish_reason", "prompt_tokens", "completion_tokens"]
    assert list(frame.columns) == [*grid.columns, *added]
    assert list(frame["response_txt"]) == ["You asked: " + prompt for prompt in grid["prompt"]]
    pd.testing.assert_frame_equal(pd.read_csv(path), frame, check_dtype=False)
    assert 1 < provider.busiest <= 4


def test_a_call_is_what_todays_models_accept(grid: pd.DataFrame, path: Path) -> None:
    with Provider(good) as provider:
        run(provider, grid.head(1), path)
        run(provider, grid, path, settings=AT_HOME, model="m", seed=100)
    hosted, *at_home = provider.calls
    assert hosted == {
        "messages": [{"role": "user", "content": grid["prompt"][0]}],
        "model": "gpt-6-luna",
        "temperature": 1.0,
        "max_completion_tokens": 300,
        "reasoning_effort": "none",
    }
    assert sorted(call["seed"] for call in at_home) == list(range(100, 114))
    assert "reasoning_effort" not in at_home[0]


def test_messages_in_front_are_sent_paid_for_and_make_other_rows(
    grid: pd.DataFrame, path: Path
) -> None:
    front = [{"role": "user", "content": "A note"}, {"role": "assistant", "content": "A hero."}]
    told: list[int] = []
    with Provider(good) as provider:
        for before in ([], front, front):
            run(
                provider,
                grid.head(1),
                path,
                before=before,
                agree=lambda estimate: told.append(estimate.input_tokens),
            )
    plain, with_front = provider.calls
    assert with_front["messages"] == [*front, *plain["messages"]]
    assert len(told) == 2
    assert told[1] > told[0]


def test_a_second_run_pays_for_nothing(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid = superhero_grid(powers=("flight",), repeats=3)  # repeated prompts are rows of their own
    with Provider(good) as provider:
        first = run(provider, grid, path)
        assert first["response_txt"].nunique() == len(grid) == len(provider.calls)
        path.unlink()
        pd.testing.assert_frame_equal(run(provider, grid, path), first)
        assert path.is_file()
        assert len(provider.calls) == len(grid)
        first_said, second_said = capsys.readouterr().out.splitlines()
        assert first_said.startswith("out.csv: 42 rows, 42 of them new. Cost: $0.0")
        assert second_said == "out.csv: 42 rows, 0 of them new. Cost: $0.00"
        run(provider, grid, path, model="gpt-4.1-mini")
        run(provider, grid, path, fresh=True)
        assert len(provider.calls) == 3 * len(grid)


def test_a_lost_row_is_reported_and_made_later(grid: pd.DataFrame, path: Path) -> None:
    def script(number: int, body: dict[str, Any]) -> Answer:
        if "50-year-old man" in body["messages"][0]["content"] and number < 14:
            return 400, {}, error("content_policy", "not this one")
        return good(number, body)

    with Provider(script) as provider:
        with pytest.raises(GenerationError, match=r"1 of 14 rows failed\. Row 8: .*this one"):
            run(provider, grid, path)
        assert not path.exists()
        assert len(run(provider, grid, path)) == 14
        assert len(provider.calls) == 15


@pytest.mark.parametrize(
    ("status", "code", "answered", "calls"),
    [
        (401, "invalid_api_key", 3, 4),
        (404, "model_not_found", 3, 4),
        (429, "insufficient_quota", 3, 9),  # the SDK tries it again
        (400, "unsupported_value", 0, 5),  # a parameter, not a text
    ],
)
def test_what_would_fail_for_every_row_ends_the_work(
    grid: pd.DataFrame, path: Path, status: int, code: str, answered: int, calls: int
) -> None:
    def script(number: int, body: dict[str, Any]) -> Answer:
        return good(number, body) if number < answered else (status, SOON, error(code, "no way"))

    with Provider(script) as provider:
        with pytest.raises(GenerationError, match=r"as every further(?s:.*)no way(?s:.*)are safe"):
            run(provider, grid, path, concurrency=1)
        assert len(provider.calls) == calls
    with open_ledger(path.with_name("out.rows.jsonl")) as ledger:
        assert len(ledger.rows) == answered


def test_passing_errors_are_tried_again(grid: pd.DataFrame, path: Path) -> None:
    def script(number: int, body: dict[str, Any]) -> Answer:
        refusal = (429, SOON, error("rate_limit_exceeded")), (503, SOON, error(None))
        return good(number, body) if number % 3 == 2 else refusal[number % 3]

    with Provider(script) as provider:
        assert len(run(provider, grid, path, concurrency=1)) == 14
        assert len(provider.calls) == 3 * 14


def test_a_server_that_is_not_there_is_reported_once(
    grid: pd.DataFrame, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ask, "RETRIES", 0)
    with Provider(good) as gone:
        pass
    with pytest.raises(GenerationError, match="APIConnectionError"):
        run(gone, grid, path)


def test_money_is_asked_for_before_the_first_call(grid: pd.DataFrame, path: Path) -> None:
    asked = []
    with Provider(good) as provider:
        with pytest.raises(BudgetExceeded, match="Nothing was called"):
            run(provider, grid, path, max_usd=0.0001)
        with pytest.raises(BudgetExceeded, match="price of mystery is not known"):
            run(provider, grid, path, max_usd=1.0, model="mystery")
        with pytest.raises(ZeroDivisionError):
            run(provider, grid, path, agree=lambda estimate: 1 / 0)
        assert provider.calls == []
        run(provider, grid, path, agree=asked.append)
        run(provider, grid, path, agree=asked.append, max_usd=0)  # nothing is missing any more
    assert [estimate.what for estimate in asked] == ["14 answers"]


def test_wrong_arguments_are_named(grid: pd.DataFrame, path: Path) -> None:
    client = OpenAI(api_key="k", base_url="http://127.0.0.1:9/v1")
    with client, pytest.raises(TypeError, match="connect_async"):
        asyncio.run(ask_many(client, grid, path, model="m"))  # type: ignore[arg-type]
    with Provider(good) as provider, pytest.raises(KeyError, match="prompt"):
        run(provider, grid.drop(columns="prompt"), path)


SCRIPT = """
import asyncio, sys
from pathlib import Path
from openai import AsyncOpenAI
from course.grid import superhero_grid
from helpers.ask import ask_many
from helpers.settings import Settings

async def main():
    settings = Settings("hosted", "other", sys.argv[1], "m", "m", concurrency=3)
    async with AsyncOpenAI(api_key="k", base_url=sys.argv[1]) as client:
        grid = superhero_grid(("flight",), 3)
        await ask_many(client, grid, Path(sys.argv[2]), model="m", settings=settings)

asyncio.run(main())
"""


@pytest.mark.parametrize("how", ["interrupt", "kill"])
@pytest.mark.slow
def test_an_interrupted_run_goes_on_without_paying_twice(path: Path, how: str) -> None:
    if os.name == "nt" and how == "interrupt":
        pytest.skip("Windows cannot send Ctrl-C to one child process alone")

    def script(number: int, body: dict[str, Any]) -> Answer:
        time.sleep(0.1)
        return good(number, body)

    with Provider(script) as provider:
        command = [sys.executable, "-c", SCRIPT, provider.url, str(path)]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as child:
            deadline = time.monotonic() + 300
            while len(provider.calls) < 12 and time.monotonic() < deadline:
                time.sleep(0.01)
            child.send_signal(signal.SIGINT) if how == "interrupt" else child.kill()
            assert child.wait(300) != 0
        rows = path.with_name("out.rows.jsonl").read_text(encoding="utf-8").splitlines()
        saved, before = [json.loads(line) for line in rows], len(provider.calls)
        assert 9 <= len(saved) < 42
        assert before - len(saved) <= 3, "only the calls under way are lost"
        settings = Settings("hosted", "other", provider.url, "m", "m", concurrency=3)
        run(provider, superhero_grid(("flight",), 3), path, model="m", settings=settings)
        assert len(provider.calls) == before + 42 - len(saved)
    kept = set(pd.read_csv(path)["response_txt"])
    assert len(kept) == 42
    assert {row["response_txt"] for row in saved} <= kept


def test_rows_come_back_and_only_one_program_writes_them(grid: pd.DataFrame, path: Path) -> None:
    rows = path.parent / "folder" / "out.rows.jsonl"
    with open_ledger(rows) as ledger:
        ledger.append("a", {"text": "one\ntwo\u2028three ✓"})
        ledger.append("b", {"text": "x"})
        with Provider(good) as provider, pytest.raises(LedgerBusy, match="Another notebook"):
            run(provider, grid, rows.with_name("out.csv"))
        assert provider.calls == []
    with open_ledger(rows) as ledger:
        assert ledger.rows == {"a": {"text": "one\ntwo\u2028three ✓"}, "b": {"text": "x"}}
        ledger.append("b", {"text": "y"})
    with open_ledger(rows) as ledger:
        assert ledger.rows["b"] == {"text": "y"}
        ledger.clear()
        ledger.append("c", {})
    with open_ledger(rows) as ledger:
        assert list(ledger.rows) == ["c"]


@settings(deadline=None)
@given(
    text=st.text(),
    spoilt=st.binary(max_size=60).map(lambda junk: junk.replace(b"\n", b"")),
    data=st.data(),
)
def test_a_torn_or_spoilt_line_costs_only_its_own_row(
    tmp_path_factory: pytest.TempPathFactory, text: str, spoilt: bytes, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "rows.jsonl"
    last = json.dumps({"key": "b", "text": text}, ensure_ascii=False).encode("utf-8", "replace")
    torn = last[: data.draw(st.integers(0, len(last) - 1))]
    path.write_bytes(b'{"key": "a", "n": 1}\n' + spoilt + b"\n" + torn)
    for _ in range(2):
        with open_ledger(path) as ledger:
            assert ledger.rows["a"] == {"n": 1}
            assert "b" not in ledger.rows or b'"b"' in spoilt
            ledger.append("c", {"text": "whole"})
    assert path.read_bytes().endswith(b'{"key": "c", "text": "whole"}\n')


def test_a_key_depends_on_everything() -> None:
    assert row_key(a=1, b="x") == row_key(b="x", a=1)
    assert len({row_key(a=1), row_key(a="1"), row_key(b=1), row_key(a=1, b=None)}) == 4
