"""From logits to tokens: temperature, top-p, penalties, bias, log-probabilities.

Everything is float64 and works on many rows at once. Every choice has its own random numbers, so
what it draws does not depend on who else is in the batch.
"""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sandbox.parameters import Sampling

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CANDIDATES = 64  # sorted first; nearly every draw falls among so many likeliest tokens
AT_ONCE = 2**17  # numbers: what works on more than fits the processor's cache is many times slower


def random_generator(seed: int | None, choice: int) -> np.random.Generator:
    """The random numbers of one choice; no seed means fresh ones."""
    # A seed may be negative in the API; the generator takes none of those.
    entropy = secrets.randbits(64) if seed is None else seed % 2**64
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([entropy, choice])))


@dataclass
class ChoiceState:
    """How one choice is sampled, and what it has said so far (for the penalties)."""

    sampling: Sampling
    rng: np.random.Generator
    said: Counter[int] = field(default_factory=Counter)

    def adjust(self, logits: Floats) -> None:
        """Apply the bias and the penalties of OpenAI's API to one row of logits, in place."""
        wanted = self.sampling
        if wanted.logit_bias:
            logits[list(wanted.logit_bias)] += list(wanted.logit_bias.values())
        if self.said and (wanted.presence_penalty or wanted.frequency_penalty):
            counts = np.fromiter(self.said.values(), np.float64)
            logits[list(self.said)] -= wanted.presence_penalty + wanted.frequency_penalty * counts


def sample(logits: NDArray[np.floating], states: list[ChoiceState]) -> Ints:
    """Choose one token for each row of logits [B, V]; temperature 0 takes the likeliest."""
    rows = max(1, AT_ONCE // logits.shape[1])
    parts = [
        _sample_some(logits[start : start + rows].astype(np.float64), states[start : start + rows])
        for start in range(0, len(logits), rows)
    ]
    return np.concatenate(parts)


def _sample_some(logits: Floats, states: list[ChoiceState]) -> Ints:
    for row, state in zip(logits, states, strict=True):
        state.adjust(row)
    tokens = np.argmax(logits, axis=1)
    drawn = np.flatnonzero([state.sampling.temperature > 0 for state in states])
    if len(drawn):
        chosen = [states[i] for i in drawn]
        scores = logits[drawn] if len(drawn) < len(states) else logits
        tokens[drawn] = _draw(scores, chosen)
    for token, state in zip(tokens.tolist(), states, strict=True):
        state.said[token] += 1
    return tokens


def _draw(logits: Floats, states: list[ChoiceState]) -> Ints:
    temperature = np.array([state.sampling.temperature for state in states])[:, None]
    # Subtracting first keeps tiny temperatures from overflowing.
    weights = np.exp((logits - logits.max(axis=1, keepdims=True)) / temperature)
    totals = weights.sum(axis=1)
    top_p = np.array([state.sampling.top_p for state in states])
    points = np.array([state.rng.random() for state in states])
    tokens, found = _search_likeliest(weights, totals, top_p, points)
    for row in np.flatnonzero(~found):  # rare: the draw lies beyond the candidates
        order = np.lexsort((np.arange(weights.shape[1]), -weights[row]))
        position, _ = _invert(
            np.cumsum(weights[row][order])[None], totals[[row]], top_p[[row]], points[[row]]
        )
        tokens[row] = order[min(int(position[0]), len(order) - 1)]
    return tokens


def _search_likeliest(
    weights: Floats, totals: Floats, top_p: Floats, points: Floats
) -> tuple[Ints, NDArray[np.bool_]]:
    """Invert the cumulative distribution among the likeliest tokens only; say where it worked."""
    vocabulary = weights.shape[1]
    count = min(CANDIDATES, vocabulary)
    ids = np.argpartition(weights, vocabulary - count, axis=1)[:, vocabulary - count :]
    values = np.take_along_axis(weights, ids, axis=1)
    order = np.lexsort((ids, -values), axis=1)  # descending; equals by their token id
    ids = np.take_along_axis(ids, order, axis=1)
    values = np.take_along_axis(values, order, axis=1)
    positions, found = _invert(np.cumsum(values, axis=1), totals, top_p, points)
    chosen = np.minimum(positions, count - 1)[:, None]
    if count < vocabulary:
        # Of tokens as likely as the last candidate, not all may be among the candidates.
        found &= np.take_along_axis(values, chosen, axis=1)[:, 0] > values[:, -1]
    return np.take_along_axis(ids, chosen, axis=1)[:, 0], found


def _invert(
    sums: Floats, totals: Floats, top_p: Floats, points: Floats
) -> tuple[Ints, NDArray[np.bool_]]:
    """Positions where the cumulative sums [B, K] pass the points; False where K is too few."""
    width = sums.shape[1]
    # The nucleus: the fewest likeliest tokens whose share reaches top_p.
    last = (sums < (top_p * totals)[:, None]).sum(axis=1)
    cut = top_p < 1
    inside = np.take_along_axis(sums, np.minimum(last, width - 1)[:, None], axis=1)[:, 0]
    mass = np.where(cut, inside, totals)
    positions = (sums <= (points * mass)[:, None]).sum(axis=1)
    found = (positions < width) & (~cut | (last < width))
    return np.where(cut, np.minimum(positions, last), positions), found


def log_probabilities(logits: NDArray[np.floating]) -> Floats:
    """Log-probabilities of the model's own distribution [B, V]: no temperature, no penalties."""
    logits = logits.astype(np.float64)
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def likeliest(logprobs: Floats, count: int) -> Ints:
    """Ids of the ``count`` likeliest tokens of one row [V], descending."""
    if count <= 0:
        return np.empty(0, dtype=np.int64)
    count = min(count, len(logprobs))
    ids = np.argpartition(logprobs, len(logprobs) - count)[len(logprobs) - count :]
    return ids[np.lexsort((ids, -logprobs[ids]))]
