"""What a job needs to go on after a stop, and model folders: written whole or not at all.

Safetensors only: nothing here can run code when it is read.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from sandbox.engine.trainer import processes
from sandbox.engine.trainer.loop import TrainingRun

STATE_FOLDER = "state"
TENSORS = "state.safetensors"
MOMENTS = ("exp_avg", "exp_avg_sq")  # AdamW's memory of each weight's gradients
TEXT_FILES = (
    "tokenizer*",
    "*.jinja",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab*",
    "merges.txt",
    "generation_config.json",
)


def write_folder(folder: Path, fill: Callable[[Path], object]) -> None:
    """Let ``fill`` write a folder beside its place, flush it to disk, then rename it.

    After a crash there is the old folder, the new one, or none; never half of one. Of several
    processes that train together only the first writes.
    """
    if not processes.is_first():
        return
    partial, old = folder.with_name(folder.name + ".part"), folder.with_name(folder.name + ".old")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        fill(partial)
        for path in partial.iterdir():
            with path.open("rb+") as file:
                os.fsync(file.fileno())
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)  # a full disk needs its space back
        raise
    if folder.exists():  # a folder cannot be renamed over another one
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def save_state(job_folder: Path, run: TrainingRun) -> None:
    """Keep the trained weights, the optimizer's moments and the step that was reached."""
    tensors = {"step": torch.tensor(run.step), "rng": torch.get_rng_state()}
    for name, weight in _trained(run):
        tensors[f"weight.{name}"] = weight.data
        for moment in MOMENTS:
            tensors[f"{moment}.{name}"] = run.optimizer.state[weight][moment]
    whole = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    write_folder(job_folder / STATE_FOLDER, lambda folder: save_file(whole, folder / TENSORS))


def load_state(job_folder: Path, run: TrainingRun) -> None:
    """Put a run where the saved state is; without one it stays at its beginning."""
    folders = [job_folder / name for name in (STATE_FOLDER, STATE_FOLDER + ".old")]
    path = next((folder / TENSORS for folder in folders if (folder / TENSORS).is_file()), None)
    saved = {} if path is None else load_file(path)
    if "step" not in saved:  # none, or one of the first edition, which cannot be taken over
        return
    run.step = int(saved["step"])
    torch.set_rng_state(saved["rng"])
    for name, weight in _trained(run):
        weight.data.copy_(saved[f"weight.{name}"])
        run.optimizer.state[weight] = {
            "step": torch.tensor(float(run.step)),
            **{moment: saved[f"{moment}.{name}"].to(weight.device) for moment in MOMENTS},
        }


def save_model(folder: Path, model: PreTrainedModel, start: Path) -> None:
    """Write a plain Hugging Face folder: weights, and the tokenizer and template of ``start``."""
    write_folder(folder, lambda target: write_model(target, model, start))


def write_model(target: Path, model: PreTrainedModel, start: Path) -> None:
    """Write what ``save_model`` does into a folder that is there."""
    model.save_pretrained(target)
    for pattern in TEXT_FILES:
        for path in start.glob(pattern):
            shutil.copyfile(path, target / path.name)


def save_adapter(folder: Path, model: PeftModel) -> None:
    """Write the adapters of a model alone: a few megabytes, of use with their base only."""
    write_folder(folder, lambda target: model.save_pretrained(target, save_embedding_layers=False))


def _trained(run: TrainingRun) -> list[tuple[str, torch.nn.Parameter]]:
    return [(name, weight) for name, weight in run.model.named_parameters() if weight.requires_grad]
