"""The measurement of retrieval: its base, its questions, its sums, and names that are found."""

from __future__ import annotations

import numpy as np
import pytest
from openai import OpenAI

from bench.retrieval import Question, bm25_scores, chance, embed, fact_base, questions, recall
from tests.support.live_sandbox import live_client, live_model, live_sandbox

__all__ = ["live_client", "live_model", "live_sandbox"]


def test_the_base_is_the_same_every_time_and_has_no_twins() -> None:
    facts = fact_base()
    assert facts == fact_base()
    assert len(facts) == 50
    assert len({fact.name for fact in facts}) == 50
    assert len({(fact.age, fact.gender, fact.power) for fact in facts}) == 50
    assert len({fact.power for fact in facts}) == 10
    assert all(fact.text.startswith(f"{fact.name} is a") for fact in facts)


def test_the_questions_have_answers_and_do_not_give_the_power_away() -> None:
    facts = fact_base()
    asked = questions(facts)
    assert len(asked) == 120 and len({question.text for question in asked}) == 120
    for question in asked:
        assert question.answers
        if question.kind == "the power in other words":
            power = facts[min(question.answers)].power
            assert power.lower() not in question.text.lower()


def test_recall_and_chance() -> None:
    asked = [Question("k", "a", frozenset([0])), Question("k", "b", frozenset([2, 3]))]
    scores = np.array([[0.9, 0.1, 0.2, 0.3], [0.9, 0.8, 0.7, 0.1]])
    assert recall(scores, asked, at=1) == 0.5
    assert recall(scores, asked, at=3) == 1.0
    assert chance(4, asked[:1], at=1) == pytest.approx(1 / 4)
    assert chance(4, asked[1:], at=1) == pytest.approx(1 / 2)
    assert chance(4, asked[1:], at=3) == 1.0


@pytest.mark.slow
def test_embeddings_find_a_hero_by_the_name(live_client: OpenAI) -> None:
    """Far above chance, which finds 6 in 100; the exact words, which BM25 looks for, find all."""
    facts = fact_base()
    asked = [question for question in questions(facts) if question.kind == "by name"]
    texts, wordings = [fact.text for fact in facts], [question.text for question in asked]
    scores = embed(live_client, wordings) @ embed(live_client, texts).T
    assert recall(scores, asked) > 0.75
    assert recall(bm25_scores(texts, wordings), asked) > 0.9
