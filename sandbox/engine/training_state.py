"""What a job needs to go on after a stop, and model folders: written whole or not at all.

Safetensors and JSON only: nothing here can run code when it is read.
"""

from __future__ import annotations

import copy
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel, TrainerState
from transformers.trainer import TRAINER_STATE_NAME

STATE_FOLDER = "state"
TENSORS = "state.safetensors"
TEXT_FILES = (
    "tokenizer*",
    "*.jinja",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab*",
    "merges.txt",
    "generation_config.json",
)


def write_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Let ``fill`` write a folder beside its place, flush it to disk, then rename it.

    After a crash there is the old folder, the new one, or none; never half of one.
    """
    partial, old = folder.with_name(folder.name + ".part"), folder.with_name(folder.name + ".old")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    partial.mkdir(parents=True)
    fill(partial)
    for path in partial.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())
    if folder.exists():  # a folder cannot be renamed over another one
        folder.rename(old)
    partial.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def save_state(
    job_folder: Path,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: TrainerState,
) -> None:
    """Keep the trained weights, the optimizer's moments and the progress of a job."""
    tensors = {f"weight.{n}": p.data for n, p in model.named_parameters() if p.requires_grad}
    for index, moments in optimizer.state_dict()["state"].items():
        for name, value in moments.items():
            tensors[f"optimizer.{index}.{name}"] = torch.as_tensor(value)
    tensors["rng"] = torch.get_rng_state()

    def fill(folder: Path) -> None:
        save_file({n: t.detach().contiguous() for n, t in tensors.items()}, folder / TENSORS)
        progress.save_to_json(str(folder / TRAINER_STATE_NAME))

    write_folder(job_folder / STATE_FOLDER, fill)


def find_state(job_folder: Path) -> Path | None:
    """The saved state of a job, or None if it must begin at the beginning."""
    for name in (STATE_FOLDER, STATE_FOLDER + ".old"):
        folder = job_folder / name
        if (folder / TENSORS).is_file() and (folder / TRAINER_STATE_NAME).is_file():
            return folder
    return None


def load_weights(folder: Path, model: torch.nn.Module) -> None:
    """Put the saved weights back into the model."""
    saved = load_file(folder / TENSORS)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                parameter.copy_(saved[f"weight.{name}"])


def load_optimizer(folder: Path, optimizer: torch.optim.Optimizer) -> None:
    """Put the saved moments back into the optimizer."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in load_file(folder / TENSORS).items():
        if name.startswith("optimizer."):
            _, index, key = name.split(".")
            state.setdefault(int(index), {})[key] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def load_rng(folder: Path) -> None:
    """Put torch's random numbers back where they were (for models with dropout)."""
    torch.set_rng_state(load_file(folder / TENSORS)["rng"])


def save_model_folder(folder: Path, model: PreTrainedModel, base_folder: Path, readme: str) -> None:
    """Write a plain Hugging Face folder: weights, tokenizer, chat template and a README."""
    if hasattr(model, "merge_and_unload"):  # LoRA: the folder must work without it
        model = copy.deepcopy(model).merge_and_unload()

    def fill(target: Path) -> None:
        model.save_pretrained(target)
        for pattern in TEXT_FILES:
            for path in base_folder.glob(pattern):
                shutil.copyfile(path, target / path.name)
        (target / "README.md").write_text(readme, encoding="utf-8")

    write_folder(folder, fill)
