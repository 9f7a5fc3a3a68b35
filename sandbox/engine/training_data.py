"""Examples on their way into the model: their order, and batches of tensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

from sandbox.engine.examples import TrainingExample, read_examples
from sandbox.engine.text.encoder import Encoder

IGNORED = -100  # the label that the loss leaves out


class ExampleSet(Dataset[TrainingExample]):
    """All examples of a file in memory."""

    def __init__(self, examples: Sequence[TrainingExample], format: str) -> None:
        self.examples = examples
        self.format = format
        self.lengths = [len(example.ids) for example in examples]

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> TrainingExample:
        return self.examples[index]

    @property
    def n_tokens(self) -> int:
        """Tokens of all examples together."""
        return sum(self.lengths)

    @classmethod
    def read(cls, path: Path, encoder: Encoder, role: str) -> ExampleSet:
        """Read a file that was validated before. Raises TrainingFileError all the same."""
        pairs = list(
            read_examples(path, encoder, "training" if role == "training" else "validation")
        )
        return cls([example for _, example in pairs], pairs[0][0] if pairs else "chat")


def collate(examples: Sequence[TrainingExample]) -> dict[str, torch.Tensor]:
    """Pad examples on the right; labels [B, T] are the tokens to learn, IGNORED elsewhere.

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
    return {"input_ids": ids, "labels": labels}


class LengthGroupedOrder(Sampler[int]):
    """A new order each epoch, with examples of like length in one batch (less padding).

    The order depends on seed and epoch only, so a job that goes on from a checkpoint sees the
    rest of its epoch exactly as it would have.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self._lengths = np.asarray(lengths)
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        rng = np.random.Generator(np.random.PCG64([self._seed, self._epoch]))
        shuffled = rng.permutation(len(self._lengths))
        pool = self._batch_size * 50  # sorted within pools, to keep batches different each epoch
        batches: list[np.ndarray] = []
        for start in range(0, len(shuffled), pool):
            part = shuffled[start : start + pool]
            part = part[np.argsort(-self._lengths[part], kind="stable")]
            batches += [
                part[i : i + self._batch_size] for i in range(0, len(part), self._batch_size)
            ]
        # Only the last batch may be short: the others are shuffled before it.
        full = [batch for batch in batches if len(batch) == self._batch_size]
        short = [batch for batch in batches if len(batch) < self._batch_size]
        for i in rng.permutation(len(full)):
            yield from full[i].tolist()
        for batch in short:
            yield from batch.tolist()
