from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from helpers.costs import (
    estimate_generation,
    estimate_tokens,
    estimate_training,
    load_prices,
    money,
    price_of,
    shutdown_note,
    usage_cost,
)
from helpers.grid import superhero_grid
from helpers.settings import PRESETS


def test_the_table_says_where_each_price_comes_from() -> None:
    prices = load_prices()
    assert prices["model"].is_unique
    assert prices["source"].notna().all()
    paid = prices[(prices["input"] > 0) | (prices["training"] > 0)]
    assert paid["date"].str.fullmatch(r"\d{4}-\d{2}").all()


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
