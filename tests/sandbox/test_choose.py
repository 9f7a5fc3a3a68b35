"""How the next token is chosen from its probabilities, and with which seed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sandbox.api.seeds import REMEMBERED, Seeds
from sandbox.engine.sampler.choose import (
    CANDIDATES,
    ChoiceState,
    likeliest,
    log_probabilities,
    random_generator,
    sample,
)
from sandbox.parameters import Sampling

# Torch takes seconds to import.
pytestmark = pytest.mark.slow

LOGITS = arrays(np.float64, (3, 100), elements=st.floats(-20, 20, width=16))


def state(seed: int, choice: int = 0, **settings: Any) -> ChoiceState:
    return ChoiceState(Sampling(**settings), random_generator(seed, choice))


def states(count: int, **settings: Any) -> list[ChoiceState]:
    return [state(7, i, **settings) for i in range(count)]


def by_hand(logits: np.ndarray, temperature: float, top_p: float, point: float) -> int:
    """The definition, one token at a time."""
    weights = np.exp((logits - logits.max()) / temperature)
    order = sorted(range(len(weights)), key=lambda i: (-weights[i], i))
    kept, mass = [], 0.0
    for token in order:
        kept.append(token)
        mass += weights[token]
        if top_p < 1 and mass >= top_p * weights.sum():
            break
    total, passed = (mass if top_p < 1 else weights.sum()), 0.0
    for token in kept:
        passed += weights[token]
        if passed > point * total:
            return token
    return kept[-1]


@given(LOGITS, st.floats(0.05, 2), st.floats(0, 1))
def test_the_batched_draw_follows_the_definition(
    logits: np.ndarray, temperature: float, top_p: float
) -> None:
    assert logits.shape[1] > CANDIDATES
    points = [random_generator(7, i).random() for i in range(3)]
    drawn = sample(logits, states(3, temperature=temperature, top_p=top_p))
    expected = [by_hand(row, temperature, top_p, u) for row, u in zip(logits, points, strict=True)]
    assert drawn.tolist() == expected


@given(LOGITS)
def test_temperature_0_and_top_p_0_take_the_likeliest(logits: np.ndarray) -> None:
    expected = logits.argmax(axis=1).tolist()
    assert sample(logits, states(3, temperature=0)).tolist() == expected
    assert sample(logits, states(3, top_p=0.0)).tolist() == expected


def test_tiny_temperatures_do_not_overflow() -> None:
    logits = np.array([[1.0, 2.0, 3.0]])
    with np.errstate(over="raise", invalid="raise"):
        assert sample(logits, states(1, temperature=1e-300)).tolist() == [2]


def test_frequencies_are_the_probabilities() -> None:
    logits = np.log(np.tile([0.5, 0.3, 0.2], (4000, 1)))
    counts = Counter(sample(logits, states(4000)).tolist())
    assert [counts[i] / 4000 for i in range(3)] == pytest.approx([0.5, 0.3, 0.2], abs=0.03)


def test_a_flat_distribution_reaches_beyond_the_candidates() -> None:
    drawn = sample(np.zeros((500, 5 * CANDIDATES)), states(500))
    assert len(set(drawn.tolist())) > 2 * CANDIDATES


def test_a_row_draws_the_same_alone_and_in_a_batch() -> None:
    rows = np.random.default_rng(0).normal(size=(20, 300))
    together = sample(rows, states(20)).tolist()
    alone = [sample(rows[[i]], [states(20)[i]])[0] for i in range(20)]
    assert together == alone


def test_penalties_follow_the_counts() -> None:
    one = state(0, presence_penalty=0.5, frequency_penalty=0.25)
    one.said.update({1: 3, 2: 1})
    logits = np.zeros(4)
    one.adjust(logits)
    assert logits.tolist() == [0, -0.5 - 0.75, -0.5 - 0.25, 0]


def test_a_penalty_makes_the_likeliest_token_give_way() -> None:
    one = state(0, temperature=0, presence_penalty=2)
    logits = np.array([[3.0, 2.0, 0.0]])
    assert [int(sample(logits, [one])[0]) for _ in range(3)] == [0, 1, 0]
    assert logits.tolist() == [[3, 2, 0]]


def test_bias_bans_and_forces() -> None:
    logits = np.array([[5.0, 0.0, 0.0]] * 50)
    banned = sample(logits, states(50, logit_bias={0: -100}))
    assert 0 not in banned
    assert set(sample(logits, states(50, logit_bias={2: 100})).tolist()) == {2}


@given(LOGITS)
def test_log_probabilities_sum_to_one(logits: np.ndarray) -> None:
    logprobs = log_probabilities(logits)
    assert np.exp(logprobs).sum(axis=1) == pytest.approx(np.ones(3))
    assert (logprobs <= 0).all()


@given(LOGITS, st.integers(0, 20))
def test_the_likeliest_tokens_are_in_order(logits: np.ndarray, count: int) -> None:
    logprobs = log_probabilities(logits)[0]
    found = logprobs[likeliest(logprobs, count)]
    assert found.tolist() == sorted(logprobs.tolist(), reverse=True)[:count]


def test_seeds() -> None:
    assert random_generator(1, 0).random() == random_generator(1, 0).random()
    others = [random_generator(1, 1), random_generator(2, 0), random_generator(None, 0)]
    assert len({random_generator(1, 0).random(), *(g.random() for g in others)}) == 4


def ask(text: str, **more: object) -> dict[str, object]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}


def test_a_given_seed_is_kept_and_never_negative() -> None:
    assert Seeds(None).choose(5, ask("a")) == Seeds(7).choose(5, ask("a")) == 5
    assert Seeds(7).choose(-1, ask("a")) == 2**64 - 1


def test_without_a_server_seed_nothing_is_decided() -> None:
    assert Seeds(None).choose(None, ask("a")) is None


def test_the_order_of_different_requests_does_not_matter() -> None:
    one, two = Seeds(7), Seeds(7)
    first = {text: one.choose(None, ask(text)) for text in "abc"}
    second = {text: two.choose(None, ask(text)) for text in "cab"}
    assert first == second
    assert len(set(first.values())) == 3


def test_repeating_a_request_gives_something_new_but_repeatable() -> None:
    one, two = Seeds(7), Seeds(7)
    drawn = [one.choose(None, ask("a")) for _ in range(3)]
    assert len(set(drawn)) == 3
    assert drawn == [two.choose(None, ask("a")) for _ in range(3)]
    assert drawn[0] != Seeds(8).choose(None, ask("a"))


def test_streaming_does_not_change_the_text() -> None:
    plain = Seeds(7).choose(None, ask("a"))
    assert plain == Seeds(7).choose(None, ask("a", stream=True, user="me"))


def test_memory_is_bounded() -> None:
    seeds = Seeds(7)
    for i in range(REMEMBERED + 10):
        seeds.choose(None, {"i": i})
    assert len(seeds._counts) == REMEMBERED
