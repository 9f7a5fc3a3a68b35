"""Sampling at its simplest: read this first, then ``decode.py``, which does the same faster."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np
import torch
from transformers import PreTrainedModel


@torch.inference_mode()
def generate(
    model: PreTrainedModel,
    ids: list[int],
    max_tokens: int,
    temperature: float = 1.0,
    seed: int = 0,
    stop_ids: Collection[int] = (),
) -> Iterator[int]:
    """Yield new tokens one by one. Reads the whole text again for every token."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 0])))
    for _ in range(max_tokens):
        logits = model(input_ids=torch.tensor([ids])).logits[0, -1].double().numpy()
        token = int(logits.argmax())
        if temperature > 0:
            weights = np.exp((logits - logits.max()) / temperature)
            order = np.argsort(-weights, kind="stable")  # the likeliest first
            passed = np.cumsum(weights[order]) > rng.random() * weights.sum()
            token = int(order[passed.argmax()])
        if token in stop_ids:
            return
        yield token
        ids = [*ids, token]
