from __future__ import annotations

import numpy as np
import pytest

from helpers.retrieval import best_limit, cosine_scores, found, top, word_scores

TEXTS = [
    "Ada is a 36-year-old woman and a clockmaker.",
    "Bo is a 20-year-old man and a baker.",
    "Cleo is a 90-year-old woman and a baker.",
]


def test_rare_words_find_their_text() -> None:
    scores = word_scores(TEXTS, ["How old is Bo?", "Who is a clockmaker?", "Who is 90?"])
    assert scores.shape == (3, 3)
    assert list(top(scores)[:, 0]) == [1, 0, 2]
    # "old" occurs in every text: it tells them apart as little as "is" does.
    assert scores[0, 1] > 5 * scores[0, 0]


def test_nothing_in_common_is_a_score_of_zero() -> None:
    assert not word_scores(TEXTS, ["Zebra!", "the", ""]).any()


def test_capitals_do_not_matter() -> None:
    lower, upper = word_scores(TEXTS, ["cleo", "CLEO"])
    assert np.array_equal(lower, upper)
    assert lower.argmax() == 2


def test_cosines_depend_on_directions_only() -> None:
    scores = cosine_scores([[1, 0], [0, 2]], [[3, 0], [1, 1], [-5, 0]])
    assert scores == pytest.approx(np.array([[1, 0], [0.7071, 0.7071], [-1, 0]]), abs=1e-4)


def test_vectors_of_two_models_do_not_fit() -> None:
    with pytest.raises(ValueError, match="same model"):
        cosine_scores([[1, 0]], [[1, 0, 0]])


@pytest.mark.parametrize(("texts", "asked"), [([], ["a"]), (TEXTS, []), (TEXTS, "How old?")])
def test_nothing_to_search_is_said(texts: list[str], asked: list[str]) -> None:
    with pytest.raises(ValueError, match="Give a list of"):
        word_scores(texts, asked)


def test_top_is_best_first_and_keeps_the_order_of_equals() -> None:
    scores = np.array([[0.1, 0.9, 0.5], [0.0, 0.0, 0.0]], dtype=np.float32)
    assert top(scores, 3).tolist() == [[1, 2, 0], [0, 1, 2]]


def test_found_counts_the_best_k() -> None:
    scores = np.array([[0.1, 0.9, 0.5], [0.8, 0.1, 0.2]], dtype=np.float32)
    assert found(scores, [2, 0]) == [False, True]
    assert found(scores, [2, 0], 2) == [True, True]
    with pytest.raises(ValueError, match="zip"):
        found(scores, [2])


@pytest.mark.parametrize(
    ("answerable", "others", "mistakes"),
    [([5, 6, 7], [1, 2], 0), ([5, 2, 7], [1, 3, 0], 1), ([1, 2], [5, 6], 2), ([3], [3], 1)],
)
def test_the_best_limit_makes_the_fewest_mistakes(
    answerable: list[float], others: list[float], mistakes: int
) -> None:
    limit = best_limit(answerable, others)
    made = sum(score < limit for score in answerable) + sum(score >= limit for score in others)
    assert made == mistakes


def test_the_best_limit_keeps_its_distance() -> None:
    assert best_limit([5, 6, 7], [1, 2]) == 3.5
    with pytest.raises(ValueError, match="a list"):
        best_limit([], [1])
