"""Models in the sampler's memory: which are kept, and bases with LoRA adapters on them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from sandbox.engine.load import load_model
from sandbox.engine.sampler import forward, naive
from sandbox.engine.sampler.decode import DecodeLoop
from sandbox.engine.sampler.forward import LlamaForward
from sandbox.engine.sampler.general import GeneralForward
from sandbox.engine.sampler.matrix import Matrix
from sandbox.engine.sampler.messages import EngineError, Generate
from sandbox.engine.sampler.models import ModelCache
from sandbox.engine.text.encoder import Encoder
from tests.support.generate import ask
from tests.support.tiny import CONTEXT, kept_base, make_base

# peft asks transformers by an old name.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning"),
]

GREEDY = ask("He flies", temperature=0, max_tokens=30)


def together(*asked: tuple[DecodeLoop, Generate]) -> list[str]:
    """The texts of requests to several models, which take turns."""
    found = ["" for _ in asked]
    for number, (loop, request) in enumerate(asked):
        loop.add(number, request)
    loops = list(dict.fromkeys(loop for loop, _ in asked))
    while busy := [loop for loop in loops if loop.busy]:
        for output in [output for loop in busy for output in loop.step()]:
            assert output.error is None
            found[output.id] += "".join(delta.text for delta in output.deltas)
    return found


def make_adapter(base: Path, folder: Path, seed: int, **settings: Any) -> str:
    """Write an adapter with random numbers; return the text that peft's merged model says."""
    peft = pytest.importorskip("peft")
    torch.manual_seed(seed)
    config = {"r": 4, "target_modules": "all-linear", "task_type": "CAUSAL_LM"} | settings
    wrapped = peft.get_peft_model(
        load_model(base), peft.LoraConfig(**config, init_lora_weights=False)
    )
    wrapped.save_pretrained(folder)
    encoder = Encoder(base)
    ids = encoder.encode_prompt("He flies")
    merged = wrapped.merge_and_unload()
    return encoder.decode(list(naive.generate(merged, ids, 30, 0, stop_ids=encoder.stop_ids)))


@pytest.fixture(scope="module")
def grouped() -> Path:
    """A Llama whose query heads share key/value heads, as SmolLM2's do."""
    return kept_base(num_key_value_heads=2)


@pytest.mark.parametrize("large", [False, True], ids=["float64", "its own precision"])
def test_a_base_and_two_adapters_answer_side_by_side(
    grouped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: bool
) -> None:
    if large:
        monkeypatch.setattr(forward, "LARGE", 0)
    [plain] = together((ModelCache().get(str(grouped)), GREEDY))
    attention = ["q_proj", "k_proj", "v_proj", "o_proj"]
    one = make_adapter(grouped, tmp_path / "one", 1, target_modules=attention)
    two = make_adapter(grouped, tmp_path / "two", 2, use_rslora=True)
    assert len({plain, one, two}) == 3
    cache = ModelCache()
    folders = [None, str(tmp_path / "one"), str(tmp_path / "two")]
    loops = [cache.get(str(grouped), adapter) for adapter in folders]
    assert together(*[(loop, GREEDY) for loop in loops * 2]) == [plain, one, two] * 2
    base, tuned, _ = (loop.forward for loop in loops)
    assert isinstance(base, LlamaForward) and isinstance(tuned, LlamaForward)
    assert tuned.embedding is base.embedding and tuned.head is base.head
    for ours, theirs in zip(tuned.layers, base.layers, strict=True):
        assert ours.gate_up is theirs.gate_up and ours.down is theirs.down
        assert ours.qkv is not theirs.qkv and ours.out is not theirs.out
    assert together((cache.get(str(grouped)), GREEDY)) == [plain]


@pytest.mark.parametrize("precision", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_a_matrix_multiplies_a_row_alone_as_in_company(precision: torch.dtype) -> None:
    draw = torch.Generator().manual_seed(0)
    weight = torch.randn(96, 64, generator=draw).to(precision)
    rows = torch.randn(40, 64, generator=draw).to(precision)
    matrix = Matrix(weight)
    expected = rows.double() @ weight.double().T
    torch.testing.assert_close(matrix(rows).double(), expected, rtol=1e-2, atol=1e-2)
    assert matrix.equals(weight) and not matrix.equals(-weight)
    if precision is torch.bfloat16 and matrix.packed:
        for count in range(1, 40):
            assert torch.equal(matrix(rows[:count]), matrix(rows)[:count])


def test_an_adapter_on_a_model_that_is_not_written_out(tmp_path: Path) -> None:
    """GPT-2 stores its matrices the other way round."""
    base = make_gpt2(tmp_path / "gpt2")
    [plain] = together((ModelCache().get(str(base)), GREEDY))
    settings = {"target_modules": ["c_attn", "c_proj"], "fan_in_fan_out": True}
    expected = make_adapter(base, tmp_path / "adapter", 1, **settings)
    cache = ModelCache()
    loops = cache.get(str(base)), cache.get(str(base), str(tmp_path / "adapter"))
    assert all(isinstance(loop.forward, GeneralForward) for loop in loops)
    assert together(*[(loop, GREEDY) for loop in loops]) == [plain, expected]
    assert plain != expected
    base_weights, own_weights = (loop.forward.sizes().keys() for loop in loops)
    assert base_weights - own_weights and own_weights - base_weights
    assert base_weights & own_weights  # what the adapter leaves alone is in memory once


def make_gpt2(folder: Path) -> Path:
    from transformers import AutoModelForCausalLM, GPT2Config

    make_base(folder)
    config = GPT2Config(
        vocab_size=Encoder(folder).vocab_size,
        n_positions=CONTEXT,
        n_embd=64,
        n_layer=2,
        n_head=4,
        bos_token_id=0,
        eos_token_id=4,
        initializer_range=0.2,
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def test_an_adapter_that_is_deleted_and_made_again_is_read_again(
    grouped: Path, tmp_path: Path
) -> None:
    folder, cache = tmp_path / "adapter", ModelCache()
    first = make_adapter(grouped, folder, 1)
    assert together((cache.get(str(grouped), str(folder)), GREEDY)) == [first]
    shutil.rmtree(folder)
    with pytest.raises(EngineError, match="gone"):
        cache.get(str(grouped), str(folder))
    second = make_adapter(grouped, folder, 2)
    assert first != second
    assert together((cache.get(str(grouped), str(folder)), GREEDY)) == [second]


def test_a_damaged_adapter_fails_alone(grouped: Path, tmp_path: Path) -> None:
    cache = ModelCache()
    make_adapter(grouped, tmp_path / "adapter", 1)
    (tmp_path / "adapter" / "adapter_model.safetensors").write_bytes(b"not weights")
    with pytest.raises(EngineError, match="The model adapter cannot be loaded") as caught:
        cache.get(str(grouped), str(tmp_path / "adapter"))
    assert caught.value.code == "model_unavailable"
    assert together((cache.get(str(grouped)), GREEDY)) == together(
        (ModelCache().get(str(grouped)), GREEDY)
    )


def test_the_cache_keeps_models_and_lets_the_oldest_go(tmp_path: Path) -> None:
    folders = [str(make_base(tmp_path / name)) for name in "abc"]
    cache = ModelCache(most=2)
    first = cache.get(folders[0])
    assert cache.get(folders[0]) is first
    cache.get(folders[1])
    cache.get(folders[2])
    assert cache.get(folders[0]) is not first
    with pytest.raises(EngineError, match="gone") as caught:
        cache.get(str(tmp_path / "nowhere"))
    assert caught.value.code == "model_unavailable"
    broken = make_base(tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(EngineError, match="cannot be loaded"):
        cache.get(str(broken))


def test_models_that_fill_the_memory_go_before_their_number_is_reached(tmp_path: Path) -> None:
    folders = [str(make_base(tmp_path / name)) for name in "ab"]
    cache = ModelCache(most_bytes=1)
    first = cache.get(folders[0])
    assert cache.get(folders[0]) is first  # the newest one stays, however large it is
    first.add(1, ask(max_tokens=1))
    cache.get(folders[1])
    assert cache.get(folders[0]) is first  # it was answering
    while first.busy:
        first.step()
    cache.get(folders[1])
    assert cache.get(folders[0]) is not first
