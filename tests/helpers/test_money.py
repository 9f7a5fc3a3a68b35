"""Prices, token counts and estimates: what is shown is likely, what a ceiling goes by is enough."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from course.grid import superhero_grid
from helpers.jsonl import read_jsonl, write_jsonl
from helpers.money import (
    MOST_EPOCHS,
    BudgetExceeded,
    allow,
    auto_epochs,
    estimate_answer,
    estimate_generation,
    estimate_training,
    estimate_training_size,
)
from helpers.prices import PRICE_FILE, PRICES, money, price_of, trainable_models, usage_cost
from helpers.providers import PROVIDERS
from helpers.settings import ROOT, SettingsError
from helpers.tokens import FOLDERS, TokenCounter, counter_for, estimate_tokens, most_tokens
from sandbox.engine.text.encoder import Encoder

WRITER, BASE = "gpt-6-luna", "gpt-4.1-mini-2025-04-14"
# Any text: code, other scripts, emoji, names of special tokens, halves of UTF-16 pairs.
TEXTS = st.one_of(
    st.text(max_size=120),
    st.text("漢字かな한국어Привет", max_size=60),
    st.lists(st.sampled_from(["<|end|>", "def f(x):\n\t", "🦸‍♀️", "\ud83e", "zqxj"])).map("".join),
)
MANY = settings(
    max_examples=200,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def counter() -> TokenCounter:
    found = counter_for("superhero-mini")
    assert found is not None
    return found


def test_the_table_says_where_each_price_comes_from_and_makes_sense() -> None:
    prices = pd.read_csv(PRICE_FILE)
    assert prices["model"].is_unique
    assert prices["source"].notna().all()
    assert set(prices["provider"]) <= set(PROVIDERS)
    paid = prices[(prices["input"] > 0) | (prices["training"] > 0)]
    assert paid["date"].str.fullmatch(r"\d{4}-\d{2}").all()
    for name in PRICES:
        assert prices[name].dtype == float
        assert not (prices[name] < 0).any()
    # Cached and batched tokens are never dearer, and a batch costs half.
    assert not (prices["cached"] > prices["input"]).any()
    both = prices.dropna(subset=["batch_input"])
    for kind in ("input", "output"):
        assert list(both[f"batch_{kind}"] * 2) == pytest.approx(list(both[kind]))


def test_prices_are_found_for_snapshots_tuned_models_and_their_provider_only() -> None:
    assert price_of(BASE).training == 5.0
    assert price_of(f"ft:{BASE}:my-org:superhero:abcd1234").output == 3.2
    assert price_of("ft:superhero-mini:learner:superhero:abcd1234").input == 0
    assert price_of("mystery") is None
    assert price_of(WRITER, "openai") == price_of(WRITER)
    assert price_of(WRITER, "other") is price_of(WRITER, "nebius") is None
    assert price_of("any-base", "sandbox").output == 0
    assert usage_cost("gpt-4.1", 1, 1) is None
    assert usage_cost(WRITER, 1_000_000, 1_000_000, batch=True) == pytest.approx(0.30)


def test_words_for_money_and_models_to_train() -> None:
    words = [money(usd) for usd in (0.0, 0.0042, 1.234, 1234.5, None)]
    assert words == ["$0.00", "$0.0042", "$1.23", "$1,234.50", "price not known"]
    assert "superhero-mini" in trainable_models()
    assert not {"davinci-002", "ft:superhero-mini", WRITER} & set(trainable_models())


def test_what_is_shown() -> None:
    whole = estimate_generation(superhero_grid(), WRITER)
    assert whole.output_tokens == 294 * 130
    assert whole.usd == pytest.approx((whole.input_tokens * 0.10 + 294 * 130 * 0.50) / 1e6)
    batch = estimate_generation(superhero_grid(), WRITER, batch=True)
    assert batch.usd == pytest.approx(whole.usd / 2)
    assert "an estimate" in str(whole)
    assert "price not known" in str(estimate_generation(superhero_grid(), WRITER, provider="other"))
    answer = estimate_answer("Hello, hero!", WRITER, 1000)
    assert answer.usd == pytest.approx((10 * 0.10 + 1000 * 0.50) / 1e6)
    epochs = [auto_epochs(n) for n in (1, 10, 33, 34, 294, 8333, 8334, 100_000)]
    assert epochs == [25, 10, 3, 3, 3, 3, 2, 1]


def test_training_is_billed_by_tokens_and_epochs(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    chat = {"messages": [{"role": "user", "content": "a" * 38}, {"role": "x", "content": None}]}
    path.write_text(json.dumps(chat) + "\n" + json.dumps({"prompt": "b" * 39}) + "\nno json\n")
    once, thrice = (estimate_training(path, BASE, epochs) for epochs in (1, 3))
    assert once.input_tokens == 12 + 10 + 2
    assert thrice.usd == pytest.approx(3 * once.input_tokens * 5.00 / 1e6)
    auto = estimate_training(path, BASE, None)
    assert auto.input_tokens == 25 * once.input_tokens
    assert auto.most_usd == pytest.approx(once.most_usd * MOST_EPOCHS)
    counted = estimate_training(path, "superhero-mini", 2, exact=True)
    assert counted.exact
    assert "counted" in str(counted)
    assert not estimate_training(path, BASE, 2, exact=True).exact
    assert estimate_training(path, WRITER).usd is None
    assert estimate_training_size(4000, BASE, 2).usd == pytest.approx(2000 * 5.00 / 1e6)


def test_only_the_sandbox_models_can_be_counted(counter: TokenCounter) -> None:
    assert counter_for("ft:superhero-mini:learner:superhero:abcd1234") is counter
    for other in (WRITER, f"ft:{BASE}:me::a", "ft:", "superhero-maxi"):
        assert counter_for(other) is None


@MANY
@given(prompt=TEXTS, answer=TEXTS)
def test_counts_are_those_of_the_server(counter: TokenCounter, prompt: str, answer: str) -> None:
    encoder = Encoder(FOLDERS["superhero-mini"])
    assert counter.max_tokens == encoder.context_length
    messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
    assert counter.chat(messages[:1]) == len(encoder.encode_chat(messages[:1]))
    assert counter.example({"messages": messages}) == len(encoder.encode_chat_example(messages)[0])
    pair = {"prompt": prompt, "completion": answer}
    assert counter.example(pair) == len(encoder.encode_completion_example(**pair)[0])
    assert 0 <= estimate_tokens(prompt) <= len(prompt)
    assert counter.text(prompt) <= most_tokens(prompt)


@MANY
@given(
    prompts=st.lists(TEXTS, min_size=1, max_size=5),
    answers=st.lists(TEXTS, min_size=5, max_size=5),
    epochs=st.sampled_from([None, 1, 4]),
)
def test_the_ceiling_reckons_with_at_least_the_real_use(
    counter: TokenCounter,
    tmp_path: Path,
    prompts: list[str],
    answers: list[str],
    epochs: int | None,
) -> None:
    """The sandbox's tokenizer plays the provider's, which counts and is paid."""
    pairs = list(zip(prompts, answers, strict=False))
    used_in = sum(counter.chat([{"role": "user", "content": prompt}]) for prompt in prompts)
    used_out = [counter.text(answer) for _, answer in pairs]
    real = usage_cost(WRITER, used_in, sum(used_out))
    grid = pd.DataFrame({"prompt": prompts})
    assert estimate_generation(grid, WRITER, max_tokens=max(used_out)).most_usd >= real
    assert estimate_generation(grid, WRITER).most_usd >= real
    turns = [{"role": "user", "content": prompt} for prompt in prompts]
    one = usage_cost(WRITER, counter.chat(turns), used_out[0])
    assert estimate_answer("\n".join(prompts), WRITER, used_out[0]).most_usd >= one

    rows: list[dict[str, Any]] = [
        {"messages": [{"role": "user", "content": p}, {"role": "assistant", "content": a}]}
        for p, a in pairs
    ]
    path = tmp_path / "train.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    trained = sum(counter.example(row) for row in rows) * (epochs or auto_epochs(len(rows)))
    dollars = trained * price_of(BASE).training / 1e6
    assert estimate_training(path, BASE, epochs).most_usd >= dollars
    assert estimate_training_size(path.stat().st_size, BASE, epochs).most_usd >= dollars


def test_the_shipped_files_are_counted_as_they_are_billed(tmp_path: Path) -> None:
    encoder = Encoder(FOLDERS["superhero-mini"])
    rows = read_jsonl(ROOT / "data" / "train.jsonl")
    billed = sum(len(encoder.encode_chat_example(row["messages"])[0]) for row in rows)
    path = write_jsonl(tmp_path / "train.jsonl", rows)
    assert estimate_training(path, "superhero-mini", 2, exact=True).input_tokens == 2 * billed


def test_a_ceiling_refuses_before_anything_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEROES_ENV_FILE", str(tmp_path / "none"))
    monkeypatch.delenv("HEROES_MAX_USD", raising=False)
    answer = estimate_answer("Hi", WRITER, 1000)
    unknown = estimate_answer("Hi", WRITER, 1000, provider="other")
    allow(answer)
    allow(unknown)
    allow(answer, max_usd=0.01)
    allow(estimate_answer("Hi", WRITER, 1000, provider="sandbox"), max_usd=0.0)
    with pytest.raises(BudgetExceeded, match=r"max_usd=0\.0001\. Nothing was called"):
        allow(answer, max_usd=0.0001)
    with pytest.raises(BudgetExceeded, match=f"price of {WRITER} is not known"):
        allow(unknown, max_usd=9)
    monkeypatch.setenv("HEROES_MAX_USD", "$0.0001")
    with pytest.raises(BudgetExceeded, match=r"HEROES_MAX_USD=0\.0001"):
        allow(answer, max_usd=9)
    monkeypatch.setenv("HEROES_MAX_USD", "plenty")
    with pytest.raises(SettingsError, match="must be an amount of dollars"):
        allow(answer)
