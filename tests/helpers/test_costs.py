from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from course.grid import superhero_grid
from helpers.money.costs import (
    PRICES,
    auto_epochs,
    estimate_answer,
    estimate_generation,
    estimate_tokens,
    estimate_training,
    estimate_training_size,
    load_prices,
    money,
    price_of,
    shutdown_note,
    trainable_models,
    training_cost,
    usage_cost,
)
from helpers.settings import PRESETS


def test_the_table_says_where_each_price_comes_from() -> None:
    prices = load_prices()
    assert prices["model"].is_unique
    assert prices["source"].notna().all()
    paid = prices[(prices["input"] > 0) | (prices["training"] > 0)]
    assert paid["date"].str.fullmatch(r"\d{4}-\d{2}").all()


def test_all_prices_are_numbers_that_make_sense() -> None:
    prices = load_prices()
    for name in PRICES:
        assert prices[name].dtype == float
        assert not (prices[name] < 0).any()
    # Cached and batched tokens are never dearer, and a batch costs half.
    assert not (prices["cached"] > prices["input"]).any()
    both = prices.dropna(subset=["batch_input"])
    assert list(both["batch_input"] * 2) == pytest.approx(list(both["input"]))
    assert list(both["batch_output"] * 2) == pytest.approx(list(both["output"]))
    ends = prices["shutdown_date"].dropna()
    assert ends.between("2024-01-01", "2030-01-01").all()


def test_cached_and_batched_tokens_have_their_own_price() -> None:
    assert usage_cost("gpt-6-luna", 1_000_000, 0, cached=1_000_000) == pytest.approx(0.01)
    assert usage_cost("gpt-6-luna", 1_000_000, 1_000_000, batch=True) == pytest.approx(0.30)
    # No price for cached tokens in the table: they count as others.
    assert usage_cost("gpt-4.1-mini", 1000, 0, cached=500) == usage_cost("gpt-4.1-mini", 1000, 0)
    assert usage_cost("gpt-4.1", 1, 1) is None
    whole = estimate_generation(superhero_grid(), "gpt-6-luna")
    assert estimate_generation(superhero_grid(), "gpt-6-luna", batch=True).usd == pytest.approx(
        whole.usd / 2
    )


def test_an_answer_has_its_price() -> None:
    estimate = estimate_answer("Hello, hero!", "gpt-6-luna", 1000)
    assert estimate.usd == pytest.approx((10 * 0.10 + 1000 * 0.50) / 1e6)


def test_models_that_can_still_be_trained() -> None:
    names = trainable_models()
    assert "superhero-mini" in names
    assert not {"davinci-002", "ft:superhero-mini", "gpt-6-luna"} & set(names)


def test_epochs_that_the_server_chooses() -> None:
    assert [auto_epochs(n) for n in (0, 1, 10, 33, 34, 294, 8333, 8334, 100_000)] == [
        1,
        25,
        10,
        3,
        3,
        3,
        3,
        2,
        1,
    ]


def test_prices_are_found_for_snapshots_and_tuned_models() -> None:
    assert price_of("gpt-4.1-mini-2025-04-14").training == 5.0
    assert price_of("ft:gpt-4.1-mini-2025-04-14:my-org:superhero:abcd1234").output == 3.2
    assert price_of("ft:superhero-mini:learner:superhero:abcd1234").input == 0
    assert price_of("nobody-knows") is None


def test_every_preset_has_a_price_or_is_honest() -> None:
    assert usage_cost(PRESETS["sandbox"][0], 10**9, 10**9) == 0
    assert usage_cost(PRESETS["openai"][0], 1_000_000, 1_000_000) == pytest.approx(0.60)
    assert price_of(PRESETS["openai"][1]).training == 5.0
    assert usage_cost(PRESETS["nebius"][1], 1, 1) is None


def test_generating_the_course_data_costs_cents() -> None:
    estimate = estimate_generation(superhero_grid(), "gpt-6-luna")
    assert estimate.output_tokens == 294 * 130
    assert 13_000 < estimate.input_tokens < 22_000
    assert estimate.usd == pytest.approx(
        (estimate.input_tokens * 0.10 + estimate.output_tokens * 0.50) / 1e6
    )
    assert "estimate" in str(estimate)
    assert "price not known" in str(estimate_generation(superhero_grid(), "mystery"))


def test_training_is_billed_by_tokens_and_epochs(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    chat = {"messages": [{"role": "user", "content": "a" * 38}, {"role": "x", "content": None}]}
    path.write_text(json.dumps(chat) + "\n" + json.dumps({"prompt": "b" * 39}) + "\nno json\n")
    once = estimate_training(path, "gpt-4o-mini-2024-07-18", 1)
    thrice = estimate_training(path, "gpt-4o-mini-2024-07-18", 3)
    assert once.input_tokens == 12 + 10 + 2
    assert thrice.usd == pytest.approx(3 * once.input_tokens * 3.00 / 1e6)
    assert estimate_training(path, "superhero-mini").usd == 0
    assert estimate_training(path, "gpt-6-luna").usd is None
    with pytest.raises(ValueError, match="at least 1"):
        estimate_training(path, "superhero-mini", 0)


def test_training_can_be_counted_or_guessed_by_size(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text('{"prompt": "Hello ->", "completion": " hero"}\n\nno json\n')
    counted = estimate_training(path, "superhero-mini", 2, exact=True)
    assert counted.exact
    assert "counted" in str(counted)
    assert not estimate_training(path, "gpt-4.1-mini", 2, exact=True).exact
    auto = estimate_training(path, "gpt-4.1-mini", None)
    assert auto.input_tokens == 25 * estimate_training(path, "gpt-4.1-mini", 1).input_tokens
    assert estimate_training_size(4000, "gpt-4.1-mini", 2).usd == training_cost(
        "gpt-4.1-mini", 2000
    )
    assert training_cost("mystery", 1) is None


def test_tokens_are_about_four_characters() -> None:
    assert [estimate_tokens(text) for text in ("", "a", "abcd", "abcde")] == [0, 1, 1, 2]


def test_money_for_people() -> None:
    assert [money(usd) for usd in (0.0, 0.0042, 1.234, 1234.5, None)] == [
        "$0.00",
        "$0.0042",
        "$1.23",
        "$1,234.50",
        "price not known",
    ]


def test_a_model_with_an_end() -> None:
    model = "gpt-4.1-mini-2025-04-14"
    assert shutdown_note(model, date(2026, 11, 20)) == f"{model} will be shut down on 2027-01-14."
    assert shutdown_note(model, date(2027, 1, 14)) == f"{model} was shut down on 2027-01-14."
    assert shutdown_note("superhero-mini") is None
    assert shutdown_note("mystery") is None
