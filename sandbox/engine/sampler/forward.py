"""The forward pass of the decode loop, twice: written out for small Llamas, and for any model.

Small models on a CPU compute in float64. A sampled text then depends on its seed and prompt only:
rounding, which changes with the batch, the threads and the processor, happens 9 digits below
where it could change a choice. At this size it is also as fast as transformers' float32 pass.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
import torch.nn.functional as F
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicLayer

from sandbox.engine.sampler.cache import SlotCache, step_mask

SMALL = 20_000_000  # parameters


class Forward(Protocol):
    """What the decode loop needs of a model. Logits are [rows, vocabulary], in float64."""

    bytes_per_token: int
    device: torch.device
    embedding: torch.Tensor  # the token vectors, [vocabulary, model width]

    def prefill(
        self, prompts: list[list[int]], cache: SlotCache, slots: list[list[int]], full: bool
    ) -> list[torch.Tensor]:
        """Read prompts into their slots; each one's logits at its last token (``full``: at all)."""

    def step(self, tokens: torch.Tensor, lengths: torch.Tensor, cache: SlotCache) -> torch.Tensor:
        """Read one token per slot, each after ``lengths[slot]`` others; the next logits."""


def make_forward(model: PreTrainedModel) -> Forward:
    """The fastest forward pass that fits the model."""
    if model.device.type == "cpu" and model.num_parameters() < SMALL and _is_plain_llama(model):
        return LlamaForward(model)
    return GeneralForward(model)


def _is_plain_llama(model: PreTrainedModel) -> bool:
    config = model.config
    return (
        config.model_type == "llama"
        and config.rope_parameters["rope_type"] == "default"
        and config.num_key_value_heads == config.num_attention_heads
        and config.hidden_act == "silu"
        and not config.attention_bias
        and not config.mlp_bias
    )


class LlamaForward:
    """A Llama written out: the whole model on one screen.

    B rows, T tokens each, d model width, H heads of size D = d / H, V vocabulary.
    """

    def __init__(self, model: PreTrainedModel, dtype: torch.dtype = torch.float64) -> None:
        config = model.config
        self.device = model.device
        self.heads, self.size = config.num_attention_heads, config.head_dim
        self.eps = config.rms_norm_eps
        weights = {name: tensor.to(dtype) for name, tensor in model.state_dict().items()}
        self.embedding = weights["model.embed_tokens.weight"]  # [V, d]
        self.head = weights["lm_head.weight"].T  # [d, V]
        self.norm = weights["model.norm.weight"]
        self.layers = [
            _layer(weights, f"model.layers.{i}.") for i in range(config.num_hidden_layers)
        ]
        angles = torch.arange(config.max_position_embeddings)[:, None].to(dtype)
        angles = angles * model.model.rotary_emb.inv_freq.to(dtype)
        self.cos = torch.cat([angles.cos(), angles.cos()], -1)  # [positions, D]
        self.sin = torch.cat([-angles.sin(), angles.sin()], -1)
        self.bytes_per_token = 2 * len(self.layers) * self.heads * self.size * dtype.itemsize

    @torch.inference_mode()
    def prefill(
        self, prompts: list[list[int]], cache: SlotCache, slots: list[list[int]], full: bool
    ) -> list[torch.Tensor]:
        """Read prompts into their slots. Padding stands on the right, where nobody looks back."""
        lengths = [len(prompt) for prompt in prompts]
        longest = max(lengths)
        ids = torch.tensor([p + [0] * (longest - len(p)) for p in prompts])
        cache.expect_prompts(slots, lengths)
        hidden = self._hidden(ids, torch.arange(longest).expand_as(ids), cache, None)
        if full:
            return [hidden[i, :n] @ self.head for i, n in enumerate(lengths)]
        last = hidden[torch.arange(len(prompts)), torch.tensor(lengths) - 1]
        return list((last @ self.head).unsqueeze(1))

    @torch.inference_mode()
    def step(self, tokens: torch.Tensor, lengths: torch.Tensor, cache: SlotCache) -> torch.Tensor:
        """Read one token per slot."""
        cache.expect_tokens(lengths)
        mask = step_mask(lengths, self.embedding.dtype)
        return self._hidden(tokens[:, None], lengths[:, None], cache, mask)[:, 0] @ self.head

    def _hidden(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        cache: SlotCache,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        """ids, positions [B, T] -> hidden states [B, T, d]."""
        x = self.embedding[ids]
        cos, sin = self.cos[positions][:, :, None, None], self.sin[positions][:, :, None, None]
        rows, tokens, width = x.shape
        for number, layer in enumerate(self.layers):
            h = self._normalize(x, layer["norm_attention"])
            qkv = (h @ layer["qkv"]).view(rows, tokens, 3, self.heads, self.size)
            qk, v = qkv[:, :, :2], qkv[:, :, 2].transpose(1, 2)
            qk = qk * cos + qk.roll(self.size // 2, -1) * sin  # rotate by position
            q, k = qk[:, :, 0].transpose(1, 2), qk[:, :, 1].transpose(1, 2)  # [B, H, T, D]
            k, v = cache.update(number, k, v)
            seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
            x = x + seen.transpose(1, 2).reshape(rows, tokens, width) @ layer["out"]
            h = self._normalize(x, layer["norm_mlp"])
            gate, up = (h @ layer["gate_up"]).chunk(2, -1)
            x = x + (F.silu(gate) * up) @ layer["down"]
        return self._normalize(x, self.norm)

    def _normalize(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x, weight.shape, weight, self.eps)


def _layer(weights: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """The matrices of one layer as [in, out], those with the same input joined."""

    def joined(*names: str) -> torch.Tensor:
        return torch.cat([weights[f"{prefix}{name}.weight"] for name in names]).T.contiguous()

    return {
        "norm_attention": weights[prefix + "input_layernorm.weight"],
        "norm_mlp": weights[prefix + "post_attention_layernorm.weight"],
        "qkv": joined("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
        "out": joined("self_attn.o_proj"),
        "gate_up": joined("mlp.gate_proj", "mlp.up_proj"),
        "down": joined("mlp.down_proj"),
    }


class GeneralForward:
    """Any decoder-only model of transformers, through its own forward pass."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.device = model.device
        self.embedding = model.get_input_embeddings().weight
        config = model.config.get_text_config()
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self.n_layers = config.num_hidden_layers
        self.bytes_per_token = 2 * self.n_layers * heads * size * model.dtype.itemsize

    @torch.inference_mode()
    def prefill(
        self, prompts: list[list[int]], cache: SlotCache, slots: list[list[int]], full: bool
    ) -> list[torch.Tensor]:
        """Read prompts into their slots, one after another: large models fill the machine."""
        logits = []
        for prompt, targets in zip(prompts, slots, strict=True):
            cache.expect_prompts([targets], [len(prompt)])
            ids = torch.tensor([prompt], device=self.device)
            out = self._run(ids, None, cache, None, logits_to_keep=0 if full else 1)
            logits.append(out[0].double())
        return logits

    @torch.inference_mode()
    def step(self, tokens: torch.Tensor, lengths: torch.Tensor, cache: SlotCache) -> torch.Tensor:
        """Read one token per slot."""
        cache.expect_tokens(lengths)
        mask = step_mask(lengths, self.model.dtype)
        return self._run(tokens[:, None], lengths[:, None], cache, mask)[:, 0].double()

    def _run(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor | None,
        cache: SlotCache,
        mask: torch.Tensor | None,
        **options: Any,
    ) -> torch.Tensor:
        layers = [_SlotLayer(cache, number) for number in range(self.n_layers)]
        return self.model(
            input_ids=ids,
            position_ids=positions,
            attention_mask=mask,
            past_key_values=Cache(layers=layers),
            use_cache=True,
            **options,
        ).logits


class _SlotLayer(DynamicLayer):
    """One layer of a SlotCache, as transformers wants to see it."""

    def __init__(self, cache: SlotCache, number: int) -> None:
        super().__init__()
        self._cache = cache
        self._number = number

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return self._cache.update(self._number, key_states, value_states)
