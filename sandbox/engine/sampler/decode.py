"""The decode loop: all running requests of one model advance together, one token a step.

Requests join and leave between steps (continuous batching). ``naive.py`` shows the same
sampling at its simplest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from sandbox.engine.sampler.cache import BLOCK, SlotCache
from sandbox.engine.sampler.choose import (
    ChoiceState,
    Floats,
    likeliest,
    log_probabilities,
    random_generator,
    sample,
)
from sandbox.engine.sampler.forward import Forward
from sandbox.engine.sampler.messages import Delta, EngineError, Generate, Output, TokenInfo, Usage
from sandbox.engine.sampler.text_stream import TextStream
from sandbox.engine.text.encoder import ChatFormatError, Encoder

MAX_SLOTS = 64
BACKGROUND_SHARE = 0.75  # of the slots; the rest is free for those who wait for their answer
PREFILL_TOKENS = 2048  # per step, so that long prompts do not hold up the others for long
CACHE_BYTES = 2**30


@dataclass(eq=False)
class _Job:
    """One request on its way: its prompt, its choices still at work, and what is not sent yet."""

    id: int
    request: Generate
    prompt: tuple[int, ...]
    max_new: int
    open: int  # choices that have not finished
    echo_start: int = 0  # tokens before it (the model's start token) are not echoed
    generated: int = 0
    deltas: list[Delta] = field(default_factory=list)
    error: EngineError | None = None


@dataclass(eq=False)
class _Choice:
    """One of the n answers to a request."""

    job: _Job
    index: int
    turn: int  # how many others its group had here when it came
    state: ChoiceState
    stream: TextStream
    new: int = 0  # tokens so far
    last: int = 0  # the newest token, not yet read by the model
    finish_reason: str | None = None

    @property
    def length(self) -> int:
        """Tokens in the cache: all but the newest."""
        return len(self.job.prompt) + self.new - 1


class DecodeLoop:
    """Answers the requests of one model. ``add`` and ``cancel`` between calls of ``step``."""

    def __init__(self, forward: Forward, encoder: Encoder, max_slots: int = MAX_SLOTS) -> None:
        self.encoder = encoder
        self._forward = forward
        self._max_slots = max_slots
        self._cache = SlotCache()
        self._waiting: deque[_Choice] = deque()
        self._active: list[_Choice] = []  # the position in this list is the cache slot
        self._changed: dict[int, _Job] = {}

    @property
    def busy(self) -> bool:
        """Whether ``step`` has anything to do or to report."""
        return bool(self._waiting or self._active or self._changed)

    def add(self, request_id: int, request: Generate) -> None:
        """Queue a request. Raises EngineError when it cannot be answered."""
        prompt, start = self._encode(request)
        budget = self._budget(request, prompt)
        job = _Job(request_id, request, tuple(prompt), budget, request.sampling.n, start)
        group = request.group
        turn = sum(c.job.request.group == group for c in (*self._active, *self._waiting))
        for index in range(request.sampling.n):
            self._waiting.append(self._new_choice(job, index, turn + index))
        # First those that somebody waits for, and among them whoever has the fewest at work:
        # one with a hundred questions does not hold up one who has a single one.
        self._waiting = deque(sorted(self._waiting, key=lambda c: (_in_background(c), c.turn)))

    def cancel(self, request_id: int) -> None:
        """Forget a request; nothing more is reported of it."""
        self._waiting = deque(c for c in self._waiting if c.job.id != request_id)
        for slot in reversed(range(len(self._active))):
            if self._active[slot].job.id == request_id:
                self._leave(slot)
        self._changed.pop(request_id, None)

    def step(self) -> list[Output]:
        """Advance every running choice by one token and report what can be sent."""
        try:
            if self._active:
                self._advance()
            for full, group in self._next_groups():
                self._join(group, full)
        # Out of memory, for one: the requests at work fail, the loop and those waiting go on.
        except Exception as error:  # noqa: BLE001
            failure = EngineError("engine_failed", f"{type(error).__name__}: {error}")
            for choice in self._active:
                self._fail(choice.job, failure)
            self._active.clear()
        if not self._active:
            self._cache.clear()
        return self._report()

    def _encode(self, request: Generate) -> tuple[list[int], int]:
        """Token ids of the prompt, and where the user's part of them begins."""
        prompt = request.prompt
        try:
            if isinstance(prompt, str):
                ids = self.encoder.encode_prompt(prompt)
                start = len(ids) - len(self.encoder.encode_text(prompt))
            elif prompt and isinstance(prompt[0], dict):
                ids, start = self.encoder.encode_chat(prompt), 0
            else:
                ids, start = list(prompt), 0
        except ChatFormatError as error:
            raise EngineError("invalid_request", str(error)) from None
        if not ids:
            raise EngineError("invalid_request", "The prompt is empty: give at least one token.")
        wrong = [
            i for i in (*ids, *request.sampling.logit_bias) if not 0 <= i < self.encoder.vocab_size
        ]
        if wrong:
            raise EngineError(
                "invalid_request",
                f"Token {wrong[0]} does not exist: this model has the tokens 0 to "
                f"{self.encoder.vocab_size - 1}.",
            )
        return ids, start

    def _budget(self, request: Generate, prompt: list[int]) -> int:
        """How many tokens each choice may generate."""
        context, given = self.encoder.context_length, len(prompt)
        wanted = request.sampling.max_tokens
        is_chat = isinstance(request.prompt, list) and isinstance(request.prompt[0], dict)
        part = "messages" if is_chat else "prompt"
        room = context - given
        least = 1 if wanted is None else min(wanted, 1)
        if room < least:
            raise EngineError(
                "context_length_exceeded",
                f"This model's maximum context length is {context} tokens. However, your {part} "
                f"resulted in {given} tokens. Please reduce the length of the {part}.",
            )
        if wanted is not None and wanted > room:
            raise EngineError(
                "context_length_exceeded",
                f"This model's maximum context length is {context} tokens. However, you requested "
                f"{given + wanted} tokens ({given} in the {part}, {wanted} in the completion). "
                f"Please reduce the length of the {part} or completion.",
            )
        return room if wanted is None else wanted

    def _new_choice(self, job: _Job, index: int, turn: int) -> _Choice:
        sampling = job.request.sampling
        state = ChoiceState(sampling, random_generator(sampling.seed, index))
        return _Choice(job, index, turn, state, TextStream(self.encoder, sampling.stop))

    def _next_groups(self) -> Iterator[tuple[bool, list[_Choice]]]:
        """The waiting choices that may join now, in order; echoes (``full``) apart."""
        spent = 0
        while self._waiting and spent < PREFILL_TOKENS:
            full = self._echoes(self._waiting[0])
            group: list[_Choice] = []
            prompts: set[tuple[int, ...]] = set()
            longest = 0
            while self._waiting and self._fits(group, self._waiting[0]):
                prompt = self._waiting[0].job.prompt
                wide = max(longest, len(prompt))
                # Prompts are padded to the longest: a long one does not go with many short ones.
                too_much = spent + len(prompts | {prompt}) * wide > PREFILL_TOKENS
                if group and (too_much or self._echoes(self._waiting[0]) != full):
                    break
                group.append(self._waiting.popleft())
                prompts.add(prompt)
                longest = wide
            if not group:
                return
            spent += len(prompts) * longest
            yield full, group

    def _fits(self, joining: list[_Choice], choice: _Choice) -> bool:
        together = [*self._active, *joining, choice]
        if len(together) > self._max_slots:
            return False
        if _in_background(choice):
            share = max(1, int(self._max_slots * BACKGROUND_SHARE))
            if sum(map(_in_background, together)) > share:
                return False
        longest = max(len(c.job.prompt) + c.job.max_new for c in together) + BLOCK
        needed = longest * len(together) * self._forward.bytes_per_token
        return needed <= CACHE_BYTES or len(together) == 1

    @staticmethod
    def _echoes(choice: _Choice) -> bool:
        return choice.job.request.echo and choice.job.request.sampling.top_logprobs is not None

    def _join(self, group: list[_Choice], full: bool) -> None:
        """Read the prompts of new choices (equal ones once) and draw their first tokens."""
        first = len(self._active)
        self._active += group
        slots: dict[tuple[int, ...], list[int]] = {}
        for slot, choice in enumerate(group, first):
            slots.setdefault(choice.job.prompt, []).append(slot)
        found = self._forward.prefill(
            [list(prompt) for prompt in slots], self._cache, list(slots.values()), full
        )
        logits = dict(zip(slots, found, strict=True))
        for choice in group:
            if choice.job.request.echo:
                self._echo(choice, logits[choice.job.prompt])
        rows = torch.stack([logits[choice.job.prompt][-1] for choice in group])
        self._draw(rows.cpu().numpy(), first)

    def _echo(self, choice: _Choice, logits: torch.Tensor) -> None:
        """Put the prompt itself before the answer, with its log-probabilities if wanted."""
        job, start = choice.job, choice.job.echo_start
        text, infos = self.encoder.decode(job.prompt[start:]), []
        if self._echoes(choice):
            logprobs = log_probabilities(logits.cpu().numpy())
            infos = [
                self._describe(choice, token, logprobs[i - 1] if i else None)
                for i, token in enumerate(job.prompt)
            ][start:]
        self._send(choice, text, infos)

    def _advance(self) -> None:
        """One decoding step for every active choice."""
        device = self._forward.device
        tokens = torch.tensor([choice.last for choice in self._active], device=device)
        lengths = torch.tensor([choice.length for choice in self._active], device=device)
        logits = self._forward.step(tokens, lengths, self._cache)
        self._draw(logits.cpu().numpy(), 0)

    def _draw(self, logits: Floats, first: int) -> None:
        """Sample a token for each slot from ``first`` on, and let those that are done leave."""
        choices = self._active[first:]
        broken = ~np.isfinite(logits).all(axis=1)
        if broken.any():
            logits = np.where(broken[:, None], 0.0, logits)
        tokens = sample(logits, [choice.state for choice in choices])
        wanting = [
            i for i, c in enumerate(choices) if c.job.request.sampling.top_logprobs is not None
        ]
        logprobs = dict(zip(wanting, log_probabilities(logits[wanting]), strict=True))
        for i, (choice, token) in enumerate(zip(choices, tokens.tolist(), strict=True)):
            if broken[i]:
                self._fail(choice.job, _NOT_FINITE)
            else:
                self._accept(choice, token, logprobs.get(i))
        for slot in reversed(range(len(self._active))):
            choice = self._active[slot]
            if choice.finish_reason or choice.job.error:
                self._leave(slot)

    def _accept(self, choice: _Choice, token: int, logprobs: Floats | None) -> None:
        """Add a sampled token to a choice: an end, more text, or a stop string."""
        job = choice.job
        if job.max_new == 0:
            choice.finish_reason = "length"
        elif token in self.encoder.stop_ids:
            choice.finish_reason = "stop"
        else:
            choice.new += 1
            choice.last = token
            job.generated += 1
            info = None if logprobs is None else self._describe(choice, token, logprobs)
            if choice.stream.push(token, info):
                choice.finish_reason = "stop"
            elif choice.new == job.max_new:
                choice.finish_reason = "length"
        done = choice.finish_reason is not None
        text, infos = choice.stream.take(last=done)
        if text or infos or done:
            self._send(choice, text, infos)
        job.open -= done

    def _describe(self, choice: _Choice, token: int, logprobs: Floats | None) -> TokenInfo:
        raw = self.encoder.token_bytes(token)
        text = raw.decode("utf-8", errors="replace")
        if logprobs is None:
            return TokenInfo(text, list(raw), None, [])
        top = []
        for other in likeliest(logprobs, choice.job.request.sampling.top_logprobs or 0).tolist():
            bytes_of = self.encoder.token_bytes(other)
            named = bytes_of.decode("utf-8", errors="replace")
            top.append((named, list(bytes_of), float(logprobs[other])))
        return TokenInfo(text, list(raw), float(logprobs[token]), top)

    def _send(self, choice: _Choice, text: str, infos: list[TokenInfo]) -> None:
        job = choice.job
        job.deltas.append(Delta(choice.index, text, infos, choice.finish_reason))
        self._changed[job.id] = job

    def _fail(self, job: _Job, error: EngineError) -> None:
        """End a whole request with an error."""
        job.error = error
        self._waiting = deque(c for c in self._waiting if c.job is not job)
        self._changed[job.id] = job

    def _leave(self, slot: int) -> None:
        """Take a choice out of the batch; the last slot moves into its place."""
        last = self._active.pop()
        if slot < len(self._active):
            self._active[slot] = last
            self._cache.move(len(self._active), slot)

    def _report(self) -> list[Output]:
        outputs = []
        for job in list(self._changed.values()):
            finished = job.open == 0 or job.error is not None
            if not finished and not job.request.stream:
                continue
            usage = None
            if finished and job.error is None:
                usage = Usage(len(job.prompt), job.generated)
            deltas = job.deltas if job.request.stream else _merge(job.deltas)
            outputs.append(Output(job.id, deltas, usage, job.error))
            job.deltas = []
            del self._changed[job.id]
        return outputs


def _in_background(choice: _Choice) -> bool:
    return choice.job.request.background


_NOT_FINITE = EngineError(
    "model_unavailable",
    "The model's output is not a number. Its training has probably diverged: "
    "train again with a lower learning_rate_multiplier.",
)


def _merge(deltas: list[Delta]) -> list[Delta]:
    """One delta per choice, in the order of the choices."""
    parts: dict[int, list[Delta]] = {}
    for delta in deltas:
        parts.setdefault(delta.choice, []).append(delta)
    return [
        Delta(
            index,
            "".join(part.text for part in parts[index]),
            [token for part in parts[index] for token in part.tokens],
            parts[index][-1].finish_reason,
        )
        for index in sorted(parts)
    ]
