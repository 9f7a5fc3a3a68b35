"""Loading a model folder, for both workers."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging as transformers_logging


def load_model(folder: Path, on_gpu: torch.dtype | str = torch.float32) -> PreTrainedModel:
    """Load a causal language model: in float32 on a CPU, on the GPU if there is one.

    ``on_gpu`` is its dtype there, "auto" for that of its files. Only safetensors are read.
    Raises OSError or ValueError when the folder holds no such model.
    """
    transformers_logging.disable_progress_bar()
    gpu = torch.cuda.is_available()
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=on_gpu if gpu else torch.float32,
        use_safetensors=True,
        local_files_only=True,
        attn_implementation="sdpa",
    )
    return model.to("cuda") if gpu else model
