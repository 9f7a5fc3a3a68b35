"""Embeddings: one vector of unit length for each text, from the model's own numbers.

The vector is the weighted mean of the text's token vectors (the hidden states before the first
layer). Of what was measured, this found texts again best:

- A token counts once, and the more, the later the tokenizer learned it and the less the model
  expected it there: rare words say more about a text than common ones.
- Directions that all token vectors share are scaled down (whitening), so that two texts are not
  alike merely because both are English.

The later layers, which serve to predict the next token, found fewer texts.
"""

from __future__ import annotations

import base64
from collections import deque
from dataclasses import dataclass, field

import torch

from sandbox.engine.sampler.admission import PREFILL_TOKENS, check_tokens
from sandbox.engine.sampler.cache import SlotCache
from sandbox.engine.sampler.decode import NOT_FINITE
from sandbox.engine.sampler.forward import Forward, Text
from sandbox.engine.sampler.messages import Embed, EngineError, Output, Usage
from sandbox.engine.text.encoder import Encoder

MOST_TOKENS = 300_000  # in one request
CHARACTERS = 65_536  # that are encoded in one step
SAMPLE = 8192  # token vectors that are enough to see what they share
SHRINKAGE = 0.1  # keeps the weakest directions from being blown up
SURPRISE_POWER = 0.1
LATE = 100.0


@dataclass(eq=False)
class _Running:
    """One request on its way: its texts as token ids, and their vectors, so far."""

    id: int
    request: Embed
    encoded: list[list[int]] = field(default_factory=list)
    vectors: list[str] = field(default_factory=list)


class EmbedLoop:
    """Embeds texts with one model, a few at a time, so that answers being written go on."""

    def __init__(self, forward: Forward, encoder: Encoder) -> None:
        self._forward = forward
        self._encoder = encoder
        self._start = encoder.encode_prompt("")
        self._running: deque[_Running] = deque()
        self._common: tuple[torch.Tensor, torch.Tensor] | None = None

    @property
    def busy(self) -> bool:
        """Whether ``step`` has anything to do."""
        return bool(self._running)

    def add(self, request_id: int, request: Embed) -> None:
        """Queue a request. Raises EngineError when it cannot be answered."""
        if not request.inputs:
            raise EngineError("invalid_request", "There is no text: give at least one.")
        width = self._forward.embedding.shape[1]
        if request.dimensions is not None and request.dimensions > width:
            raise EngineError(
                "invalid_dimensions",
                f"Invalid value for 'dimensions' = {request.dimensions}. "
                f"Must be less than or equal to {width}.",
            )
        self._running.append(_Running(request_id, request))

    def cancel(self, request_id: int) -> None:
        """Forget a request; nothing more is reported of it."""
        self._running = deque(one for one in self._running if one.id != request_id)

    def step(self) -> list[Output]:
        """Encode or embed some more texts of the oldest request; report it when it is done."""
        running = self._running[0]
        try:
            if self._encode_some(running):
                self._advance(running)
        # This request fails, the others go on.
        except Exception as error:  # noqa: BLE001
            output = Output(running.id, error=EngineError.of(error))
        else:
            if len(running.vectors) < len(running.request.inputs):
                self._running.rotate(-1)  # the next request gets its turn
                return []
            tokens = sum(map(len, running.encoded))
            output = Output(running.id, usage=Usage(tokens, 0), vectors=running.vectors)
        self._running.popleft()
        return [output]

    def _encode_some(self, running: _Running) -> bool:
        """Encode the next texts, not too many at once; return whether all are encoded."""
        inputs, size = running.request.inputs, 0
        while len(running.encoded) < len(inputs) and size < CHARACTERS:
            number = len(running.encoded)
            running.encoded.append(self._encode(number, inputs[number]))
            size += len(inputs[number])
        total = sum(map(len, running.encoded))
        if total > MOST_TOKENS:
            raise EngineError(
                "invalid_request",
                f"Requested {total} tokens or more, max {MOST_TOKENS} tokens per request. "
                "Send the texts in several requests.",
            )
        return len(running.encoded) == len(inputs)

    def _encode(self, number: int, one: str | list[int]) -> list[int]:
        room = self._encoder.context_length - len(self._start)
        if isinstance(one, str):
            if len(one) > self._encoder.most_characters:
                raise _wrong_length(room, number, f"has {len(one)} characters")
            # A word at the start of a text gets the same token as in its middle.
            ids = self._encoder.encode_text(one if one[:1].isspace() else f" {one}")
        else:
            ids = one
        if not 0 < len(ids) <= room:
            raise _wrong_length(room, number, f"resulted in {len(ids)} tokens")
        check_tokens(self._encoder, ids)
        return ids

    @torch.inference_mode()
    def _advance(self, running: _Running) -> None:
        """Embed as many of the next texts as fit into one forward pass."""
        group: list[list[int]] = []
        longest = 0
        for ids in running.encoded[len(running.vectors) :]:
            prompt = self._start + ids
            longest = max(longest, len(prompt))
            if group and (len(group) + 1) * longest > PREFILL_TOKENS:
                break
            group.append(prompt)
        texts = [Text(prompt, [slot], True) for slot, prompt in enumerate(group)]
        all_read = self._forward.prefill(texts, SlotCache())
        for prompt, read in zip(group, all_read, strict=True):
            vector = self._pool(prompt, self._forward.logits(read))[: running.request.dimensions]
            vector = vector / vector.norm().clamp_min(1e-12)
            running.vectors.append(_dump(vector))

    def _pool(self, prompt: list[int], logits: torch.Tensor) -> torch.Tensor:
        """Token ids [T] with the start, logits [T, V] -> the text's vector [d]."""
        if not bool(torch.isfinite(logits).all()):
            raise NOT_FINITE
        ids = torch.tensor(prompt, device=logits.device)
        expected = logits.double().log_softmax(-1)[:-1].gather(1, ids[1:, None])[:, 0]
        if not self._start:  # nothing stands before the first token: any is equally likely
            first = expected.new_full((1,), 1 / logits.shape[1]).log()
            expected = torch.cat([first, expected])
        text = prompt[len(self._start) :]
        once = [place for place, token in enumerate(text) if text.index(token) == place]
        ids, surprise = ids[len(self._start) :][once], -expected[once]
        late = torch.log1p(LATE * (ids + 1) / logits.shape[1])
        weights = late * surprise.clamp_min(1e-6) ** SURPRISE_POWER
        mean, whiten = self._what_is_common()
        return weights @ (self._forward.embedding[ids].double() - mean) @ whiten

    def _what_is_common(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean of the token vectors [d], and the matrix that evens them out [d, d]."""
        if self._common is None:
            table = self._forward.embedding
            rows = table[:: max(1, len(table) // SAMPLE)].double()
            mean = rows.mean(0)
            values, directions = torch.linalg.eigh((rows - mean).T.cov())
            values = values.clamp_min(0)
            scale = (values + SHRINKAGE * values.mean()).rsqrt()
            self._common = mean, directions * scale @ directions.T
        return self._common


def _wrong_length(room: int, number: int, found: str) -> EngineError:
    return EngineError(
        "context_length_exceeded",
        f"This model's maximum context length is {room} tokens. However, input[{number}] {found}. "
        f"Please give it 1 to {room} tokens.",
    )


def _dump(vector: torch.Tensor) -> str:
    """A vector as the API sends it: float32, little-endian, in base64."""
    return base64.b64encode(vector.cpu().numpy().astype("<f4").tobytes()).decode()
