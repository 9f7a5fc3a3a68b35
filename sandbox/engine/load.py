"""Loading a model folder, for both workers: on which device, and how precisely."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging as transformers_logging

LARGE = 50_000_000  # parameters; from here on speed and memory count more than exact sums
# The names that torch gives to the units of processors which multiply bfloat16.
BF16_UNITS = ("avx512_bf16", "amx_bf16", "bf16")


def load_model(folder: Path) -> PreTrainedModel:
    """Load a causal language model; only safetensors are read.

    A large one on the best device that there is, in the precision that is best there. A small one
    on the processor and in float32: it is fast enough, and the same on every machine.
    Raises OSError or ValueError when the folder holds no such model.
    """
    transformers_logging.disable_progress_bar()
    large = is_large(folder)
    device = best_device() if large else torch.device("cpu")
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=best_dtype(device) if large else torch.float32,
        use_safetensors=True,
        local_files_only=True,
        attn_implementation="sdpa",
    )
    return model.to(device)


def is_large(folder: Path) -> bool:
    """Whether a model has more than ``LARGE`` parameters; its weights are not read."""
    config = AutoConfig.from_pretrained(folder, local_files_only=True)
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config).num_parameters() > LARGE


def best_device() -> torch.device:
    """The GPU if there is one (CUDA, or Apple's), else the processor."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def best_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the device multiplies it natively, else float32.

    Without a unit for it, a processor is many times slower in bfloat16 than in float32. The
    variable SANDBOX_PRECISION decides instead, if it is set; raises ValueError if it is neither.
    """
    if named := os.environ.get("SANDBOX_PRECISION"):
        if named not in ("float32", "bfloat16"):
            raise ValueError(f"SANDBOX_PRECISION is {named!r}; it can be float32 or bfloat16.")
        return getattr(torch, named)
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "mps":
        native = torch.backends.mps.is_macos_or_newer(14, 0)
    else:
        native = any(torch.cpu.get_capabilities().get(unit) for unit in BF16_UNITS)
    return torch.bfloat16 if native else torch.float32
