"""Token counts: exact ones agree with the server's, estimates stay what they are called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai import OpenAI

from helpers.follow import follow
from helpers.jsonl import write_jsonl
from helpers.money.costs import estimate_training
from helpers.money.tokens import TokenCounter, counter_for, estimate_tokens, most_tokens
from tests.support.live_sandbox import (
    chat_examples,
    live_client,
    live_model,
    live_sandbox,
    pair_examples,
)

__all__ = ["live_client", "live_model", "live_sandbox"]

TEXTS = st.text(max_size=200)


@pytest.fixture(scope="module")
def counter() -> TokenCounter:
    found = counter_for("superhero-mini")
    assert found is not None
    return found


def test_only_the_sandbox_models_can_be_counted(counter: TokenCounter) -> None:
    assert counter_for("ft:superhero-mini:learner:superhero:abcd1234") is counter
    assert counter_for("ft:superhero-mini:me::abcd1234:ckpt-step-3") is counter
    for other in ("gpt-6-luna", "ft:gpt-4.1-mini-2025-04-14:me::a", "ft:", "superhero-maxi"):
        assert counter_for(other) is None


@pytest.mark.parametrize(
    "text",
    [
        "40, woman, Healing ->",
        "",
        "Ein Straßenbahn-Held",
        "<|end|> is text",
        "🦸‍♀️ 1,234",
        " \n\n\t x",
    ],
)
def test_counts_are_those_of_the_server(
    live_client: OpenAI, live_model: str, counter: TokenCounter, text: str
) -> None:
    messages = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": f"a{text}"}]
    chat = live_client.chat.completions.create(
        model=live_model, messages=messages, max_completion_tokens=1
    )
    assert counter.chat(messages) == chat.usage.prompt_tokens
    plain = live_client.completions.create(model=live_model, prompt=f"a{text}", max_tokens=1)
    assert counter.prompt(f"a{text}") == plain.usage.prompt_tokens


@pytest.mark.parametrize("examples", [chat_examples(12), pair_examples(12)], ids=["chat", "pairs"])
def test_the_bill_for_training_is_known_before(
    live_client: OpenAI, live_model: str, tmp_path: Path, examples: list[dict[str, object]]
) -> None:
    path = write_jsonl(tmp_path / "train.jsonl", examples)
    expected = estimate_training(path, live_model, 2, exact=True)
    assert expected.exact
    assert "counted" in str(expected)
    file = live_client.files.create(file=path, purpose="fine-tune")
    numbers = {"hyperparameters": {"n_epochs": 2}}
    job = live_client.fine_tuning.jobs.create(
        model=live_model,
        training_file=file.id,
        method={"type": "supervised", "supervised": numbers},
    )
    job = follow(live_client, job.id, every=0.2)
    assert job.trained_tokens == expected.input_tokens


@given(TEXTS, TEXTS)
def test_estimates_add_up(a: str, b: str) -> None:
    both, apart = estimate_tokens(a + b), estimate_tokens(a) + estimate_tokens(b)
    assert max(estimate_tokens(a), estimate_tokens(b)) <= both <= apart <= both + 1
    assert 0 <= both <= len(a + b)


@given(st.text(alphabet="漢字かな交じり文한국어Привет", max_size=50))
def test_other_scripts_are_not_taken_for_cheap(text: str) -> None:
    assert estimate_tokens(text) == len(text)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=TEXTS)
def test_no_count_is_above_the_bound(counter: TokenCounter, text: str) -> None:
    assert 0 <= counter.text(text) <= most_tokens(text)
    assert (counter.text(text) == 0) == (text == "")


@given(text=st.text(st.characters(), max_size=30))
def test_halves_of_characters_do_no_harm(counter: TokenCounter, text: str) -> None:
    half = json.loads('"\\ud83e"')
    assert counter.text(text + half) > 0
    assert most_tokens(half) == 3


@given(words=st.lists(st.text("abcdefghijklmnopqrstuvwxyz", min_size=1), min_size=1, max_size=8))
def test_words_are_counted_one_by_one(counter: TokenCounter, words: list[str]) -> None:
    """The tokenizer cuts at blanks before anything else, so there is nothing to merge."""
    first, *others = words
    apart = counter.text(first) + sum(counter.text(f" {word}") for word in others)
    assert counter.text(" ".join(words)) == apart
