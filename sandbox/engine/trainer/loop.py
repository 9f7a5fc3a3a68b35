"""The training loop: batch, forward, backward, clip, step.

This module knows a model and numbers, not jobs: whoever iterates over ``steps`` decides what is
reported, what is saved and when to stop.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from transformers import PreTrainedModel

from sandbox.engine.text.examples import TrainingExample
from sandbox.engine.text.hyperparameters import Hyperparameters
from sandbox.engine.trainer.data import IGNORED, ExampleSet, collate, epoch_batches

MICRO_BATCH = 16  # examples at once in memory
MAX_GRAD_NORM = 1.0
WARMUP_SHARE = 0.05  # of all steps
VALIDATIONS_PER_EPOCH = 4


class TrainingFailed(Exception):
    """The run cannot go on; ``code`` and ``message`` end up in the job's error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class StepResult:
    """Where the run is, and what it measured at this step."""

    step: int
    total_steps: int
    epoch_ends: bool
    metrics: dict[str, Any]


@dataclass
class Tally:
    """Loss and hits summed over the tokens to learn."""

    loss: float = 0.0
    hits: int = 0
    tokens: int = 0

    def add(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Count a batch, logits [B, T, V] and labels [B, T]; return its summed cross-entropy."""
        learned = labels[:, 1:] != IGNORED  # position t predicts token t + 1
        logits, targets = logits[:, :-1][learned].float(), labels[:, 1:][learned]
        loss = F.cross_entropy(logits, targets, reduction="sum")
        self.loss += loss.item()
        self.hits += int((logits.detach().argmax(-1) == targets).sum())
        self.tokens += len(targets)
        return loss

    def means(self, prefix: str) -> dict[str, float]:
        """Mean loss and accuracy per token, under the names that the API gives them."""
        loss, accuracy = self.loss / max(1, self.tokens), self.hits / max(1, self.tokens)
        return {f"{prefix}_loss": loss, f"{prefix}_mean_token_accuracy": accuracy}


class TrainingRun:
    """A model, its optimizer, and how far they are; ``step`` counts the steps that were made."""

    def __init__(
        self,
        model: PreTrainedModel,
        training: ExampleSet,
        validation: ExampleSet | None,
        numbers: Hyperparameters,
        seed: int,
    ) -> None:
        self.model = model
        self.trained = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.trained, lr=numbers.learning_rate, weight_decay=0.0)
        self.step = 0
        self.steps_per_epoch = math.ceil(len(training.examples) / numbers.batch_size)
        self.total_steps = self.steps_per_epoch * numbers.n_epochs
        self.examples = training.examples
        self._numbers = numbers
        self._seed = seed
        size = min(numbers.batch_size, MICRO_BATCH)
        by_length = sorted(validation.examples if validation else [], key=lambda e: len(e.ids))
        self._validation = [by_length[i : i + size] for i in range(0, len(by_length), size)]
        torch.manual_seed(seed)  # for models with dropout

    def steps(self) -> Iterator[StepResult]:
        """Make the steps that are left, one for each iteration.

        Raises TrainingFailed when the loss or the learning rate is no finite number any more.
        """
        if self._numbers.learning_rate > torch.finfo(torch.float32).max:
            raise _diverged("the learning rate is too large to be a number")
        self.model.train()
        lengths = [len(example.ids) for example in self.examples]
        batches: list[list[int]] = []
        while self.step < self.total_steps:
            epoch, position = divmod(self.step, self.steps_per_epoch)
            if position == 0 or not batches:
                batches = epoch_batches(lengths, self._numbers.batch_size, self._seed, epoch)
            tally = self._make_step([self.examples[i] for i in batches[position]])
            self.step += 1
            epoch_ends = self.step % self.steps_per_epoch == 0
            metrics = {"step": self.step, **tally.means("train"), **self._validate(epoch_ends)}
            if not all(math.isfinite(value) for value in metrics.values()):
                raise _diverged(f"the loss at step {self.step} is not a number")
            metrics["total_steps"] = self.total_steps
            yield StepResult(self.step, self.total_steps, epoch_ends, metrics)

    def _make_step(self, batch: Sequence[TrainingExample]) -> Tally:
        parts = [collate(batch[i : i + MICRO_BATCH]) for i in range(0, len(batch), MICRO_BATCH)]
        n_learned = sum(int((labels[:, 1:] != IGNORED).sum()) for _, labels in parts)
        tally = Tally()
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate()
        self.optimizer.zero_grad()
        for ids, labels in parts:
            loss = tally.add(self._logits(ids), labels.to(self.model.device))
            (loss / n_learned).backward()  # the mean over all tokens of the whole batch
        torch.nn.utils.clip_grad_norm_(self.trained, MAX_GRAD_NORM)
        self.optimizer.step()
        return tally

    def _learning_rate(self) -> float:
        """Rises for the first steps, then falls in a straight line to 0."""
        warmup = max(1, round(WARMUP_SHARE * self.total_steps))
        if self.step < warmup:
            return self._numbers.learning_rate * self.step / warmup
        left = (self.total_steps - self.step) / max(1, self.total_steps - warmup)
        return self._numbers.learning_rate * left

    def _logits(self, ids: torch.Tensor) -> torch.Tensor:
        """Logits [B, T, V] of token ids [B, T]; in bfloat16 where a GPU can do that."""
        device = self.model.device
        bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            return self.model(input_ids=ids.to(device), use_cache=False).logits

    def _validate(self, epoch_ends: bool) -> dict[str, float]:
        """A few times an epoch one batch of the validation set, and all of it at the end."""
        every = max(1, self.steps_per_epoch // VALIDATIONS_PER_EPOCH)
        if not self._validation or not (epoch_ends or self.step % every == 0):
            return {}
        one = self._validation[self.step // every % len(self._validation)]
        found = self._measure([one]).means("valid")
        if epoch_ends:
            found |= self._measure(self._validation).means("full_valid")
        return found

    @torch.no_grad()
    def _measure(self, batches: Sequence[Sequence[TrainingExample]]) -> Tally:
        self.model.eval()
        tally = Tally()
        for batch in batches:
            ids, labels = collate(batch)
            tally.add(self._logits(ids), labels.to(self.model.device))
        self.model.train()
        return tally


def _diverged(reason: str) -> TrainingFailed:
    return TrainingFailed(
        "training_diverged",
        f"Training diverged: {reason}. Use a lower learning_rate_multiplier.",
    )
