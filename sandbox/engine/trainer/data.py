"""Examples on their way into the model: read, put in order, padded to tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sandbox.engine.text.encoder import Encoder
from sandbox.engine.text.examples import Role, TrainingExample, read_examples

IGNORED = -100  # the label that the loss leaves out
POOL_BATCHES = 50  # examples of so many batches are sorted by length together


@dataclass(frozen=True)
class ExampleSet:
    """All examples of a file in memory; ``format`` is "chat" or "completion"."""

    examples: list[TrainingExample]
    format: str

    @property
    def n_tokens(self) -> int:
        """Tokens of all examples together."""
        return sum(len(example.ids) for example in self.examples)

    @classmethod
    def read(cls, path: Path, encoder: Encoder, role: Role) -> ExampleSet:
        """Read a file that was validated before. Raises TrainingFileError all the same."""
        pairs = list(read_examples(path, encoder, role))
        return cls([example for _, example in pairs], pairs[0][0] if pairs else "chat")


def collate(examples: Sequence[TrainingExample]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and labels [B, T], padded on the right; a label is the token itself or IGNORED.

    No attention mask: with causal attention no real token ever looks at the padding behind it.
    """
    longest = max(len(example.ids) for example in examples)
    ids = torch.zeros(len(examples), longest, dtype=torch.long)
    labels = torch.full((len(examples), longest), IGNORED, dtype=torch.long)
    for row, example in enumerate(examples):
        tokens = torch.tensor(example.ids)
        ids[row, : len(tokens)] = tokens
        learned = torch.tensor(example.mask, dtype=torch.bool)
        labels[row, : len(tokens)][learned] = tokens[learned]
    return ids, labels


def epoch_batches(
    lengths: Sequence[int], batch_size: int, seed: int, epoch: int
) -> list[list[int]]:
    """The batches of one epoch, as indices: every example once, like lengths together.

    Batches of like lengths need less padding. The order depends on the arguments only, so a job
    that goes on inside an epoch sees the rest of it exactly as it would have.
    """
    rng = np.random.Generator(np.random.PCG64([seed, epoch]))
    by_length = -np.asarray(lengths)
    shuffled = rng.permutation(len(lengths))
    pool = batch_size * POOL_BATCHES  # not all at once: batches are to differ between epochs
    batches: list[list[int]] = []
    for start in range(0, len(shuffled), pool):
        part = shuffled[start : start + pool]
        part = part[np.argsort(by_length[part], kind="stable")]
        batches += [part[i : i + batch_size].tolist() for i in range(0, len(part), batch_size)]
    # Only the last batch may be short: the others are shuffled before it.
    full = [batch for batch in batches if len(batch) == batch_size]
    short = [batch for batch in batches if len(batch) < batch_size]
    return [full[i] for i in rng.permutation(len(full))] + short
