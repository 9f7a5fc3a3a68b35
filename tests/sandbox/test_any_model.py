"""Models of other families, given as folders: registered, tuned by a whole job, and answering."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, Qwen2Config

from sandbox.bases import find_base
from sandbox.config import ConfigError
from sandbox.engine import load
from sandbox.engine.sampler.models import ModelCache
from sandbox.engine.text.encoder import Encoder
from sandbox.store import events, files, jobs, models
from sandbox.store.database import Store
from tests.support.generate import ask
from tests.support.inline_job import run_job
from tests.support.rows import new_job
from tests.support.server import chat_lines
from tests.support.tiny import CONTEXT, SPECIAL, make_base

pytestmark = [
    pytest.mark.slow,
    # peft asks transformers by an old name.
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning"),
]

SIZES = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
SIZES |= {"intermediate_size": 128, "max_position_embeddings": CONTEXT}


def llama(vocab_size: int) -> LlamaConfig:
    """Grouped heads, a head of its own, scaled positions, and two tokens that end a text."""
    scaled = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0}
    scaled |= {"high_freq_factor": 4.0, "original_max_position_embeddings": 64}
    scaled |= {"rope_theta": 500000.0}
    return LlamaConfig(
        **SIZES,
        vocab_size=vocab_size,
        num_key_value_heads=2,
        tie_word_embeddings=False,
        rope_parameters=scaled,
        bos_token_id=0,
        eos_token_id=[0, 4],
    )


def qwen2(vocab_size: int) -> Qwen2Config:
    """No token begins a text; there are more rows than tokens; attention has biases."""
    return Qwen2Config(
        **SIZES,
        vocab_size=vocab_size + 30,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        sliding_window=32,
        use_sliding_window=False,
        bos_token_id=None,
        eos_token_id=4,
    )


def gpt2(vocab_size: int) -> GPT2Config:
    """Transposed matrices, learned positions, dropout, other names for everything."""
    return GPT2Config(
        vocab_size=vocab_size,
        n_positions=CONTEXT,
        n_embd=64,
        n_layer=2,
        n_head=4,
        bos_token_id=0,
        eos_token_id=0,
    )


FAMILIES = {"gpt2": gpt2, "llama": llama, "qwen2": qwen2}


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return request.param


def make(folder: Path, family: str) -> Path:
    """A folder as the family's makers publish it, with random weights and a chat template."""
    make_base(folder)
    (folder / "sandbox.json").unlink()
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(FAMILIES[family](Encoder(folder).vocab_size))
    model.save_pretrained(folder)
    settings: dict[str, Any] = json.loads((folder / "tokenizer_config.json").read_text())
    if family == "qwen2":
        settings |= {"bos_token": None, "eos_token": SPECIAL[4], "pad_token": SPECIAL[0]}
    if family == "gpt2":
        settings = {"bos_token": SPECIAL[0], "eos_token": SPECIAL[0]}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def pair_lines() -> bytes:
    pairs = [{"prompt": f"{n}, man ->", "completion": f" Hero {n} flies. END"} for n in range(12)]
    return "".join(json.dumps(pair) + "\n" for pair in pairs).encode()


@pytest.mark.parametrize("large", [False, True], ids=["all weights", "adapters"])
@pytest.mark.parametrize("template", [True, False], ids=["chat", "no template"])
def test_it_is_tuned_and_answers(
    store: Store,
    tmp_path: Path,
    family: str,
    template: bool,
    large: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = make(tmp_path / "tiny", family)
    if not template:
        (folder / "chat_template.jinja").unlink()
    if large:
        monkeypatch.setattr(load, "LARGE", 1000)
    base = find_base(str(folder))
    assert (base.name, base.context) == ("tiny", CONTEXT)
    content = chat_lines() if template else pair_lines()
    file = files.add_file(store, "learner", "t.jsonl", "fine-tune", content)
    numbers = {"n_epochs": 6, "batch_size": 4, "learning_rate_multiplier": 50}
    job = jobs.create_job(store, new_job(file.id, hyperparameters=numbers))
    jobs.mark_queued(store, job.id)
    done = run_job(store, folder)
    assert done is not None and done.status == "succeeded", done
    losses = [event.data["train_loss"] for event in events.list_metrics(store, job.id)]
    assert losses[-1] < 0.9 * losses[0]
    model = models.get_model(store, "learner", str(done.fine_tuned_model))
    assert model is not None and bool(model.adapter) == large
    path = str(models.model_path(store, model))
    loop = ModelCache().get(*((str(folder), path) if large else (path,)))
    prompt = [{"role": "user", "content": "7, woman, flight ->"}] if template else "7, man ->"
    # The tokens that would end the answer are out of reach: it has so many, whatever they are.
    never = {str(token): -100 for token in loop.encoder.stop_ids}
    loop.add(1, ask(prompt, temperature=0, max_tokens=8, logit_bias=never))
    outputs = []
    while loop.busy:
        outputs += loop.step()
    assert [output.error for output in outputs if output.error] == []
    assert outputs[-1].usage.completion_tokens == 8


def without(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (without("tokenizer.json"), r"no tokenizer\.json.*AutoTokenizer"),
        (without("model.safetensors"), r"no \*\.safetensors.*save_pretrained"),
        (without("config.json"), r"config\.json cannot be read"),
    ],
)
def test_a_folder_that_lacks_something_is_told_at_the_start(
    tmp_path: Path, damage: Callable[[Path], None], told: str
) -> None:
    damage(make_base(tmp_path / "tiny"))
    with pytest.raises(ConfigError, match=told):
        find_base(str(tmp_path / "tiny"))
