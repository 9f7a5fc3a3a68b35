"""The model of a job: all of its weights trained, or small adapters beside them (LoRA)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.tuners_utils import BaseTunerLayer
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from sandbox.engine import load

LORA = {"r": 16, "lora_alpha": 32, "target_modules": "all-linear"}


def lora_settings(model: PreTrainedModel, advice: Mapping[str, Any]) -> dict[str, Any] | None:
    """The adapters to train, or None to train all weights.

    Adapters for a large model, and for a base whose advice has "lora": what it says there (``r``,
    ``lora_alpha``, ``target_modules``) goes before the usual settings.
    """
    if "lora" not in advice and model.num_parameters() <= load.LARGE:
        return None
    return LORA | advice.get("lora", {})


def add_lora(model: PreTrainedModel, settings: Mapping[str, Any], seed: int) -> PeftModel:
    """Wrap a model in new adapters: only they are trained."""
    torch.manual_seed(seed)  # adapters begin with random numbers
    # GPT-2, for one, keeps its matrices as [in, out].
    transposed = any(isinstance(module, Conv1D) for module in model.modules())
    config = LoraConfig(**settings, task_type="CAUSAL_LM", fan_in_fan_out=transposed)
    return _with_fast_sums(get_peft_model(model, config))


def load_lora(model: PreTrainedModel, adapter: Path) -> PeftModel:
    """Wrap a model in the adapters of a folder, to train them further."""
    return _with_fast_sums(
        PeftModel.from_pretrained(model, adapter, is_trainable=True, local_files_only=True)
    )


def _with_fast_sums(model: PeftModel) -> PeftModel:
    """Leave the precision of what flows through the adapters to autocast.

    Adapters are kept in float32. By themselves they would also compute in it: two casts of all
    that flows through, and slow products.
    """
    for module in model.modules():
        if isinstance(module, BaseTunerLayer):
            module.cast_input_dtype_enabled = model.dtype == torch.float32
    return model


def merged(model: PreTrainedModel | PeftModel) -> PreTrainedModel:
    """The model as one that works without peft; the one given stays as it is."""
    if isinstance(model, PeftModel):
        return copy.deepcopy(model).merge_and_unload()
    return model
