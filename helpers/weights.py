"""Step 08: where models lie on this machine, as plain Hugging Face folders."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from helpers.sandbox import state_folder
from helpers.settings import ROOT

BASE_MODEL = ROOT / "sandbox" / "base_model" / "weights"
# How a model that never learned to chat gets its examples: the note, then the answer, then the end.
PLAIN_TEMPLATE = (
    "{% for message in messages %}{% if message.role == 'assistant' %}"
    "{{ ' ' + message.content + eos_token }}{% else %}{{ message.content }}{% endif %}{% endfor %}"
)


def calm_libraries() -> None:
    """Ask the machine-learning libraries to wait politely and to print no bars and no warnings.

    They read this once, when they are loaded: call it before `import torch`.
    """
    calm = {
        # Threads that have nothing to do sleep, and leave the processor to others.
        "OMP_WAIT_POLICY": "PASSIVE",
        "TOKENIZERS_PARALLELISM": "false",
        "TRANSFORMERS_VERBOSITY": "error",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    for name, value in calm.items():
        os.environ.setdefault(name, value)
    # peft asks transformers by a name that is going to change, and adapts itself to GPT-2's
    # matrices with a warning: nothing that a learner could mend.
    for name in ("is_gradient_checkpointing", "fan_in_fan_out"):
        warnings.filterwarnings("ignore", message=f".*{name}.*")


def base_model_folder() -> Path:
    """The folder of the course's base model. Raises FileNotFoundError if the clone lacks it."""
    if not (BASE_MODEL / "model.safetensors").is_file():
        raise FileNotFoundError(
            f"There is no model in {BASE_MODEL.relative_to(ROOT).as_posix()}. It is part of the "
            "course's files: fetch them again, with all that belongs to them."
        )
    return BASE_MODEL


def tuned_model_folder(job_id: str, step: int) -> Path | None:
    """The folder where this machine's sandbox keeps what a job had trained at a step.

    None if there is none: the job was trained elsewhere, or its model is deleted.
    """
    folder = state_folder() / "models" / f"{job_id}-{step}"
    return folder if (folder / "model.safetensors").is_file() else None
