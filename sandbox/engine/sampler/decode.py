"""The decode loop: all running requests of one model advance together, one token a step.

Requests join and leave between steps (continuous batching). ``naive.py`` shows the same
sampling at its simplest; ``admission.py`` says who may join.
"""

from __future__ import annotations

from itertools import chain

import numpy as np
import torch

from sandbox.engine.sampler.admission import PART, Admission, Choice, Running
from sandbox.engine.sampler.cache import SlotCache, Text
from sandbox.engine.sampler.choose import Floats, likeliest, log_probabilities, sample
from sandbox.engine.sampler.forward import Forward
from sandbox.engine.sampler.messages import Delta, EngineError, Generate, Output, TokenInfo, Usage
from sandbox.engine.text.encoder import Encoder

MAX_SLOTS = 64
ECHOED = 32  # tokens of a prompt whose logits are in memory at the same time
PIECE = 4096  # log-probabilities that are collected before they are sent, even without streaming

NOT_FINITE = EngineError(
    "model_unavailable",
    "The model's output is not a number. Its training has probably diverged: "
    "train again with a lower learning_rate_multiplier.",
)


class DecodeLoop:
    """Answers the requests of one model. ``add`` and ``cancel`` between calls of ``step``."""

    def __init__(self, forward: Forward, encoder: Encoder, max_slots: int = MAX_SLOTS) -> None:
        self.encoder = encoder
        self.forward = forward
        self._cache = SlotCache()
        self._waiting = Admission(encoder, max_slots, forward.bytes_per_token)
        self._active: list[Choice] = []  # the position in this list is the cache slot
        self._changed: dict[int, Running] = {}

    @property
    def busy(self) -> bool:
        """Whether ``step`` has anything to do or to report."""
        return bool(self._waiting or self._active or self._changed)

    def add(self, request_id: int, request: Generate) -> None:
        """Queue a request. Raises EngineError when it cannot be answered."""
        self._waiting.add(request_id, request, self._active)

    def cancel(self, request_id: int) -> None:
        """Forget a request; nothing more is reported of it."""
        self._waiting.drop(request_id)
        for slot in reversed(range(len(self._active))):
            if self._active[slot].running.id == request_id:
                self._leave(slot)
        self._changed.pop(request_id, None)

    def step(self) -> list[Output]:
        """Advance every running choice by one token and report what can be sent."""
        try:
            if self._active:
                self._make_room()
                self._advance()
            self._active += self._waiting.next(self._active)
            self._read()
        # The requests at work fail, the loop and those waiting go on.
        except Exception as error:  # noqa: BLE001
            for choice in self._active:
                self._fail(choice.running, EngineError.of(error))
            self._active.clear()
        if not self._active:
            self._cache.clear()
        return self._report()

    def _make_room(self) -> None:
        """Let choices wait again while the cache is too small for all: first the youngest."""
        while not self._waiting.has_room(self._active, 1):
            ages = [(not c.in_background, len(c.tokens)) for c in self._active]
            slot = ages.index(min(ages))
            self._waiting.put_back(self._active[slot])
            self._leave(slot)

    def _advance(self) -> None:
        """One decoding step for every choice whose text is read.

        The others run along, so that a slot stays a place in the batch. What is stored of them
        lies behind what they have read, where the next part will be.
        """
        ready = [slot for slot, choice in enumerate(self._active) if not choice.reading]
        if not ready:
            return
        device = self.forward.device
        newest = [choice.tokens[-1] if choice.tokens else 0 for choice in self._active]
        lengths = torch.tensor([choice.cached for choice in self._active], device=device)
        found = self.forward.step(torch.tensor(newest, device=device), lengths, self._cache)
        choices = [self._active[slot] for slot in ready]
        for choice in choices:
            choice.cached += 1
        self._draw(found if len(ready) == len(found) else found[ready], choices)

    def _read(self) -> None:
        """Read the next parts of texts (equal ones once); draw the first tokens of new choices."""
        if not (texts := self._next_parts()):
            return
        new, last = [], []
        for text, read in zip(texts, self.forward.prefill(texts, self._cache), strict=True):
            for choice in [self._active[slot] for slot in text.slots]:
                if choice.needs_all_logits:
                    self._describe_prompt(choice, read)
                choice.cached += len(text.ids)
                if not choice.reading and not choice.tokens:
                    new.append(choice)
                    last.append(read[-1])
        for choice in new:
            if choice.running.request.echo:
                prompt, start = choice.running.prompt, choice.running.echo_start
                self._send(choice, self.encoder.decode(prompt[start:]), choice.echoed[start:])
        if new:
            self._draw(self.forward.logits(torch.stack(last)), new)

    def _next_parts(self) -> list[Text]:
        """What to read in this step: first what lacks least, and of a long text one part.

        Parts begin at fixed places, so that a text is read in the same way in any company.
        """
        slots: dict[tuple[tuple[int, ...], int], list[int]] = {}
        for slot, choice in enumerate(self._active):
            if choice.reading:
                slots.setdefault((choice.read, choice.cached), []).append(slot)
        texts: list[Text] = []
        for ids, start in sorted(slots, key=lambda text: len(text[0]) - text[1]):
            if sum(len(text.ids) for text in texts) >= PART:
                break
            places = slots[ids, start]
            full = any(self._active[slot].needs_all_logits for slot in places)
            texts.append(Text(ids[start : start + PART], places, full, start))
        return texts

    def _describe_prompt(self, choice: Choice, read: torch.Tensor) -> None:
        """Note the log-probabilities of a prompt's tokens, as far as it is read now."""
        prompt, start = choice.running.prompt, choice.cached
        if start == 0:  # nothing stands before the first one
            choice.echoed.append(self._describe(choice, prompt[0], None))
        logits = (self.forward.logits(part).cpu().numpy() for part in read.split(ECHOED))
        rows = chain.from_iterable(map(log_probabilities, logits))
        pairs = zip(prompt[start + 1 :], rows, strict=False)  # the last row is about the next token
        choice.echoed += [self._describe(choice, token, row) for token, row in pairs]

    def _draw(self, found: torch.Tensor, choices: list[Choice]) -> None:
        """Sample a token for each choice from its logits, and let those that are done leave."""
        logits = found.cpu().numpy()
        broken = ~np.isfinite(logits).all(axis=1)
        if broken.any():
            logits = np.where(broken[:, None], 0.0, logits)
        tokens = sample(logits, [choice.state for choice in choices])
        for row, (choice, token) in enumerate(zip(choices, tokens.tolist(), strict=True)):
            if broken[row]:
                self._fail(choice.running, NOT_FINITE)
                continue
            tells = choice.state.sampling.top_logprobs is not None
            self._accept(choice, token, log_probabilities(logits[[row]])[0] if tells else None)
        for slot in reversed(range(len(self._active))):
            choice = self._active[slot]
            if choice.finish_reason or choice.running.error:
                self._leave(slot)

    def _accept(self, choice: Choice, token: int, logprobs: Floats | None) -> None:
        """Add a sampled token to a choice: an end, more text, or a stop string."""
        running = choice.running
        if running.max_new == 0:
            choice.finish_reason = "length"
        elif token in self.encoder.stop_ids:
            choice.finish_reason = "stop"
        else:
            choice.tokens.append(token)
            running.generated += 1
            info = None if logprobs is None else self._describe(choice, token, logprobs)
            if choice.stream.push(token, info):
                choice.finish_reason = "stop"
            elif len(choice.tokens) == running.max_new:
                choice.finish_reason = "length"
        done = choice.finish_reason is not None
        text, infos = choice.stream.take(last=done)
        if text or infos or done:
            self._send(choice, text, infos)
        running.open -= done

    def _describe(self, choice: Choice, token: int, logprobs: Floats | None) -> TokenInfo:
        text, raw = self._name(token)
        if logprobs is None:
            return TokenInfo(text, raw, None, [])
        found = likeliest(logprobs, choice.state.sampling.top_logprobs or 0).tolist()
        top = [(*self._name(other), float(logprobs[other])) for other in found]
        return TokenInfo(text, raw, float(logprobs[token]), top)

    def _name(self, token: int) -> tuple[str, list[int]]:
        """A token's text and its bytes."""
        raw = self.encoder.token_bytes(token)
        return raw.decode("utf-8", errors="replace"), list(raw)

    def _send(self, choice: Choice, text: str, infos: list[TokenInfo]) -> None:
        running = choice.running
        running.deltas.append(Delta(choice.index, text, infos, choice.finish_reason))
        running.collected += sum(1 + len(info.top) for info in infos)
        self._changed[running.id] = running

    def _fail(self, running: Running, error: EngineError) -> None:
        """End a whole request with an error."""
        running.error = error
        self._waiting.drop(running.id)
        self._changed[running.id] = running

    def _leave(self, slot: int) -> None:
        """Take a choice out of the batch; the last slot moves into its place."""
        last = self._active.pop()
        if slot < len(self._active):
            self._active[slot] = last
            self._cache.move(len(self._active), slot)

    def _report(self) -> list[Output]:
        """What can be sent now: everything, or without streaming only what has become large."""
        outputs = []
        for running in list(self._changed.values()):
            streams = running.request.stream
            if not (streams or running.finished or running.collected >= PIECE):
                continue
            usage = None
            if running.finished and running.error is None:
                usage = Usage(len(running.prompt), running.generated)
            deltas = running.deltas if streams else _merge(running.deltas)
            outputs.append(Output(running.id, deltas, usage, running.error))
            running.deltas, running.collected = [], 0
            del self._changed[running.id]
        return outputs


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
