"""The forward pass of the decode loop for any causal model of transformers."""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicLayer

from sandbox.engine.sampler.cache import NewTokens, SlotCache, Text


class GeneralForward:
    """Any decoder-only model of transformers, through its own forward pass."""

    def __init__(self, model: PreTrainedModel, like: GeneralForward | None = None) -> None:
        """Take a model; it shares what is equal in the one it is ``like``."""
        self.model = model
        known = {} if like is None else dict(like.model.named_parameters())
        for name, weight in model.named_parameters():
            if name in known and torch.equal(weight, known[name]):
                weight.data = known[name].data
        self.device, self.dtype = model.device, model.dtype
        config = model.config.get_text_config()
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self.n_layers = config.num_hidden_layers
        self.bytes_per_token = 2 * self.n_layers * heads * size * model.dtype.itemsize

    @torch.inference_mode()
    def prefill(self, texts: list[Text], cache: SlotCache) -> list[torch.Tensor]:
        """Read texts into their slots, one after another: large models fill the machine."""
        logits = []
        for text in texts:
            ids = torch.tensor([text.ids], device=self.device)
            layers = [_PromptLayer(cache, number, text) for number in range(self.n_layers)]
            logits.append(self._run(ids, layers, logits_to_keep=0 if text.full else 1)[0])
        return logits

    def logits(self, read: torch.Tensor) -> torch.Tensor:
        """These are logits already."""
        return read

    @torch.inference_mode()
    def step(self, tokens: torch.Tensor, lengths: torch.Tensor, cache: SlotCache) -> torch.Tensor:
        """Read one token per slot."""
        new = NewTokens(lengths)
        mask = new.mask(self.dtype)
        layers = [_StepLayer(cache, number, new) for number in range(self.n_layers)]
        positions = lengths[:, None]
        return self._run(tokens[:, None], layers, position_ids=positions, attention_mask=mask)[:, 0]

    def sizes(self) -> dict[int, int]:
        """Bytes of its parameters."""
        return {weight.data_ptr(): weight.nbytes for weight in self.model.parameters()}

    def _run(self, ids: torch.Tensor, layers: list[DynamicLayer], **options: Any) -> torch.Tensor:
        cache = Cache(layers=layers)
        out = self.model(input_ids=ids, past_key_values=cache, use_cache=True, **options)
        return out.logits.to(torch.promote_types(out.logits.dtype, torch.float32))


class _PromptLayer(DynamicLayer):
    """One layer of a SlotCache, as transformers wants to see it while it reads a prompt."""

    def __init__(self, cache: SlotCache, number: int, text: Text) -> None:
        super().__init__()
        self._cache, self._number, self._text = cache, number, text
        if text.start:
            keys, values = cache.read(number, text.slots[0], text.start)
            super().update(keys[None], values[None])

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        new = key_states[0], value_states[0]
        self._cache.store(self._number, self._text.slots, self._text.start, *new)
        return super().update(key_states, value_states)


class _StepLayer(DynamicLayer):
    """One layer of a SlotCache, as transformers wants to see it while it reads a token per slot."""

    def __init__(self, cache: SlotCache, number: int, new: NewTokens) -> None:
        super().__init__()
        self._cache, self._number, self._new = cache, number, new

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        keys, values = key_states[:, :, 0], value_states[:, :, 0]
        return self._cache.append(self._number, self._new, keys, values)
