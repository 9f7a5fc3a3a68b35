"""Money on the command line: a real sandbox plays a provider that wants to be paid."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from helpers.jsonl import write_jsonl
from tests.support.heroes_command import Heroes, heroes
from tests.support.live_sandbox import LiveSandbox, chat_examples, live_sandbox
from tests.support.proxy import Proxy

__all__ = ["heroes", "live_sandbox"]

WRITER, BASE = "gpt-6-luna", "gpt-4.1-mini-2025-04-14"
KEY = "a-key-of-the-tests"


@dataclass
class Paid:
    """`heroes` with a provider whose models have a price, and what that provider was asked."""

    heroes: Heroes
    proxy: Proxy

    def __call__(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        done = self.heroes(
            *words,
            OPENAI_BASE_URL=self.proxy.url,
            OPENAI_API_KEY=KEY,
            HEROES_GENERATOR_MODEL=WRITER,
            HEROES_BASE_MODEL=BASE,
            **variables,
        )
        assert KEY not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def posts(self) -> list[str]:
        return [call for call in self.proxy.calls if call.startswith("POST")]

    def spent(self) -> dict[str, object]:
        return json.loads(self("cost", "--spent", "--json").stdout)


@pytest.fixture
def paid(heroes: Heroes, live_sandbox: LiveSandbox) -> Iterator[Paid]:
    names = {WRITER: "superhero-mini", BASE: "superhero-mini"}
    with Proxy(live_sandbox.url, key=live_sandbox.key, names=names) as proxy:
        yield Paid(heroes, proxy)


@pytest.mark.parametrize("words", [("chat", "Who are you?"), ("complete", "-p", "Meet Olga,")])
def test_an_answer_is_asked_for_only_after_a_yes(paid: Paid, words: tuple[str, ...]) -> None:
    unsure = paid(*words, "--max-tokens", "20")
    assert (unsure.returncode, unsure.stdout) == (1, "")
    assert f"An answer with {WRITER}: about" in unsure.stderr
    assert "(an estimate)" in unsure.stderr
    assert "--yes" in unsure.stderr.splitlines()[-1]
    assert paid.posts() == []
    sure = paid(*words, "--max-tokens", "20", "--yes")
    assert sure.returncode == 0, sure.stderr
    assert sure.stdout.strip()
    total = paid.spent()
    assert (total["calls"], total["open_usd"]) == (1, 0)
    assert 0 < float(str(total["usd"])) < 0.0001
    assert WRITER in paid("cost", "--spent").stdout


def test_ceilings_refuse_before_the_call(paid: Paid) -> None:
    for words, variables in (
        (["chat", "Hi", "--yes", "--max-usd", "0.00001"], {}),
        (["chat", "Hi", "--yes"], {"HEROES_MAX_USD": "0.00001"}),
        (["generate", "--yes", "--max-usd", "0.001"], {}),
        (["generate", "--yes"], {"HEROES_MAX_USD": "0.001"}),
    ):
        refused = paid(*words, **variables)
        assert refused.returncode == 1
        assert "Nothing was called" in refused.stderr
        assert refused.stderr.count("\n") == 1
    assert paid.posts() == []
    assert paid.spent()["calls"] == 0


def test_a_bad_ceiling_is_named(paid: Paid) -> None:
    refused = paid("chat", "Hi", "--yes", HEROES_MAX_USD="plenty")
    assert refused.returncode == 1
    assert "HEROES_MAX_USD must be an amount of dollars" in refused.stderr


def test_generated_rows_are_paid_once(paid: Paid, tmp_path: Path) -> None:
    words = ["generate", "--power", "flight", "--repeats", "1", "-o", str(tmp_path / "few.csv")]
    words += ["--yes", "--max-tokens", "5", "--temperature", "0"]
    made = paid(*words)
    assert made.returncode == 0, made.stderr
    assert f"14 answers with {WRITER}" in made.stderr
    total = paid.spent()
    assert total["calls"] == 14
    again = paid(*words[: words.index("--yes")], *words[words.index("--yes") + 1 :])
    assert again.returncode == 0, again.stderr  # nothing is missing, so nothing is asked
    assert paid.spent() == total


def test_a_job_is_paid_by_what_it_really_trained(paid: Paid, tmp_path: Path) -> None:
    train = str(write_jsonl(tmp_path / "train.jsonl", chat_examples(60)))
    words = ["jobs", "create", "-t", train, "--epochs", "1", "--batch-size", "30"]
    unsure = paid(*words)
    assert (unsure.returncode, unsure.stdout) == (1, "")
    assert f"1 epochs of training with {BASE}" in unsure.stderr
    refused = paid(*words, "--yes", "--max-usd", "0.0001")
    assert (refused.returncode, "Nothing was called" in refused.stderr) == (1, True)
    assert paid.posts() == []
    done = paid(*words, "--yes")
    assert done.returncode == 0, done.stderr
    job = json.loads(paid("jobs", "list", "--json").stdout)[0]
    total = paid.spent()
    assert (total["calls"], total["open_usd"]) == (1, 0)
    assert total["usd"] == pytest.approx(job["trained_tokens"] * 5.00 / 1e6)


def test_a_job_that_is_not_followed_keeps_its_estimate(paid: Paid, tmp_path: Path) -> None:
    train = str(write_jsonl(tmp_path / "train.jsonl", chat_examples(60)))
    file_id = paid("files", "upload", train).stdout.strip()
    words = ["jobs", "create", "-t", file_id, "--epochs", "1", "--yes", "--no-follow"]
    made = paid(*words)
    assert made.returncode == 0, made.stderr
    before = paid.spent()
    assert before["open_usd"] == before["usd"]
    assert paid("jobs", "follow", made.stdout.strip()).returncode == 0
    after = paid.spent()
    assert after["open_usd"] == 0
    assert 0 < float(str(after["usd"])) < float(str(before["usd"]))
