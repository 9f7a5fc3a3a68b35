"""The key/value cache of the decode loop: one slot (row) for each running choice.

A key's place in its row does not matter to attention, because positions are already rotated into
it. So a choice keeps its row from the first token to the last, whatever the others do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch

BLOCK = 64  # rows grow by so many positions at a time


class Text(NamedTuple):
    """What is read at once, and where to: equal texts share the work."""

    ids: Sequence[int]
    slots: list[int]
    full: bool = False  # whether the logits of all its tokens will be asked for
    start: int = 0  # tokens before these that the slots hold already


class NewTokens:
    """One new token in each of the first slots, after ``lengths`` [slots] others.

    ``width`` is how many positions are looked at: up to the longest, or to the end of its block.
    """

    def __init__(self, lengths: torch.Tensor, whole_blocks: bool = False) -> None:
        self.lengths = lengths
        self.rows = torch.arange(len(lengths), device=lengths.device)
        longest = int(lengths.max()) + 1
        self.width = -(-longest // BLOCK) * BLOCK if whole_blocks else longest

    def mask(self, dtype: torch.dtype) -> torch.Tensor:
        """What each slot may attend to: 0 on its own tokens, the lowest number beyond.

        Shape [slots, 1, 1, width].
        """
        columns = torch.arange(self.width, device=self.lengths.device)
        beyond = columns > self.lengths[:, None]
        mask = torch.zeros(beyond.shape, dtype=dtype, device=self.lengths.device)
        return mask.masked_fill_(beyond, torch.finfo(dtype).min)[:, None, None, :]


class SlotCache:
    """Keys and values of each layer, each [slots, heads, positions, head size]."""

    def __init__(self) -> None:
        self._keys: list[torch.Tensor] = []
        self._values: list[torch.Tensor] = []

    def store(
        self,
        layer: int,
        slots: Sequence[int],
        start: int,
        keys: torch.Tensor,
        values: torch.Tensor,
    ) -> None:
        """Store tokens, [heads, tokens, size], after ``start`` others in all of ``slots``."""
        end = start + keys.shape[1]
        for cached, new in ((self._keys, keys), (self._values, values)):
            if layer == len(cached):
                cached.append(new.new_zeros(0, new.shape[0], 0, new.shape[2]))
            cached[layer] = _with_room(cached[layer], max(slots) + 1, end)
            for slot in slots:
                cached[layer][slot, :, start:end] = new

    def read(self, layer: int, slot: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The keys and values of a slot's first tokens, each [heads, length, size]."""
        return self._keys[layer][slot, :, :length], self._values[layer][slot, :, :length]

    def append(
        self, layer: int, new: NewTokens, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store a token in each slot, [slots, heads, size]; return all that can be attended to."""
        for cached, token in ((self._keys, keys), (self._values, values)):
            if len(cached[layer]) < len(token) or cached[layer].shape[2] < new.width:
                # Slots that are not in use do not grow along.
                cached[layer] = _with_room(cached[layer][: len(token)], len(token), new.width)
            cached[layer][new.rows, :, new.lengths] = token
        used = slice(len(keys)), slice(None), slice(new.width)
        return self._keys[layer][used], self._values[layer][used]

    @torch.inference_mode()
    def move(self, source: int, target: int) -> None:
        """Copy one slot over another."""
        for tensor in (*self._keys, *self._values):
            tensor[target] = tensor[source]

    def clear(self) -> None:
        """Give the memory back."""
        self._keys.clear()
        self._values.clear()


def _with_room(tensor: torch.Tensor, rows: int, width: int) -> torch.Tensor:
    """The tensor itself, or a copy with more slots or positions if it has too few."""
    old_rows, heads, old_width, size = tensor.shape
    if rows <= old_rows and width <= old_width:
        return tensor
    # Doubling the rows keeps the copying rare while a batch fills up.
    rows = max(rows, 2 * old_rows) if rows > old_rows else old_rows
    width = max(-(-width // BLOCK) * BLOCK, old_width)
    bigger = tensor.new_zeros(rows, heads, width, size)
    bigger[:old_rows, :, :old_width] = tensor
    return bigger
