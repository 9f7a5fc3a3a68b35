"""The forward pass of the decode loop, written out for Llamas. ``general.py`` is for any model.

Small models on a CPU compute in float64. A sampled text then depends on its seed and prompt only:
rounding, which changes with the batch, the threads and the processor, happens 9 digits below
where it could change a choice. Larger ones compute in the precision of their weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from transformers import PreTrainedModel

from sandbox.engine.load import LARGE
from sandbox.engine.sampler.cache import NewTokens, SlotCache, Text
from sandbox.engine.sampler.choose import CANDIDATES
from sandbox.engine.sampler.general import GeneralForward
from sandbox.engine.sampler.matrix import Matrix


class Forward(Protocol):
    """What the decode loop needs of a model. Logits are [rows, vocabulary], float32 or finer."""

    bytes_per_token: int  # in the cache
    device: torch.device
    dtype: torch.dtype  # of the matrices

    def prefill(self, texts: list[Text], cache: SlotCache) -> list[torch.Tensor]:
        """Read texts into their slots; return what ``logits`` takes for the last token of each."""

    def logits(self, read: torch.Tensor) -> torch.Tensor:
        """The logits after tokens that ``prefill`` has read."""

    def step(self, tokens: torch.Tensor, lengths: torch.Tensor, cache: SlotCache) -> torch.Tensor:
        """Read one token per slot, each after ``lengths[slot]`` others; the next logits."""

    def sizes(self) -> dict[int, int]:
        """Bytes of its weights, under numbers that are the same where two models share one."""


def make_forward(model: PreTrainedModel, like: Forward | None = None) -> Forward:
    """The fastest forward pass that fits the model. It shares what it can with one it is like."""
    if not _is_plain_llama(model):
        return GeneralForward(model, like if isinstance(like, GeneralForward) else None)
    small = model.device.type == "cpu" and model.num_parameters() <= LARGE
    dtype = torch.float64 if small else model.dtype
    return LlamaForward(model, dtype, like if isinstance(like, LlamaForward) else None)


def _is_plain_llama(model: PreTrainedModel) -> bool:
    config = model.config
    return (
        config.model_type == "llama"
        and config.rope_parameters["rope_type"] == "default"
        and config.hidden_act == "silu"
        and not config.attention_bias
        and not config.mlp_bias
    )


class Layer(NamedTuple):
    """The weights of a layer: matrices, and the scales of its norms."""

    norm_attention: torch.Tensor
    qkv: Matrix
    out: Matrix
    norm_mlp: torch.Tensor
    gate_up: Matrix
    down: Matrix


# Matrices with the same input are one: a single large product is faster than several small ones.
JOINED = {
    "qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "out": ("self_attn.o_proj",),
    "gate_up": ("mlp.gate_proj", "mlp.up_proj"),
    "down": ("mlp.down_proj",),
}

# With so many queries at a time, the work space of each of torch's threads begins at a multiple of
# 64 bytes. Else MKL rounds otherwise in the second thread, and texts depend on their company.
QUERIES = 8

# Layer number, queries [N, H, D], keys and values [N, G, D] -> what the queries see, [N, H, D].
Attend = Callable[[int, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


class LlamaForward:
    """A Llama written out: the whole model on one screen.

    N tokens at once, whichever texts they belong to; d model width, V vocabulary; H heads of size
    D ask, in groups of H / G that share one of G key/value heads.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        dtype: torch.dtype = torch.float64,
        like: LlamaForward | None = None,
    ) -> None:
        """Take a model's weights, and those that are equal from the pass it is ``like``.

        The model itself is not needed any more.
        """
        config = model.config
        self.device, self.dtype = model.device, dtype
        self.heads, self.groups = config.num_attention_heads, config.num_key_value_heads
        self.size, self.eps = config.head_dim, config.rms_norm_eps
        # bfloat16 is for the matrices. What adds up from layer to layer stays finer.
        self.wide = torch.promote_types(dtype, torch.float32)
        weights = model.state_dict()
        self.embedding = weights["model.embed_tokens.weight"].to(dtype)  # [V, d]
        if like is not None and torch.equal(self.embedding, like.embedding):
            self.embedding = like.embedding
        self.rows = weights["lm_head.weight"].to(dtype)  # of the head
        if torch.equal(self.rows, self.embedding):
            self.rows = self.embedding
        self.head = _matrix(self.rows, like and like.head)
        self.norm = weights["model.norm.weight"].to(self.wide)
        self.layers = [
            self._layer(weights, f"model.layers.{number}.", like and like.layers[number])
            for number in range(config.num_hidden_layers)
        ]
        angles = torch.arange(config.max_position_embeddings, device=self.device)[:, None]
        angles = angles.to(self.wide) * model.model.rotary_emb.inv_freq.to(self.wide)
        self.cos = torch.cat([angles.cos(), angles.cos()], -1).to(dtype)  # [positions, D]
        self.sin = torch.cat([-angles.sin(), angles.sin()], -1).to(dtype)
        self.bytes_per_token = 2 * len(self.layers) * self.groups * self.size * dtype.itemsize

    def _layer(self, weights: dict[str, torch.Tensor], prefix: str, like: Layer | None) -> Layer:
        matrices = {}
        for name, parts in JOINED.items():
            weight = torch.cat([weights[f"{prefix}{part}.weight"] for part in parts])
            matrices[name] = _matrix(weight.to(self.dtype), like and getattr(like, name))
        return Layer(
            norm_attention=weights[prefix + "input_layernorm.weight"].to(self.wide),
            norm_mlp=weights[prefix + "post_attention_layernorm.weight"].to(self.wide),
            **matrices,
        )

    def sizes(self) -> dict[int, int]:
        """Bytes of its matrices."""
        matrices = [part for layer in self.layers for part in layer if isinstance(part, Matrix)]
        weights = [self.embedding, self.rows, self.head, *matrices]
        return {id(weight): weight.nbytes for weight in weights}

    @torch.inference_mode()
    def prefill(self, texts: list[Text], cache: SlotCache) -> list[torch.Tensor]:
        """Read texts into their slots: one after another in a row, each attends to itself."""
        lengths = [len(text.ids) for text in texts]
        ids = torch.tensor([token for text in texts for token in text.ids], device=self.device)
        starts = [text.start for text in texts]
        positions = torch.cat(
            [
                torch.arange(start, start + length, device=self.device)
                for start, length in zip(starts, lengths, strict=True)
            ]
        )

        def attend(layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            parts = zip(*(x.transpose(0, 1).split(lengths, 1) for x in (q, k, v)), strict=True)
            seen = []
            for text, (queries, keys, values) in zip(texts, parts, strict=True):
                cache.store(layer, text.slots, text.start, keys, values)
                if text.start:
                    past = cache.read(layer, text.slots[0], text.start)
                    keys, values = (
                        torch.cat(pair, 1) for pair in zip(past, (keys, values), strict=True)
                    )
                seen.append(_causal(queries, keys, values))
            return torch.cat(seen, 1).transpose(0, 1)

        read = self._hidden(ids, positions, attend).split(lengths)
        return [each if text.full else each[-1:] for text, each in zip(texts, read, strict=True)]

    @torch.inference_mode()
    def step(self, tokens: torch.Tensor, lengths: torch.Tensor, cache: SlotCache) -> torch.Tensor:
        """Read one token per slot."""
        # Over whole blocks of bfloat16, sums are the same however long the longest text is.
        new = NewTokens(lengths, whole_blocks=self.dtype is torch.bfloat16)
        mask = new.mask(self.dtype)

        def attend(layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            keys, values = cache.append(layer, new, k, v)
            # The heads of a group look at the same keys: to them, they are so many queries.
            q = q.view(len(q), self.groups, -1, self.size)
            asked = q.shape[2]
            if self.dtype is torch.bfloat16:
                q = F.pad(q, (0, 0, 0, -asked % QUERIES))
            seen = F.scaled_dot_product_attention(q, keys, values, attn_mask=mask)
            return seen[:, :, :asked].flatten(1, 2)

        return self.logits(self._hidden(tokens, lengths, attend))

    def _hidden(self, ids: torch.Tensor, positions: torch.Tensor, attend: Attend) -> torch.Tensor:
        """ids, positions [N] -> hidden states [N, d]."""
        x = self.embedding[ids].to(self.wide)
        cos, sin = self.cos[positions][:, None], self.sin[positions][:, None]
        rotated = self.heads + self.groups
        for number, layer in enumerate(self.layers):
            h = self._normalize(x, layer.norm_attention)
            qkv = layer.qkv(h).view(len(x), -1, self.size)
            qk, v = qkv[:, :rotated], qkv[:, rotated:]
            qk = qk * cos + qk.roll(self.size // 2, -1) * sin  # rotate by position
            seen = attend(number, qk[:, : self.heads], qk[:, self.heads :], v)
            x = x + layer.out(seen.flatten(1))
            h = self._normalize(x, layer.norm_mlp)
            gate, up = layer.gate_up(h).chunk(2, -1)
            x = x + layer.down(F.silu(gate) * up)
        return F.rms_norm(x, self.norm.shape, self.norm, self.eps)

    def _normalize(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x, weight.shape, weight, self.eps).to(self.dtype)

    @torch.inference_mode()
    def logits(self, read: torch.Tensor) -> torch.Tensor:
        """Hidden states [N, d] -> logits [N, V]; of bfloat16, the likeliest ones more finely."""
        logits = self.head(read.to(self.dtype)).to(self.wide)
        if self.dtype is not self.wide:
            likeliest = logits.topk(min(CANDIDATES, logits.shape[1]), sorted=False).indices
            finer = (self.rows[likeliest].to(self.wide) * read[:, None]).sum(-1)
            logits.scatter_(1, likeliest, finer)
        return logits


def _causal(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Queries [H, T, D] of the last of S tokens, keys and values [G, S, D] -> what they see."""
    new, whole = q.shape[1], k.shape[1]
    mask = None
    if new < whole:
        mask = torch.ones(new, whole, dtype=torch.bool, device=q.device).tril(whole - new)
    seen = F.scaled_dot_product_attention(
        q[None], k[None], v[None], mask, is_causal=mask is None, enable_gqa=True
    )
    return seen[0]


def _matrix(weight: torch.Tensor, like: Matrix | None) -> Matrix:
    """A matrix of a weight [out, in], or the one it would be like, if it is equal."""
    return like if like is not None and like.equals(weight) else Matrix(weight)
