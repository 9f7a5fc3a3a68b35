"""One fine-tuning job: load, train, tell the server what happens, save what it goes on from."""

from __future__ import annotations

import queue
import traceback
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import torch
from filelock import FileLock, Timeout
from peft import PeftModel
from safetensors import SafetensorError
from transformers import PreTrainedModel

from sandbox.engine import load
from sandbox.engine.load import load_model
from sandbox.engine.pipe import CLOSED
from sandbox.engine.text.encoder import Encoder
from sandbox.engine.text.examples import TrainingFileError
from sandbox.engine.text.hyperparameters import Hyperparameters, resolve
from sandbox.engine.trainer import checkpoint, lora, processes
from sandbox.engine.trainer.attention import use_grouped_products
from sandbox.engine.trainer.data import ExampleSet
from sandbox.engine.trainer.loop import StepResult, TrainingFailed, TrainingRun
from sandbox.engine.trainer.messages import (
    Checkpoint,
    Done,
    Failed,
    Share,
    Started,
    Step,
    Stop,
    Stopped,
    Sync,
    Synced,
    Train,
)

LOCK = "trainer.lock"  # in the job's folder; the operating system frees it when a process dies
LOOK_SECONDS = 1.0  # between two looks at the pipe while another process holds the lock


class Interrupted(Exception):
    """The server wants the job to end here, without saving its state."""


class Conversation:
    """The trainer's side of the pipe, while it works on one job.

    ``connection`` has ``send``; ``inbox`` brings what the server says.
    """

    def __init__(self, connection: Any, inbox: queue.SimpleQueue[Any]) -> None:
        self.send = connection.send
        self.stop_wanted = False
        self._inbox = inbox
        self._cores = torch.get_num_threads()

    def look(self) -> None:
        """Take what has arrived. Raises Interrupted, and ConnectionError without a server."""
        while not self._inbox.empty():
            self._take()

    def sync(self) -> None:
        """Wait until the server has recorded everything; raises as ``look``."""
        self.send(Sync())
        while not isinstance(self._take(), Synced):
            pass

    def _take(self) -> Any:
        message = self._inbox.get()
        if message is CLOSED:
            self._inbox.put(CLOSED)  # the worker looks for it, too
            raise ConnectionError("The server is gone.")
        if isinstance(message, Stop):
            self.stop_wanted = True
            if not message.save:
                raise Interrupted
        if isinstance(message, Share):
            # The number of threads changes how long a step takes, and nothing else.
            torch.set_num_threads(max(1, self._cores // message.jobs))
        return message


def train(request: Train, server: Conversation) -> Done | Failed | Stopped:
    """Train a job to its end, or until the server wants it to stop; return how it ended.

    While it works it holds a lock on the job's folder: a process that a killed server has left
    behind and its successor never write there together. Of several processes that train together
    the first one holds it. Raises ConnectionError only.
    """
    cores = torch.get_num_threads()
    try:
        with _locked(request, server) if processes.is_first() else nullcontext():
            return _run(request, server)
    except Interrupted:
        return Stopped(saved=False)
    except ConnectionError:
        raise
    except (TrainingFailed, TrainingFileError) as error:
        return Failed(error.code, error.message, getattr(error, "param", None))
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        return Failed("storage_error", f"Training could not read or write its files: {reason}")
    except Exception as error:  # noqa: BLE001 - the job must get an end
        traceback.print_exception(error)
        message = f"Training stopped with an error: {type(error).__name__}: {error}"
        return Failed("training_failed", message)
    finally:
        torch.set_num_threads(cores)


def _locked(request: Train, server: Conversation) -> FileLock:
    """The lock on the job's folder, taken; waits while another process trains the job."""
    request.folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(request.folder / LOCK)
    while True:
        try:
            return lock.acquire(timeout=LOOK_SECONDS).lock
        except Timeout:
            server.look()


def _run(request: Train, server: Conversation) -> Done | Stopped:
    encoder = Encoder(request.start)
    training = ExampleSet.read(request.training_file, encoder, "training")
    validation = None
    if request.validation_file is not None:
        validation = ExampleSet.read(request.validation_file, encoder, "validation")
    model = _load(request)
    adapters = isinstance(model, PeftModel)
    numbers = resolve(request.hyperparameters, request.advice, len(training.examples), adapters)
    run = TrainingRun(model, training, validation, numbers, request.seed)
    checkpoint.load_state(request.folder, run)
    server.send(_started(run, numbers))
    for result in run.steps():
        server.send(Step(result.step, result.total_steps, result.done, result.metrics))
        _fail_if_asked(request.fault, result)
        server.look()
        if result.checkpoint:
            _save_model(request, run)
            if result.step == result.total_steps:
                tokens = training.n_tokens * numbers.n_epochs
                return Done(result.step, result.metrics, training.format, tokens)
            server.send(Checkpoint(result.step, result.metrics, training.format))
        if result.checkpoint or server.stop_wanted:
            server.sync()
            checkpoint.save_state(request.folder, run)
        if server.stop_wanted:
            break
    return Stopped(saved=True)


def _load(request: Train) -> PreTrainedModel | PeftModel:
    """The model to train; a PeftModel if adapters on it are."""
    model = load_model(request.start)
    settings = lora.lora_settings(model, request.advice)
    if model.num_parameters() > load.LARGE:
        use_grouped_products(model)
    if request.adapter is not None:
        return lora.load_lora(model, request.adapter)
    return model if settings is None else lora.add_lora(model, settings, request.seed)


def _started(run: TrainingRun, numbers: Hyperparameters) -> Started:
    weights = sum(weight.numel() for weight in run.trained)
    return Started(
        hyperparameters=numbers.public(),
        learning_rate=numbers.learning_rate,
        device=run.model.device.type,
        precision=str(run.model.dtype).removeprefix("torch."),
        adapters=weights if isinstance(run.model, PeftModel) else None,
    )


def _save_model(request: Train, run: TrainingRun) -> None:
    folder = request.models / f"{request.job_id}-{run.step}"
    # An adapter needs its base, which stays. A tuned model that was the start may be deleted.
    if isinstance(run.model, PeftModel) and request.start.parent != request.models:
        checkpoint.save_adapter(folder, run.model)
    else:
        checkpoint.save_model(folder, lora.merged(run.model), request.start)


def _fail_if_asked(fault: Mapping[str, Any] | None, result: StepResult) -> None:
    """Fail here if the job was asked for as one that does (a fault, for practice)."""
    if fault is not None and result.step >= fault.get("steps", result.step + 1):
        raise TrainingFailed(
            "server_error",
            f"The job failed due to an internal error after step {result.step} of "
            f"{result.total_steps}. (The sandbox was asked for this: {fault['name']}.)",
        )
