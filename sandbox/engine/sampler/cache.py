"""The key/value cache of the decode loop: one slot (row) for each running choice.

A key's place in its row does not matter to attention, because positions are already rotated into
it. So a choice keeps its row from the first token to the last, whatever the others do.
"""

from __future__ import annotations

import torch

BLOCK = 64  # rows grow by so many positions at a time


class SlotCache:
    """Keys and values per layer, each [slots, heads, positions, head size].

    Before each forward pass, ``expect_prompts`` or ``expect_tokens`` says where it will write.
    """

    def __init__(self) -> None:
        self._keys: list[torch.Tensor] = []
        self._values: list[torch.Tensor] = []
        self._slots: list[list[int]] = []
        self._lengths: list[int] = []
        self._rows = torch.empty(0, dtype=torch.long)
        self._columns = torch.empty(0, dtype=torch.long)
        self._prompts = True

    def expect_prompts(self, slots: list[list[int]], lengths: list[int]) -> None:
        """The next pass reads whole prompts; prompt i goes to all of ``slots[i]``."""
        self._prompts, self._slots, self._lengths = True, slots, lengths

    def expect_tokens(self, lengths: torch.Tensor) -> None:
        """The next pass reads one token per slot, which has ``lengths[slot]`` tokens so far."""
        self._prompts = False
        self._rows = torch.arange(len(lengths), device=lengths.device)
        self._columns = lengths
        self._width = int(lengths.max()) + 1

    def update(
        self, layer: int, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store new keys and values [rows, heads, tokens, size]; return all to attend to."""
        if self._prompts:
            rows = max(slot for slots in self._slots for slot in slots) + 1
            self._make_room(layer, keys, rows, max(self._lengths))
            for row, (slots, length) in enumerate(zip(self._slots, self._lengths, strict=True)):
                self._keys[layer][slots, :, :length] = keys[row, :, :length]
                self._values[layer][slots, :, :length] = values[row, :, :length]
            return keys, values
        self._make_room(layer, keys, len(self._rows), self._width)
        self._keys[layer][self._rows, :, self._columns] = keys[:, :, 0]
        self._values[layer][self._rows, :, self._columns] = values[:, :, 0]
        used = slice(len(self._rows)), slice(None), slice(self._width)
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

    def _make_room(self, layer: int, like: torch.Tensor, rows: int, width: int) -> None:
        if layer == len(self._keys):
            empty = like.new_zeros(0, like.shape[1], 0, like.shape[3])
            self._keys.append(empty)
            self._values.append(empty)
        old_rows, _, old_width, _ = self._keys[layer].shape
        if rows <= old_rows and width <= old_width:
            return
        # Doubling the rows keeps the copying rare while a batch fills up.
        new_rows = max(old_rows, rows if rows <= old_rows else max(rows, 2 * old_rows))
        new_width = max(old_width, -(-width // BLOCK) * BLOCK)
        for tensors in (self._keys, self._values):
            bigger = like.new_zeros(new_rows, like.shape[1], new_width, like.shape[3])
            bigger[:old_rows, :, :old_width] = tensors[layer]
            tensors[layer] = bigger


def step_mask(lengths: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What each slot may attend to: 0 on its own tokens and the new one, -inf beyond.

    Shape [slots, 1, 1, longest].
    """
    columns = torch.arange(int(lengths.max()) + 1, device=lengths.device)
    beyond = columns[None, :] > lengths[:, None]
    mask = torch.zeros(beyond.shape, dtype=dtype, device=lengths.device)
    return mask.masked_fill_(beyond, torch.finfo(dtype).min)[:, None, None, :]
