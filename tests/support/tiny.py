"""A very small base model with random weights, for tests of behaviour: made once and kept."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from filelock import FileLock

KEPT = Path(__file__).resolve().parents[2] / "build" / "tests"

SPECIAL = ["<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
CONTEXT = 192
SENTENCES = [
    "40, woman, Healing -> She is a healer who calms every storm in the city.",
    "18, man, flight -> He flies over the old harbour at night and laughs.",
    "A detective with the power of invisibility listens quietly to the rain.",
]
TEMPLATE = (
    "<|endoftext|>{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def kept_base(**changes: Any) -> Path:
    """The model's folder, written by the first test that asks; no test may write into it.

    Its name changes with this file, so that an old model is never taken for the present one.
    """
    recipe = Path(__file__).read_bytes() + json.dumps(changes, sort_keys=True).encode()
    folder = KEPT / f"tiny-{hashlib.sha256(recipe).hexdigest()[:12]}"
    KEPT.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            draft = folder.with_suffix(f".{os.getpid()}")
            shutil.rmtree(draft, ignore_errors=True)
            make_base(draft, **changes).rename(folder)
    return folder


def make_base(folder: Path, **changes: Any) -> Path:
    """Write the model as a Hugging Face folder; ``changes`` go into its configuration."""
    # Only here: a test of the API that finds the model made needs no torch.
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import AutoModelForCausalLM, LlamaConfig

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    settings = {"bos_token": SPECIAL[0], "eos_token": SPECIAL[4], "pad_token": SPECIAL[0]}
    settings |= {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": CONTEXT}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    advice = {"name": "tiny", "learning_rate": 5e-3, "n_epochs": 2, "batch_size": 4}
    (folder / "sandbox.json").write_text(json.dumps(advice), encoding="utf-8")
    config = {
        "vocab_size": tokenizer.get_vocab_size(),
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "intermediate_size": 128,
        "tie_word_embeddings": True,
        "max_position_embeddings": CONTEXT,
        "bos_token_id": 0,
        "eos_token_id": [0, 4],
        "pad_token_id": 0,
        # Wide weights, so that what a token is depends strongly on what stands before it.
        "initializer_range": 0.2,
    }
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(LlamaConfig(**{**config, **changes}))
    model.to(torch.float16).save_pretrained(folder)
    return folder
