"""Find the text that answers a question: two ways to score texts, and how good they are.

Scores are tables with one row for each question and one column for each text; the highest score
of a row is the text that is taken for the answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import bm25s
import numpy as np
import numpy.typing as npt

Scores = npt.NDArray[np.float32]
WORD = r"(?u)\b\w+\b"  # a run of letters and digits; "67-year-old" is three of them
QUIET = {"show_progress": False}  # lines on standard error would end up in the notebook


def word_scores(texts: Sequence[str], questions: Sequence[str]) -> Scores:
    """BM25, the classic of search engines: the words that question and text share, [q, t].

    A rare word counts more than a common one; English words such as "the" do not count.
    Raises ValueError if there is nothing to search in, or nothing to search for.
    """
    _check(texts, questions)
    index = bm25s.BM25()
    index.index(bm25s.tokenize(list(texts), token_pattern=WORD, **QUIET), **QUIET)
    asked = bm25s.tokenize(list(questions), token_pattern=WORD, return_ids=False, **QUIET)
    rows = [index.get_scores(words) if words else np.zeros(len(texts)) for words in asked]
    return np.asarray(rows, dtype=np.float32)


def cosine_scores(texts: Sequence[Sequence[float]], questions: Sequence[Sequence[float]]) -> Scores:
    """How well the directions of embeddings agree: 1 for the same, 0 for unrelated ones, [q, t]."""
    _check(texts, questions)
    left, right = (np.asarray(rows, dtype=np.float32) for rows in (questions, texts))
    if left.shape[-1] != right.shape[-1]:
        raise ValueError(
            f"The questions have {left.shape[-1]} numbers each and the texts {right.shape[-1]}: "
            "embed both with the same model."
        )
    left, right = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (left, right))
    return left @ right.T


def top(scores: Scores, k: int = 1) -> npt.NDArray[np.int64]:
    """The columns of the `k` highest scores of each row, best first; equal ones in their order."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


def found(scores: Scores, right: Sequence[int], k: int = 1) -> list[bool]:
    """For each question, whether its right text (a column) is among the best `k`.

    The mean of this list is recall@k. Guessing would reach k divided by the number of texts.
    """
    return [text in best for text, best in zip(right, top(scores, k), strict=True)]


def best_limit(answerable: Sequence[float], others: Sequence[float]) -> float:
    """The limit between best scores that makes the fewest mistakes on these questions.

    A mistake is a question that a text answers below the limit, or another one not below it. Of
    several such limits it is the one in the middle. Score with it questions that are not in here.
    """
    _check(answerable, others)
    right, wrong = np.asarray(answerable), np.asarray(others)
    scores = np.unique(np.concatenate([right, wrong]))
    limits = np.concatenate([[scores[0] - 1], (scores[:-1] + scores[1:]) / 2, [scores[-1] + 1]])
    mistakes = np.array([(right < limit).sum() + (wrong >= limit).sum() for limit in limits])
    best = limits[mistakes == mistakes.min()]
    return float(best[len(best) // 2])


def _check(texts: Sequence[object], questions: Sequence[object]) -> None:
    for rows, what in ((texts, "texts to search in"), (questions, "questions to search for")):
        if isinstance(rows, str) or len(rows) == 0:
            raise ValueError(f"Give a list of {what}.")
