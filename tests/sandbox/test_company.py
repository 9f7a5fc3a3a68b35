"""What a request gets does not depend on its company: here to twelve digits of the logits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from sandbox.engine.forward import LlamaForward
from sandbox.engine.kv_cache import SlotCache
from sandbox.engine.models import load_model
from tests.support.tiny import make_base


def test_a_row_gets_the_same_logits_in_any_company(tmp_path: Path) -> None:
    """Far finer than what could ever change a choice; float32 would miss it by six digits."""
    forward = LlamaForward(load_model(make_base(tmp_path)))
    draw = np.random.default_rng(1)
    prompts = [draw.integers(5, 60, n).tolist() for n in draw.integers(1, 50, 40)]
    tokens = torch.tensor([prompt[0] for prompt in prompts])

    def logits(chosen: list[int]) -> torch.Tensor:
        cache = SlotCache()
        some = [prompts[i] for i in chosen]
        forward.prefill(some, cache, [[slot] for slot in range(len(chosen))], False)
        lengths = torch.tensor([len(prompt) for prompt in some])
        first = forward.step(tokens[chosen], lengths, cache)
        second = forward.step(tokens[chosen], lengths + 1, cache)
        return torch.stack([first, second], 1)

    together = logits(list(range(40)))
    backwards = logits(list(range(39, -1, -1))).flip(0)
    torch.testing.assert_close(together, backwards, rtol=1e-12, atol=1e-12)
    for row in (0, 7, 39):
        torch.testing.assert_close(together[row], logits([row])[0], rtol=1e-12, atol=1e-12)
