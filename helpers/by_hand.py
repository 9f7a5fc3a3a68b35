"""Step 08: what the trainer by hand needs beside the lesson: the job's order, tables, drawings.

Torch is loaded by the notebook, not here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from helpers.display import in_notebook, show
from helpers.live import LiveView

NOT_LEARNED = -100  # the label that torch leaves out of the loss
POOL = 50  # batches


class JobOrder:
    """The order in which a sandbox job reads its examples: new in every epoch, never by chance.

    The examples are shuffled, then sorted by length within large pools, cut into batches, and the
    batches are shuffled. So a batch holds texts of like length and little padding. Seed and epoch
    alone decide, which is why a run can be repeated. `Trainer` takes it as a sampler.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self.lengths = np.asarray(lengths)
        self.batch_size = batch_size
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Trainer calls this before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        draw = np.random.Generator(np.random.PCG64([self.seed, self.epoch]))
        shuffled = draw.permutation(len(self.lengths))
        batches = [batch for pool in self._cut(shuffled, POOL) for batch in self._by_length(pool)]
        full = [batch for batch in batches if len(batch) == self.batch_size]
        rest = [batch for batch in batches if len(batch) < self.batch_size]
        for batch in [*(full[i] for i in draw.permutation(len(full))), *rest]:
            yield from batch.tolist()

    def _by_length(self, pool: np.ndarray) -> list[np.ndarray]:
        return self._cut(pool[np.argsort(-self.lengths[pool], kind="stable")], 1)

    def _cut(self, indices: np.ndarray, batches: int) -> list[np.ndarray]:
        size = self.batch_size * batches
        return [indices[start : start + size] for start in range(0, len(indices), size)]


def label_table(tokenizer: Any, example: Mapping[str, Sequence[int]]) -> pd.DataFrame:
    """One row per token of an example: its text, its number, its label, and what that means."""
    ids, labels = example["input_ids"], example["labels"]
    learned = ["no" if label == NOT_LEARNED else "yes" for label in labels]
    texts = [repr(tokenizer.decode([number]))[1:-1] for number in ids]
    return pd.DataFrame(
        {"token": texts, "id": list(ids), "label": list(labels), "learned": learned}
    )


def batch_picture(labels: Sequence[Sequence[int]], lengths: Sequence[int], scale: int = 4) -> str:
    """A batch as lines of characters, each standing for `scale` tokens.

    `#` is learned, `-` is only read (the note), `.` is padding behind the row's own length.
    """
    lines = []
    for row, length in zip(labels, lengths, strict=True):
        marks = [
            "." if i >= length else "-" if t == NOT_LEARNED else "#" for i, t in enumerate(row)
        ]
        lines.append("".join(marks[::scale]))
    return "\n".join(lines)


class TrainingView:
    """A live loss curve, for a callback to feed; its place on a page is held by a sentence."""

    def __init__(self) -> None:
        self.view = LiveView()
        if in_notebook():
            show(self.view.box, "(The loss as a live curve: it grows in a running notebook.)")

    def update(self, step: int, total: int, rows: Sequence[Mapping[str, float]]) -> None:
        """Show `step` of `total` steps, and the rows (step, train_loss) so far."""
        self.view.update(f"step {step} of {total}", step, total, pd.DataFrame(list(rows)))
