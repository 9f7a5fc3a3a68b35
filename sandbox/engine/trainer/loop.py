"""The training loop: batch, forward, backward, clip, step.

This module knows a model and numbers, not jobs: the code that iterates over ``steps`` decides what
is reported, what is saved and when to stop.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from peft import PeftModel
from transformers import PreTrainedModel

from sandbox.engine.text.examples import TrainingExample
from sandbox.engine.text.hyperparameters import Hyperparameters
from sandbox.engine.trainer import processes
from sandbox.engine.trainer.data import IGNORED, ExampleSet, collate, epoch_batches

MICRO_BATCH = 16  # examples at once in memory
SCORES_AT_ONCE = 2**21  # of the loss: as many as stay in a processor's cache
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
    checkpoint: bool  # the model as it is now is one to keep
    done: float  # share of the work of all steps, up to 1.0
    metrics: dict[str, Any]


@dataclass
class Tally:
    """Loss and hits summed over the tokens to learn."""

    loss: float = 0.0
    hits: float = 0
    tokens: float = 0

    def add(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Count N tokens, logits [N, V] and targets [N]; return their summed cross-entropy.

        A few rows at a time: a large vocabulary's logits of a batch are hundreds of megabytes,
        and each pass over them would wait for the memory.
        """
        rows = max(1, SCORES_AT_ONCE // logits.shape[-1])
        total = logits.new_zeros((), dtype=torch.float32)
        hits = torch.zeros((), dtype=torch.long, device=logits.device)
        for some, answers in zip(logits.split(rows), targets.split(rows), strict=True):
            some = some.float()
            total = total + F.cross_entropy(some, answers, reduction="sum")
            hits += (some.detach().argmax(-1) == answers).sum()
        self.loss += total.item()
        self.hits += int(hits)
        self.tokens += len(targets)
        return total

    def of_all(self) -> Tally:
        """The sums over all processes that train together."""
        return Tally(*processes.sums(self.loss, self.hits, self.tokens))

    def means(self, prefix: str) -> dict[str, float]:
        """Mean loss and accuracy per token, under the names that the API gives them."""
        loss, accuracy = self.loss / max(1, self.tokens), self.hits / max(1, self.tokens)
        return {f"{prefix}_loss": loss, f"{prefix}_mean_token_accuracy": accuracy}


class TrainingRun:
    """A model, its optimizer, and how far they are; ``step`` counts the steps that were made."""

    def __init__(
        self,
        model: PreTrainedModel | PeftModel,
        training: ExampleSet,
        validation: ExampleSet | None,
        numbers: Hyperparameters,
        seed: int,
    ) -> None:
        self.model = model
        self.optimizer = _optimizer(model, numbers)
        self.trained = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.step = 0
        self.examples = training.examples
        self.steps_per_epoch = math.ceil(len(training.examples) / numbers.batch_size)
        self.total_steps = self.steps_per_epoch * numbers.n_epochs
        lengths = [len(example.ids) for example in training.examples]
        self._batches = [
            batch
            for epoch in range(numbers.n_epochs)
            for batch in epoch_batches(lengths, numbers.batch_size, seed, epoch)
        ]
        parts = numbers.n_epochs * numbers.checkpoints_per_epoch
        self._checkpoints = {self.total_steps * part // parts for part in range(1, parts + 1)}
        self._numbers = numbers
        size = min(numbers.batch_size, MICRO_BATCH)
        by_length = sorted(validation.examples if validation else [], key=lambda e: len(e.ids))
        self._validation = [by_length[i : i + size] for i in range(0, len(by_length), size)]
        self._work = np.cumsum([self._work_of(step, lengths) for step in range(self.total_steps)])
        torch.manual_seed(seed)  # for models with dropout

    @property
    def done(self) -> float:
        """The share of the work of all steps that is done."""
        return float(self._work[self.step - 1] / self._work[-1]) if self.step else 0.0

    def steps(self) -> Iterator[StepResult]:
        """Make the steps that are left, one for each iteration.

        Raises TrainingFailed when the loss or the learning rate is no finite number any more.
        """
        highest = self._numbers.learning_rate * max(1.0, self._numbers.lora_plus_ratio)
        if highest > torch.finfo(torch.float32).max:
            raise _diverged("the learning rate is too large to be a number")
        self.model.train()
        for batch in self._batches[self.step :]:
            tally = self._make_step([self.examples[i] for i in batch])
            self.step += 1
            metrics = {"step": self.step, **tally.means("train"), **self._validate()}
            if not all(math.isfinite(value) for value in metrics.values()):
                raise _diverged(f"the loss at step {self.step} is not a number")
            metrics["total_steps"] = self.total_steps
            checkpoint = self.step in self._checkpoints
            yield StepResult(self.step, self.total_steps, checkpoint, self.done, metrics)

    def _make_step(self, batch: Sequence[TrainingExample]) -> Tally:
        mine = processes.share(batch)
        parts = [collate(mine[i : i + MICRO_BATCH]) for i in range(0, len(mine), MICRO_BATCH)]
        n_learned = sum(sum(example.mask[1:]) for example in batch)
        tally = Tally()
        for group in self.optimizer.param_groups:
            group["lr"] = self._learning_rate() * group["ratio"]
        self.optimizer.zero_grad()
        for ids, labels in parts:
            loss = tally.add(*self._predict(ids, labels))
            (loss / n_learned).backward()  # the mean over all tokens of the whole batch
        processes.add_gradients(self.trained)
        torch.nn.utils.clip_grad_norm_(self.trained, MAX_GRAD_NORM)
        self.optimizer.step()
        return tally.of_all()

    def _learning_rate(self) -> float:
        """Rises for the first steps, then falls in a straight line to 0."""
        warmup = max(1, round(WARMUP_SHARE * self.total_steps))
        if self.step < warmup:
            return self._numbers.learning_rate * self.step / warmup
        left = (self.total_steps - self.step) / max(1, self.total_steps - warmup)
        return self._numbers.learning_rate * left

    def _predict(
        self, ids: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits [N, V] and targets [N] of the N tokens to learn in ids and labels [B, T].

        Beside adapters the model's head, its largest matrix, sees nothing but the positions of
        these. Where the head itself is trained, the order of its gradient's sums, and with it the
        last bits of a tuned model, would change with that.
        """
        device = self.model.device
        learned = torch.zeros_like(labels, dtype=torch.bool)
        learned[:, :-1] = labels[:, 1:] != IGNORED  # position t predicts token t + 1
        learned, targets = learned.to(device), labels[:, 1:][learned[:, :-1]].to(device)
        keep = learned if isinstance(self.model, PeftModel) else 0
        with torch.autocast(
            device.type, torch.bfloat16, enabled=self.model.dtype == torch.bfloat16
        ):
            output = self.model(input_ids=ids.to(device), logits_to_keep=keep, use_cache=False)
        logits = output.logits
        return logits if logits.dim() == 2 else logits[learned], targets

    def _work_of(self, step: int, lengths: Sequence[int]) -> int:
        """How much work a step is: in tokens, padding included, that go forward through the model.

        Backward is about twice as much again.
        """
        batch = self._batches[step]
        validated = [example for part in self._validation_at(step + 1) for example in part]
        longest = max(lengths[i] for i in batch)
        return 3 * len(batch) * longest + sum(len(example.ids) for example in validated)

    def _validation_at(self, step: int) -> list[Sequence[TrainingExample]]:
        """The batches of the validation set that are looked at after a step.

        A few times an epoch one of them; at an epoch's end that one, and then all.
        """
        every = max(1, self.steps_per_epoch // VALIDATIONS_PER_EPOCH)
        epoch_ends = step % self.steps_per_epoch == 0
        if not self._validation or not (epoch_ends or step % every == 0):
            return []
        one = self._validation[step // every % len(self._validation)]
        return [one, *self._validation] if epoch_ends else [one]

    def _validate(self) -> dict[str, float]:
        batches = self._validation_at(self.step)
        found = self._measure(batches[:1]).means("valid") if batches else {}
        return found | (self._measure(batches[1:]).means("full_valid") if batches[1:] else {})

    @torch.no_grad()
    def _measure(self, batches: Sequence[Sequence[TrainingExample]]) -> Tally:
        self.model.eval()
        tally = Tally()
        for batch in processes.share(batches):
            tally.add(*self._predict(*collate(batch)))
        self.model.train()
        return tally.of_all()


def _optimizer(
    model: PreTrainedModel | PeftModel, numbers: Hyperparameters
) -> torch.optim.Optimizer:
    """AdamW on what is trained; each group's ``ratio`` multiplies the learning rate."""
    named = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    second = [weight for name, weight in named if ".lora_B." in name]
    others = [weight for name, weight in named if ".lora_B." not in name]
    groups = [{"params": others, "ratio": 1.0}]
    if second:
        groups.append({"params": second, "ratio": numbers.lora_plus_ratio})
    return torch.optim.AdamW(groups, lr=numbers.learning_rate, weight_decay=0.0)


def _diverged(reason: str) -> TrainingFailed:
    return TrainingFailed(
        "training_diverged",
        f"Training diverged: {reason}. Use a lower learning_rate_multiplier.",
    )
