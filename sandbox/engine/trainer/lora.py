"""The model of a job: all of its weights trained, or small adapters beside them (LoRA)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import PreTrainedModel

LORA_ABOVE = 50_000_000  # parameters; training all of a larger model takes too much memory
LORA = {"r": 16, "lora_alpha": 32, "target_modules": "all-linear"}


def lora_settings(model: PreTrainedModel, description: Mapping[str, Any]) -> dict[str, Any] | None:
    """The adapters to train, or None to train all weights.

    Adapters for a large model, and for a base whose description has "lora": what it says there
    (``r``, ``lora_alpha``, ``target_modules``) goes before the usual settings.
    """
    if "lora" not in description and model.num_parameters() <= LORA_ABOVE:
        return None
    return LORA | description.get("lora", {})


def add_lora(model: PreTrainedModel, settings: Mapping[str, Any], seed: int) -> PeftModel:
    """Wrap a model in adapters: only they are trained."""
    torch.manual_seed(seed)  # adapters begin with random numbers
    return get_peft_model(model, LoraConfig(**settings, task_type="CAUSAL_LM"))


def merged(model: PreTrainedModel | PeftModel) -> PreTrainedModel:
    """The model as one that works without peft; the one given stays as it is."""
    if isinstance(model, PeftModel):
        return copy.deepcopy(model).merge_and_unload()
    return model
