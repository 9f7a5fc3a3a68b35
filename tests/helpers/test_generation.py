"""Generation against a stand-in for a hosted provider, whose every answer a test can choose."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpxClient, OpenAI

from helpers.ask import (
    AGES,
    GENDERS,
    POWERS,
    VALIDATION_POWERS,
    BudgetExceeded,
    GenerationError,
    LedgerBusy,
    generate,
    superhero_grid,
)
from helpers.ledger import Ledger
from helpers.money.costs import usage_cost
from helpers.money.metering import async_hooks
from helpers.settings import Settings
from tests.support.provider import Answer, Provider, completion, error

HOSTED = Settings(
    "hosted", "openai", "https://api.openai.com/v1", "gpt-6-luna", "gpt-4.1-mini", concurrency=4
)
AT_HOME = Settings("sandbox", "sandbox", None, "m", "m", concurrency=4, seeds=True)


def good(number: int, body: dict[str, Any]) -> Answer:
    return 200, {}, completion(f"text {number}")


def run(provider: Provider, grid: pd.DataFrame, path: Path, **options: Any) -> pd.DataFrame:
    """Call generate() as a notebook does, on a loop of its own."""

    async def work() -> pd.DataFrame:
        async with AsyncOpenAI(api_key="k", base_url=provider.url) as client:
            arguments = {"model": "gpt-6-luna", "settings": HOSTED, "progress": False, **options}
            return await generate(client, grid, path, **arguments)

    return asyncio.run(work())


@pytest.fixture
def grid() -> pd.DataFrame:
    return superhero_grid(powers=("flight",), repeats=1)


def test_the_grid_is_the_old_guides() -> None:
    grid = superhero_grid()
    assert len(grid) == 294 == len(AGES) * len(GENDERS) * len(POWERS) * 3
    assert list(grid.columns) == ["age", "gender", "power", "prompt", "sub_prompt"]
    first = grid.iloc[0]
    assert first["prompt"] == (
        "Imagine a complete and detailed description of a 18-year-old man fictional character who "
        "has the superpower of invisibility. Write out the entire description in a maximum of 100 "
        "words in great detail:"
    )
    assert first["sub_prompt"] == "18, man, invisibility"
    assert grid["prompt"].nunique() == 98


def test_validation_powers_are_neither_trained_on_nor_the_final_question() -> None:
    assert not set(VALIDATION_POWERS) & {*POWERS, "Healing"}


def test_all_rows_are_written_in_the_grids_order(grid: pd.DataFrame, tmp_path: Path) -> None:
    def script(number: int, body: dict[str, Any]) -> Answer:
        time.sleep(0.02 * (3 - number % 4))  # later calls overtake earlier ones
        return 200, {}, completion("You asked: " + body["messages"][0]["content"])

    with Provider(script) as provider:
        frame = run(provider, grid, tmp_path / "out.csv")
    assert list(frame["response_txt"]) == ["You asked: " + prompt for prompt in grid["prompt"]]
    assert set(frame["finish_reason"]) == {"stop"}
    assert list(frame.columns[:7]) == [*grid.columns, "response_txt", "finish_reason"]
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "out.csv"), frame, check_dtype=False)
    assert 1 < provider.busiest <= 4


def test_the_call_is_what_todays_models_accept(grid: pd.DataFrame, tmp_path: Path) -> None:
    with Provider(good) as provider:
        run(provider, grid.head(1), tmp_path / "out.csv")
    assert provider.calls == [
        {
            "messages": [{"role": "user", "content": grid["prompt"][0]}],
            "model": "gpt-6-luna",
            "temperature": 1.0,
            "max_completion_tokens": 300,
            "reasoning_effort": "none",
        }
    ]


def test_seeds_are_sent_where_they_are_supported(grid: pd.DataFrame, tmp_path: Path) -> None:
    with Provider(good) as provider:
        run(provider, grid, tmp_path / "out.csv", settings=AT_HOME, model="m", seed=100)
    assert sorted(call["seed"] for call in provider.calls) == list(range(100, 114))
    assert "reasoning_effort" not in provider.calls[0]


def test_a_second_run_pays_for_nothing(grid: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    with Provider(good) as provider:
        first = run(provider, grid, path)
        path.unlink()
        second = run(provider, grid, path)
        assert len(provider.calls) == len(grid)
        pd.testing.assert_frame_equal(first, second)
        assert path.is_file()
        run(provider, grid, path, model="gpt-4.1-mini")
        assert len(provider.calls) == 2 * len(grid)
        run(provider, grid, path, fresh=True)
        assert len(provider.calls) == 3 * len(grid)


def test_repeated_prompts_are_rows_of_their_own(tmp_path: Path) -> None:
    grid = superhero_grid(powers=("flight",), repeats=3)
    with Provider(good) as provider:
        frame = run(provider, grid, tmp_path / "out.csv")
    assert frame["response_txt"].nunique() == len(grid) == len(provider.calls)


def test_a_lost_row_is_reported_and_made_later(grid: pd.DataFrame, tmp_path: Path) -> None:
    def script(number: int, body: dict[str, Any]) -> Answer:
        if "50-year-old man" in body["messages"][0]["content"] and len(provider.calls) <= 14:
            return 400, {}, error("content_policy", "not this one")
        return good(number, body)

    path = tmp_path / "out.csv"
    with Provider(script) as provider:
        with pytest.raises(GenerationError, match=r"1 of 14 rows failed(?s:.*)50, man, flight"):
            run(provider, grid, path, concurrency=1)
        assert not path.exists()
        assert len(provider.calls) == 14
        assert len(run(provider, grid, path)) == 14
        assert len(provider.calls) == 15


def test_what_would_fail_for_every_row_ends_the_work(grid: pd.DataFrame, tmp_path: Path) -> None:
    def script(number: int, body: dict[str, Any]) -> Answer:
        if number < 3:
            return good(number, body)
        return 429, {}, error("insufficient_quota", "You exceeded your current quota")

    with Provider(script) as provider:
        with pytest.raises(GenerationError, match=r"current quota(?s:.*)rows are safe"):
            run(provider, grid, tmp_path / "out.csv", concurrency=1)
        assert len(provider.calls) == 4


def test_a_refused_parameter_does_not_cost_a_call_for_every_row(
    grid: pd.DataFrame, tmp_path: Path
) -> None:
    def script(number: int, body: dict[str, Any]) -> Answer:
        return 400, {}, error("unsupported_value", "no such temperature")

    with Provider(script) as provider:
        with pytest.raises(GenerationError, match="no such temperature"):
            run(provider, grid, tmp_path / "out.csv", concurrency=1)
        assert len(provider.calls) == 5


def test_nobody_there_is_said_once(grid: pd.DataFrame, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr("helpers.asking.retry_wait", lambda error, attempt: 0.0)
    with Provider(good) as provider:
        pass
    with pytest.raises(GenerationError, match="APIConnectionError"):
        run(provider, grid, tmp_path / "out.csv")


def test_a_rate_limit_stops_everybody_for_as_long_as_asked(
    grid: pd.DataFrame, tmp_path: Path
) -> None:
    times: list[float] = []

    def script(number: int, body: dict[str, Any]) -> Answer:
        times.append(time.monotonic())
        if number == 2:
            return 429, {"retry-after": "1"}, error("rate_limit_exceeded")
        return good(number, body)

    with Provider(script) as provider:
        assert len(run(provider, grid, tmp_path / "out.csv", concurrency=2)) == 14
    # The other caller may have one call under way when the limit is met.
    assert sum(times[2] < moment < times[2] + 0.9 for moment in times) <= 1


def test_it_slows_down_before_the_wall(grid: pd.DataFrame, tmp_path: Path) -> None:
    times: list[float] = []

    def script(number: int, body: dict[str, Any]) -> Answer:
        times.append(time.monotonic())
        left = 0 if number == 4 else 60
        headers = {"x-ratelimit-remaining-requests": str(left), "x-ratelimit-reset-requests": "1s"}
        return 200, headers, completion()

    with Provider(script) as provider:
        run(provider, grid, tmp_path / "out.csv", concurrency=1)
    assert len(times) == 14
    assert times[5] - times[4] > 0.9


def test_server_errors_are_tried_again(
    grid: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helpers.pace.random.uniform", lambda low, high: 0.01)

    def script(number: int, body: dict[str, Any]) -> Answer:
        return (500, {}, error(None)) if number % 2 else good(number, body)

    with Provider(script) as provider:
        assert len(run(provider, grid, tmp_path / "out.csv", concurrency=1)) == 14


def test_the_ceiling_is_checked_before_the_first_call(grid: pd.DataFrame, tmp_path: Path) -> None:
    with Provider(good) as provider:
        with pytest.raises(BudgetExceeded, match="Nothing was called"):
            run(provider, grid, tmp_path / "out.csv", max_usd=0.0001)
        with pytest.raises(BudgetExceeded, match="price of mystery is not known"):
            run(provider, grid, tmp_path / "out.csv", max_usd=1.0, model="mystery")
        assert provider.calls == []


def test_the_ceiling_holds_when_the_estimate_was_too_low(
    grid: pd.DataFrame, tmp_path: Path
) -> None:
    def script(number: int, body: dict[str, Any]) -> Answer:
        return 200, {}, completion(tokens_out=100_000)  # five cents each

    with Provider(script) as provider:
        with pytest.raises(BudgetExceeded, match="rows made so far are safe"):
            run(provider, grid, tmp_path / "out.csv", max_usd=0.12, concurrency=1)
        assert len(provider.calls) == 3


@pytest.mark.parametrize("concurrency", [1, 4, 32])
def test_the_ceiling_is_kept_by_calls_side_by_side(
    grid: pd.DataFrame, tmp_path: Path, concurrency: int
) -> None:
    """The estimate is far too low, and every answer as long as it may be."""

    def script(number: int, body: dict[str, Any]) -> Answer:
        return 200, {}, completion(tokens_in=100, tokens_out=body["max_completion_tokens"])

    with Provider(script) as provider:
        price = usage_cost("gpt-6-luna", 100, 20_000)
        options = {"max_tokens": 20_000, "concurrency": concurrency, "max_usd": 5.5 * price}
        with pytest.raises(BudgetExceeded, match="rows made so far are safe"):
            run(provider, grid, tmp_path / "out.csv", **options)
        # Five fit, the sixth would not: it was never asked for, and the five are all there.
        assert len(provider.calls) == 5
    rows = (tmp_path / "out.rows.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(rows) == 5


def test_a_refusal_lets_the_calls_under_way_finish(
    grid: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ceiling of all spending comes down in the middle: what is paid for is not lost."""
    monkeypatch.setenv("HEROES_MY", str(tmp_path / "my"))

    def script(number: int, body: dict[str, Any]) -> Answer:
        if number == 3:
            monkeypatch.setenv("HEROES_MAX_USD", "0.000001")
        time.sleep(0.2)
        return good(number, body)

    async def work(url: str) -> None:
        hooks = {"http_client": DefaultAsyncHttpxClient(event_hooks=async_hooks())}
        async with AsyncOpenAI(api_key="k", base_url=url, **hooks) as client:
            await generate(
                client,
                grid,
                tmp_path / "out.csv",
                model="gpt-6-luna",
                settings=HOSTED,
                progress=False,
            )

    with Provider(script) as provider:
        with pytest.raises(BudgetExceeded, match="HEROES_MAX_USD"):
            asyncio.run(work(provider.url))
        rows = (tmp_path / "out.rows.jsonl").read_text(encoding="utf-8").splitlines()
        assert len(rows) == len(provider.calls) == 4


def test_two_programs_do_not_write_the_same_rows(grid: pd.DataFrame, tmp_path: Path) -> None:
    with Provider(good) as provider, Ledger(tmp_path / "out.rows.jsonl"):
        with pytest.raises(LedgerBusy, match="Another notebook"):
            run(provider, grid, tmp_path / "out.csv")
        assert provider.calls == []


def test_wrong_arguments_are_named(grid: pd.DataFrame, tmp_path: Path) -> None:
    client = OpenAI(api_key="k", base_url="http://127.0.0.1:9/v1")
    with client, pytest.raises(TypeError, match="connect_async"):
        asyncio.run(generate(client, grid, tmp_path / "out.csv", model="m"))  # type: ignore[arg-type]
    with Provider(good) as provider, pytest.raises(ValueError, match="no column prompt"):
        run(provider, grid.drop(columns="prompt"), tmp_path / "out.csv")


SCRIPT = """
import asyncio, signal, sys
# A shell that runs the tests in the background makes its children deaf to Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
from pathlib import Path
from openai import AsyncOpenAI
from helpers.ask import generate, superhero_grid
from helpers.settings import Settings

async def main():
    settings = Settings("hosted", "other", sys.argv[1], "m", "m", concurrency=3)
    async with AsyncOpenAI(api_key="k", base_url=sys.argv[1]) as client:
        await generate(client, superhero_grid(("flight",), 3), Path(sys.argv[2]), model="m",
                       settings=settings)

asyncio.run(main())
"""


@pytest.mark.parametrize("how", ["interrupt", "kill"])
def test_an_interrupted_run_goes_on_without_paying_twice(tmp_path: Path, how: str) -> None:
    if os.name == "nt" and how == "interrupt":
        pytest.skip("Windows cannot send Ctrl-C to one child process alone")

    def script(number: int, body: dict[str, Any]) -> Answer:
        time.sleep(0.1)
        return 200, {}, completion(f"text {number}")

    path, rows = tmp_path / "out.csv", tmp_path / "out.rows.jsonl"
    with Provider(script) as provider:
        command = [sys.executable, "-c", SCRIPT, provider.url, str(path)]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as child:
            deadline = time.monotonic() + 120
            while len(provider.calls) < 12 and time.monotonic() < deadline:
                time.sleep(0.01)
            child.send_signal(signal.SIGINT) if how == "interrupt" else child.kill()
            assert child.wait(120) != 0
        saved = [json.loads(line) for line in rows.read_text().splitlines()]
        in_flight = len(provider.calls) - len(saved)
        assert 9 <= len(saved) < 42
        assert in_flight <= 3
        before = len(provider.calls)
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        assert len(provider.calls) == before + 42 - len(saved)
    kept = set(pd.read_csv(path)["response_txt"])
    assert len(kept) == 42
    assert {row["response_txt"] for row in saved} <= kept
