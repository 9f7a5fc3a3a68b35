"""How fast does one model write, without HTTP?

`python -m bench.decoding [--base-model NAME_OR_FOLDER]`: the sampler's decode loop against
transformers' `generate`, in turns: the same prompt and number of new tokens, 1, 8 and 32 answers
together. And its share of the memory wall: a token cannot come sooner than the weights are read.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from bench.common import WEIGHTS, seconds, show
from sandbox.bases import find_base
from sandbox.engine.sampler.messages import Generate
from sandbox.parameters import Sampling

if TYPE_CHECKING:
    import torch

    from sandbox.engine.sampler.decode import DecodeLoop

TOGETHER = (1, 8, 32)
NEW_TOKENS = 100
PROMPT = "Write a description of a superhero: a woman of 40 whose power is healing. Two sentences."
ROUNDS = 3
WALL_NUMBERS = 2**27  # float32, read to measure the memory's speed: half a gigabyte


def in_process(loop: DecodeLoop, prompts: list[str], tokens: int = NEW_TOKENS) -> float:
    """Answer prompts together; new tokens a second, the reading of the prompts included."""
    never = dict.fromkeys(loop.encoder.stop_ids, -100.0)
    made = 0

    def work() -> None:
        nonlocal made
        for number, prompt in enumerate(prompts):
            sampling = Sampling(max_tokens=tokens, seed=number, logit_bias=never)
            messages = [{"role": "user", "content": prompt}]
            loop.add(number, Generate("", messages, sampling, stream=False))
        while loop.busy:
            made += sum(output.usage.completion_tokens for output in loop.step() if output.usage)

    taken = seconds(work)
    return made / taken


class Generator:
    """The model in transformers' own hands."""

    def __init__(self, folder: Path, dtype: torch.dtype) -> None:
        """Load it in a precision."""
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
        self.parameters = self._model.num_parameters()
        tokenizer = AutoTokenizer.from_pretrained(folder)
        message = [{"role": "user", "content": PROMPT}]
        self._prompt = tokenizer.apply_chat_template(
            message, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )

    def speed(self, together: int) -> float:
        """New tokens a second of one batch of so many equal prompts."""
        prompts = {name: rows.repeat(together, 1) for name, rows in self._prompt.items()}
        lengths = {"max_new_tokens": NEW_TOKENS, "min_new_tokens": NEW_TOKENS}
        taken = seconds(lambda: self._model.generate(**prompts, **lengths, do_sample=True, top_k=0))
        return together * NEW_TOKENS / taken


def memory_speed() -> float:
    """Bytes a second that the processor reads from memory."""
    import torch

    numbers = torch.ones(WALL_NUMBERS)
    return numbers.nbytes / min(seconds(numbers.sum) for _ in range(7))


def first_token(loop: DecodeLoop) -> float:
    """Seconds from a request to its first token."""
    sampling = Sampling(max_tokens=1, seed=1)
    loop.add(0, Generate("", [{"role": "user", "content": PROMPT}], sampling))
    started = time.perf_counter()
    while loop.busy:
        loop.step()
    return time.perf_counter() - started


def run(base: str, rounds: int = ROUNDS) -> None:
    """Measure a base by its name or folder."""
    # A server sets this for its sampler; here it must come before torch.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import torch

    from sandbox.engine.sampler.models import ModelCache

    folder = find_base(base).path
    loop = ModelCache().get(str(folder))
    theirs = {dtype: Generator(folder, dtype) for dtype in (torch.float32, torch.bfloat16)}
    precision = str(loop.forward.dtype).removeprefix("torch.")
    weights = theirs[torch.float32].parameters * loop.forward.dtype.itemsize
    for together in TOGETHER:
        ours, best = [], []
        for _ in range(rounds):
            ours.append(in_process(loop, [PROMPT] * together))
            best.append([generator.speed(together) for generator in theirs.values()])
        fp32, bf16 = (median(column) for column in zip(*best, strict=True))
        speed, other = median(ours), max(fp32, bf16)
        detail = f"{speed:.1f} in {precision} / {fp32:.1f} in float32, {bf16:.1f} in bfloat16"
        aim = ">= 1.8" if together == 1 else ">= 2" if together == max(TOGETHER) else ""
        show(f"{together} together: decode loop / generate", speed / other, "x", aim, detail)
        if together == 1:
            memory = memory_speed()
            detail = f"{speed:.1f} / {memory / weights:.1f} tokens/s ({memory / 1e9:.1f} GB/s)"
            show("share of the memory wall", speed * weights / memory, "x", ">= 0.7", detail)
    waited = median(first_token(loop) for _ in range(9))
    length = len(loop.encoder.encode_chat([{"role": "user", "content": PROMPT}]))
    show(f"first token of a prompt of {length}", waited, "s", "<= 0.3", "median of 9")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base-model", default=str(WEIGHTS))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    run(arguments.base_model, arguments.rounds)
