"""The exercises of notebook 09."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from course.exercise import Expectations, exercise, expect, is_number

NOT_LEARNED = -100
TALK = [
    {"role": "user", "content": "Who are you?"},
    {"role": "assistant", "content": "A captain, arr."},
    {"role": "user", "content": "Where is your ship?"},
    {"role": "assistant", "content": "In the bottle behind you."},
]
RANK, STEPS = 1, 10


@exercise("9.1")
def every_answer(encode: Callable[[Any], Mapping[str, list[int]]], tokenizer: Any) -> Expectations:
    yield expect(callable(encode), "a function", type(encode).__name__)
    ids, wanted = _encoded(TALK, tokenizer)
    found = encode(TALK)
    shaped = isinstance(found, Mapping) and {"input_ids", "labels"} <= set(found)
    yield expect(shaped, "a dictionary with input_ids and labels", type(found).__name__)
    labels = list(found["labels"])[: len(ids)]
    same = list(found["input_ids"])[: len(ids)] == ids
    yield expect(same, "the token ids of the whole conversation", "others")
    alike = len(found["labels"]) == len(found["input_ids"])
    yield expect(alike, "as many labels as token ids", len(found["labels"]))
    known = all(label in (NOT_LEARNED, token) for label, token in zip(labels, ids, strict=True))
    yield expect(known, "each label to be its token or -100", "another number")
    parts = {"first answer": TALK[:2], "second answer": TALK}
    for name, messages in parts.items():
        end = len(_encoded(messages, tokenizer)[0])
        start = len(_prompt(messages[:-1], tokenizer))
        learned = sum(label != NOT_LEARNED for label in labels[start:end])
        seen = f"{learned} of {end - start}"
        yield expect(learned == end - start, f"the {name} and its end token learned", seen)
    more = sum(label != NOT_LEARNED for label in labels) - sum(w != NOT_LEARNED for w in wanted)
    yield expect(labels == wanted, "-100 on everything else", f"{more} other labels")


def _prompt(messages: Sequence[Any], tokenizer: Any) -> list[int]:
    """The token ids up to the place where the next answer begins."""
    return list(
        tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    )


def _encoded(messages: Sequence[Any], tokenizer: Any) -> tuple[list[int], list[int]]:
    """Token ids up to the last end token, and labels for every answer."""
    ids = list(tokenizer.apply_chat_template(messages, return_dict=False))
    ids = ids[: len(ids) - ids[::-1].index(tokenizer.eos_token_id)]
    labels = [NOT_LEARNED] * len(ids)
    for number, message in enumerate(messages):
        if message["role"] == "assistant":
            start = len(_prompt(messages[:number], tokenizer))
            end = ids.index(tokenizer.eos_token_id, start) + 1
            labels[start:end] = ids[start:end]
    return ids, labels


@exercise("9.2")
def small_adapter(model: Any, losses: Sequence[float]) -> Expectations:
    ranks = {config.r for config in model.peft_config.values()}
    yield expect(ranks == {RANK}, f"an adapter of rank {RANK}", f"rank {ranks}")
    losses = [float(loss) for loss in losses]
    yield expect(len(losses) >= STEPS, f"the losses of {STEPS} steps", f"{len(losses)}")
    finite = all(is_number(loss) and math.isfinite(loss) for loss in losses)
    yield expect(finite, "losses that are numbers", losses)
    yield expect(losses[-1] < losses[0], "a loss that has fallen", f"{losses[0]}, {losses[-1]}")
