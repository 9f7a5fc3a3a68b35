"""One fine-tuning job without a server, also in several processes or on several GPUs at once::

    python -m sandbox.tune smollm2-135m-instruct train.jsonl my-model
    accelerate launch --multi_gpu --num_processes 2 -m sandbox.tune BASE train.jsonl my-model

It is the trainer of the server, with its loop, its numbers and its files. A job that was cut off
goes on from its last checkpoint when the same command is given again.
"""

import argparse
import queue
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sandbox.bases import find_base
from sandbox.config import ConfigError
from sandbox.engine.trainer import processes
from sandbox.engine.trainer.job import Conversation, train
from sandbox.engine.trainer.messages import Checkpoint, Done, Started, Step, Sync, Synced, Train

STATE = "unfinished"  # the folder in OUTPUT that a job goes on from


class Terminal:
    """What a server is to a trainer: takes its messages, and shows those of the first process."""

    def __init__(self) -> None:
        self.inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def send(self, message: Any) -> None:
        """Answer or show a message."""
        match message:
            case Sync():
                self.inbox.put(Synced())
            case Started(device=device, precision=precision):
                say(f"Training on {device} in {precision}: {message.hyperparameters}")
            case Step(step=step, total_steps=total, metrics=metrics):
                losses = [
                    f"{name} {value:.4f}" for name, value in metrics.items() if "loss" in name
                ]
                say(f"Step {step}/{total}: {', '.join(losses)}")
            case Checkpoint(step=step):
                say(f"Checkpoint: step-{step}")


def say(text: str, file: Any = None) -> None:
    """Print a line, if this is the first process."""
    if processes.is_first():
        print(text, file=file, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job; 0 if its model was made."""
    options = _parser().parse_args(arguments)
    try:
        request = _request(options)
    except ConfigError as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    processes.join()
    terminal = Terminal()
    end = train(request, Conversation(terminal, terminal.inbox))
    if not isinstance(end, Done):
        say(f"sandbox: {end.message}", file=sys.stderr)
        return 1
    if processes.is_first():
        shutil.rmtree(request.folder, ignore_errors=True)
    say(f"Done: {request.models / f'step-{end.step}'}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m sandbox.tune", description=__doc__.split("::")[0])
    parser.add_argument("base", help="a base model: a name, a Hugging Face folder or an id")
    parser.add_argument("training_file", type=Path, help="chats or pairs, as .jsonl")
    parser.add_argument("output", type=Path, help="the folder for the models: step-N in here")
    parser.add_argument("--validation-file", type=Path)
    parser.add_argument("--n-epochs", type=int)
    parser.add_argument("--batch-size", type=int, help="of all processes together")
    parser.add_argument("--learning-rate-multiplier", type=float)
    parser.add_argument("--seed", type=int, default=42, help="default: %(default)s")
    return parser


def _request(options: argparse.Namespace) -> Train:
    """The job, as a server would describe it. Raises ConfigError."""
    base = find_base(options.base)
    output = options.output.resolve()
    names = ("n_epochs", "batch_size", "learning_rate_multiplier")
    return Train(
        job_id="step",
        start=base.path,
        adapter=None,
        advice=base.advice,
        folder=output / STATE,
        models=output,
        training_file=options.training_file,
        validation_file=options.validation_file,
        hyperparameters={name: getattr(options, name) for name in names},
        seed=options.seed,
        fault=None,
    )


if __name__ == "__main__":
    raise SystemExit(main())
