"""What a trainer by hand needs beside the lesson: the job's order, tables, model folders."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from helpers.sandbox import state_folder
from helpers.settings import ROOT

BASE_MODEL = ROOT / "sandbox" / "base_model" / "weights"
# How a model that never learned to chat gets its examples: the note, then the answer, then the end.
PLAIN_TEMPLATE = (
    "{% for message in messages %}{% if message.role == 'assistant' %}"
    "{{ ' ' + message.content + eos_token }}{% else %}{{ message.content }}{% endif %}{% endfor %}"
)
NOT_LEARNED = -100  # the label that torch leaves out of the loss
POOL = 50  # batches that are sorted together
# Pale enough for dark letters, told apart by colour-blind eyes; every box has a border as well.
COLOURS = ("#d5e8f0", "#fbe6d4", "#e4efdc", "#ece3f4")
BOX = (
    "display:inline-block;white-space:pre;margin:1px;padding:1px 3px;border:1px solid #8d8d94;"
    "border-radius:4px;color:#2b2b33;font-family:monospace;background:{}"
)


class JobOrder:
    """The order in which a sandbox job reads its examples: a sampler for a DataLoader.

    The examples are shuffled, then sorted by length within large pools, cut into batches, and the
    batches are shuffled. So a batch holds texts of like length and little padding. Seed and epoch
    alone decide, which is why a run can be repeated.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int) -> None:
        self.lengths = -np.asarray(lengths)  # longest first
        self.batch_size, self.seed, self.epoch = batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """The DataLoader of a Trainer calls this before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        draw = np.random.Generator(np.random.PCG64([self.seed, self.epoch]))
        pools = _cut(draw.permutation(len(self.lengths)), POOL * self.batch_size)
        sorted_pools = [pool[np.argsort(self.lengths[pool], kind="stable")] for pool in pools]
        batches = [batch for pool in sorted_pools for batch in _cut(pool, self.batch_size)]
        full = [batch for batch in batches if len(batch) == self.batch_size]
        rest = [batch for batch in batches if len(batch) < self.batch_size]
        for batch in [*(full[i] for i in draw.permutation(len(full))), *rest]:
            yield from batch.tolist()


def _cut(indices: np.ndarray, size: int) -> list[np.ndarray]:
    return [indices[start : start + size] for start in range(0, len(indices), size)]


def label_table(tokenizer: Any, example: Mapping[str, Sequence[int]]) -> pd.DataFrame:
    """One row per token of an example: its text, its number, its label, and what that means."""
    ids, labels = list(example["input_ids"]), list(example["labels"])
    learned = ["no" if label == NOT_LEARNED else "yes" for label in labels]
    texts = [repr(tokenizer.decode([number]))[1:-1] for number in ids]
    return pd.DataFrame({"token": texts, "id": ids, "label": labels, "learned": learned})


def batch_picture(labels: Sequence[Sequence[int]], lengths: Sequence[int], scale: int = 4) -> str:
    """A batch as lines of characters, one for every `scale` tokens.

    `#` is learned, `-` is only read (the note), `.` is padding behind the row's own length.
    """
    lines = []
    for row, length in zip(labels, lengths, strict=True):
        read = "".join("-" if label == NOT_LEARNED else "#" for label in row[:length])
        lines.append(read.ljust(len(row), ".")[::scale])
    return "\n".join(lines)


class TokenBoxes:
    """A row of boxes, one for each piece of text; `str` of it draws bars between the pieces."""

    def __init__(self, pieces: Sequence[str]) -> None:
        self.pieces = list(pieces)

    def _repr_html_(self) -> str:
        # A line break would break its box, and an empty box says nothing.
        shown = [escape(piece.replace("\n", "↵")) or "∅" for piece in self.pieces]
        boxes = "".join(
            f'<span style="{BOX.format(COLOURS[number % len(COLOURS)])}">{piece}</span>'
            for number, piece in enumerate(shown)
        )
        return f'<div role="img" aria-label="{escape(str(self))}">{boxes}</div>'

    def __str__(self) -> str:
        return f"{len(self.pieces)} tokens: " + "|".join(self.pieces)

    __repr__ = __str__


def calm_libraries() -> None:
    """Ask the machine-learning libraries to wait politely and to print no bars and no warnings.

    They read this once, when they are loaded: call it before `import torch`.
    """
    # With PASSIVE, threads that have nothing to do sleep and leave the processor to others.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    # peft uses a name of transformers that is going to change, and adapts itself to GPT-2's
    # matrices with a warning: neither is in a learner's hands.
    for name in ("is_gradient_checkpointing", "fan_in_fan_out"):
        warnings.filterwarnings("ignore", message=f".*{name}.*")


def base_model_folder() -> Path:
    """The folder of the course's base model. Raises FileNotFoundError if the clone lacks it."""
    if not (BASE_MODEL / "model.safetensors").is_file():
        raise FileNotFoundError(
            f"There is no model in {BASE_MODEL.relative_to(ROOT).as_posix()}. It is part of the "
            "course's files: fetch them again, complete."
        )
    return BASE_MODEL


def tuned_model_folder(job_id: str, step: int) -> Path | None:
    """The folder where this machine's sandbox keeps what a job had trained at a step.

    None if there is none: the job was trained elsewhere, or its model is deleted.
    """
    folder = state_folder() / "models" / f"{job_id}-{step}"
    return folder if (folder / "model.safetensors").is_file() else None
