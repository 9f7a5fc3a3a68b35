"""A very small model that turns texts into vectors, in the form of sentence-transformers."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

from filelock import FileLock

from tests.support.tiny import KEPT

NAME, WIDTH, LIMIT = "tiny-embedder", 32, 64
WORDS = "a the she he is hero healer storm calms flies over city rain in and with power of".split()


def kept_embedder(limit: int = LIMIT) -> Path:
    """The folder of a model that reads so many tokens, written by the first test that asks.

    No test may write into it.
    """
    recipe = hashlib.sha256(Path(__file__).read_bytes() + str(limit).encode()).hexdigest()[:12]
    folder = KEPT / f"{NAME}-{recipe}"
    KEPT.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.is_dir():
            draft = folder.with_suffix(".draft")
            shutil.rmtree(draft, ignore_errors=True)
            make_embedder(draft, limit).rename(folder)
    return folder


def make_embedder(folder: Path, limit: int) -> Path:
    """Write the model, with the truncating tokenizer that such models come with."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import AutoModel, BertConfig

    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS, *letters, *(f"##{c}" for c in letters)]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    tokenizer.enable_truncation(16)
    tokenizer.enable_padding(length=16)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=WIDTH,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=2 * limit,
        initializer_range=0.2,
    )
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    for name, content in {
        "modules.json": [],
        "sentence_bert_config.json": {"max_seq_length": limit},
        "1_Pooling/config.json": {"pooling_mode_mean_tokens": True},
        "sandbox.json": {"name": NAME},
    }.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
    return folder
