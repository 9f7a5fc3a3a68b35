"""One fine-tuning run: ``transformers.Trainer`` with a loss on the answers only.

This module knows models and numbers, not jobs: what happens is told to a ``Listener``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from transformers import PreTrainedModel, Trainer, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback, TrainerControl, TrainerState

from sandbox.engine import training_state
from sandbox.engine.hyperparameters import Hyperparameters
from sandbox.engine.training_data import IGNORED, ExampleSet, LengthGroupedOrder, collate

LORA_ABOVE = 50_000_000  # parameters
MICRO_BATCH = 16  # examples at once in memory
WARMUP_SHARE = 0.05
VALIDATIONS_PER_EPOCH = 4


class TrainingFailed(Exception):
    """The run cannot go on; ``code`` and ``message`` end up in the job's error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class StepReport:
    """Where the run is, and what it measured at this step."""

    step: int
    total_steps: int
    metrics: dict[str, Any]
    epoch_ends: bool


class Listener(Protocol):
    """Who is told about the run. Exceptions from it end the run."""

    def on_step(self, report: StepReport) -> None:
        """After every step."""

    def on_checkpoint(self, report: StepReport) -> None:
        """After the last step of every epoch, before the state of the run is saved.

        It is called again for the same step if the process dies between the two.
        """

    def stop_wanted(self) -> bool:
        """Asked after every step; True saves the state and ends the run."""


def uses_lora(model: PreTrainedModel) -> bool:
    """Whether a model is too large to train all of its weights."""
    return model.num_parameters() > LORA_ABOVE


def add_lora(model: PreTrainedModel, seed: int) -> PreTrainedModel:
    """Wrap a large model in LoRA adapters: only they are trained."""
    # Imported here: only large models need it.
    from peft import LoraConfig, get_peft_model

    set_seed(seed)  # adapters begin with random numbers
    settings = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    return get_peft_model(model, settings)


@dataclass
class _Tally:
    """Loss and hits summed over tokens."""

    loss: float = 0.0
    hits: int = 0
    tokens: int = 0

    def means(self) -> tuple[float, float]:
        """Mean loss and accuracy per token."""
        return self.loss / max(1, self.tokens), self.hits / max(1, self.tokens)

    def add(self, loss: torch.Tensor, logits: torch.Tensor, labels: torch.Tensor) -> None:
        self.loss += loss.item()
        self.hits += int((logits.argmax(-1) == labels).sum())
        self.tokens += len(labels)


def answer_loss(
    logits: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Summed cross-entropy over the tokens to learn, with their logits [N, V] and labels [N]."""
    wanted = labels[:, 1:] != IGNORED  # position t predicts token t + 1
    chosen = logits[:, :-1][wanted].float()
    targets = labels[:, 1:][wanted]
    return F.cross_entropy(chosen, targets, reduction="sum"), chosen.detach(), targets


class Run(Trainer):
    """A Trainer that reports each step, checkpoints each epoch, and resumes exactly."""

    def __init__(
        self,
        model: PreTrainedModel,
        training: ExampleSet,
        validation: ExampleSet | None,
        numbers: Hyperparameters,
        seed: int,
        folder: Path,
        listener: Listener,
    ) -> None:
        self._examples = training
        self._numbers = numbers
        self._seed = seed
        self._folder = folder
        self._tally = _Tally()
        super().__init__(
            model=model,
            args=_arguments(numbers, len(training), seed, folder),
            train_dataset=training,
            data_collator=collate,
            compute_loss_func=self._loss,
            callbacks=[_Reporter(self, validation, numbers, listener)],
        )
        self.remove_callback(PrinterCallback)

    def start(self) -> None:
        """Train from the saved state of the folder, or from the beginning."""
        state = training_state.find_state(self._folder)
        self.train(resume_from_checkpoint=str(state) if state else None)

    def save(self) -> None:
        """Write the state from which ``start`` goes on."""
        training_state.save_state(self._folder, self.model, self.optimizer, self.state)

    def take_train_metrics(self) -> dict[str, float]:
        """Loss and accuracy since the last call."""
        loss, accuracy = self._tally.means()
        self._tally = _Tally()
        return {"train_loss": loss, "train_mean_token_accuracy": accuracy}

    def _loss(
        self, outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int
    ) -> torch.Tensor:
        loss, logits, targets = answer_loss(outputs.logits, labels)
        self._tally.add(loss, logits, targets)
        return loss / num_items_in_batch

    def _get_train_sampler(self, train_dataset: Any = None) -> LengthGroupedOrder:
        return LengthGroupedOrder(self._examples.lengths, self._numbers.batch_size, self._seed)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        training_state.load_weights(Path(resume_from_checkpoint), self.model)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return
        training_state.load_optimizer(Path(checkpoint), self.optimizer)
        schedule = self.lr_scheduler
        schedule.last_epoch = self.state.global_step
        groups = zip(
            self.optimizer.param_groups, schedule.base_lrs, schedule.lr_lambdas, strict=True
        )
        for group, rate, share in groups:
            group["lr"] = rate * share(self.state.global_step)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if checkpoint is not None:
            training_state.load_rng(Path(checkpoint))


class _Reporter(TrainerCallback):
    """Measures after each step, tells the listener, saves the state, stops when it is wanted."""

    def __init__(
        self,
        run: Run,
        validation: ExampleSet | None,
        numbers: Hyperparameters,
        listener: Listener,
    ) -> None:
        self._run = run
        self._numbers = numbers
        self._listener = listener
        self._batches: list[dict[str, torch.Tensor]] = []
        if validation is not None:
            by_length = sorted(validation.examples, key=lambda example: len(example.ids))
            size = min(numbers.batch_size, MICRO_BATCH)
            self._batches = [
                collate(by_length[i : i + size]) for i in range(0, len(by_length), size)
            ]

    def on_step_end(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **_: Any,
    ) -> None:
        """Report one optimizer step."""
        per_epoch = state.max_steps // self._numbers.n_epochs
        epoch_ends = state.global_step % per_epoch == 0
        metrics = {"step": state.global_step, **self._run.take_train_metrics()}
        metrics |= self._validate(state.global_step, per_epoch, epoch_ends)
        if not all(math.isfinite(value) for value in metrics.values()):
            raise TrainingFailed(
                "training_diverged",
                f"Training diverged: the loss at step {state.global_step} is not a number. "
                "Use a lower learning_rate_multiplier.",
            )
        metrics["total_steps"] = state.max_steps
        report = StepReport(state.global_step, state.max_steps, metrics, epoch_ends)
        self._listener.on_step(report)
        stop = self._listener.stop_wanted()
        finished = state.global_step >= state.max_steps
        if epoch_ends:
            self._listener.on_checkpoint(report)
        if (epoch_ends or stop) and not finished:
            self._run.save()
        if stop:
            control.should_training_stop = True

    def _validate(self, step: int, per_epoch: int, epoch_ends: bool) -> dict[str, float]:
        every = max(1, per_epoch // VALIDATIONS_PER_EPOCH)
        if not self._batches or not (epoch_ends or step % every == 0):
            return {}
        one = self._batches[step // every % len(self._batches)]
        loss, accuracy = self._measure([one])
        found = {"valid_loss": loss, "valid_mean_token_accuracy": accuracy}
        if epoch_ends:
            loss, accuracy = self._measure(self._batches)
            found |= {"full_valid_loss": loss, "full_valid_mean_token_accuracy": accuracy}
        return found

    @torch.no_grad()
    def _measure(self, batches: list[dict[str, torch.Tensor]]) -> tuple[float, float]:
        model = self._run.model
        model.eval()
        tally = _Tally()
        for batch in batches:
            labels = batch["labels"].to(model.device)
            logits = model(input_ids=batch["input_ids"].to(model.device)).logits
            tally.add(*answer_loss(logits, labels))
        model.train()
        return tally.means()


def _arguments(
    numbers: Hyperparameters, n_examples: int, seed: int, folder: Path
) -> TrainingArguments:
    micro = max(size for size in range(1, MICRO_BATCH + 1) if numbers.batch_size % size == 0)
    steps = math.ceil(n_examples / numbers.batch_size) * numbers.n_epochs
    gpu = torch.cuda.is_available()
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=numbers.n_epochs,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=numbers.batch_size // micro,
        learning_rate=numbers.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=max(1, round(WARMUP_SHARE * steps)),
        optim="adamw_torch",
        weight_decay=0.0,
        max_grad_norm=1.0,
        seed=seed,
        use_cpu=not gpu,
        bf16=gpu and torch.cuda.is_bf16_supported(),
        save_strategy="no",
        logging_strategy="no",
        logging_nan_inf_filter=False,
        report_to=[],
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )
