"""Embeddings: one vector of unit length for each text, from the model's own numbers.

The vector is the weighted mean of the text's token vectors (the hidden states before the first
layer). What was measured, with ``python -m bench.retrieval``, to find texts again best:

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

from sandbox.engine.sampler.cache import SlotCache
from sandbox.engine.sampler.decode import PREFILL_TOKENS
from sandbox.engine.sampler.forward import Forward
from sandbox.engine.sampler.messages import Embed, EngineError, Output, Usage
from sandbox.engine.text.encoder import Encoder

MOST_TOKENS = 300_000  # in one request
SAMPLE = 8192  # token vectors that are enough to see what they share
SHRINKAGE = 0.1  # keeps the weakest directions from being blown up
SURPRISE_POWER = 0.1
LATE = 100.0


@dataclass(eq=False)
class _Job:
    """One request on its way: the texts as token ids, and the vectors so far."""

    id: int
    request: Embed
    inputs: list[list[int]]
    vectors: list[str] = field(default_factory=list)


class EmbedLoop:
    """Embeds texts with one model, a few at a time, so that answers being written go on."""

    def __init__(self, forward: Forward, encoder: Encoder) -> None:
        self._forward = forward
        self._encoder = encoder
        self._start = encoder.encode_prompt("")
        self._jobs: deque[_Job] = deque()
        self._common: tuple[torch.Tensor, torch.Tensor] | None = None

    @property
    def busy(self) -> bool:
        """Whether ``step`` has anything to do."""
        return bool(self._jobs)

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
        inputs = [self._encode(number, one) for number, one in enumerate(request.inputs)]
        total = sum(map(len, inputs))
        if total > MOST_TOKENS:
            raise EngineError(
                "invalid_request",
                f"Requested {total} tokens, max {MOST_TOKENS} tokens per request. "
                "Send the texts in several requests.",
            )
        self._jobs.append(_Job(request_id, request, inputs))

    def cancel(self, request_id: int) -> None:
        """Forget a request; nothing more is reported of it."""
        self._jobs = deque(job for job in self._jobs if job.id != request_id)

    def step(self) -> list[Output]:
        """Embed some more texts of the oldest request; report it when it is done."""
        job = self._jobs[0]
        try:
            self._advance(job)
        except EngineError as error:
            output = Output(job.id, error=error)
        # Out of memory, for one: this request fails, the others go on.
        except Exception as error:  # noqa: BLE001
            failure = EngineError("engine_failed", f"{type(error).__name__}: {error}")
            output = Output(job.id, error=failure)
        else:
            if len(job.vectors) < len(job.inputs):
                self._jobs.rotate(-1)  # the next request gets its turn
                return []
            tokens = sum(map(len, job.inputs))
            output = Output(job.id, usage=Usage(tokens, 0), vectors=job.vectors)
        self._jobs.popleft()
        return [output]

    def _encode(self, number: int, one: str | list[int]) -> list[int]:
        if isinstance(one, str):
            # A word at the start of a text gets the same token as in its middle.
            ids = self._encoder.encode_text(one if one[:1].isspace() else f" {one}")
        else:
            ids = one
        wrong = [token for token in ids if not 0 <= token < self._encoder.vocab_size]
        if wrong:
            raise EngineError(
                "invalid_request",
                f"Token {wrong[0]} does not exist: this model has the tokens 0 to "
                f"{self._encoder.vocab_size - 1}.",
            )
        room = self._encoder.context_length - len(self._start)
        if not 0 < len(ids) <= room:
            raise EngineError(
                "context_length_exceeded",
                f"This model's maximum context length is {room} tokens. However, input[{number}] "
                f"resulted in {len(ids)} tokens. Please give it 1 to {room} tokens.",
            )
        return ids

    @torch.inference_mode()
    def _advance(self, job: _Job) -> None:
        """Embed as many of the next texts as fit into one forward pass."""
        group: list[list[int]] = []
        longest = 0
        for ids in job.inputs[len(job.vectors) :]:
            prompt = self._start + ids
            longest = max(longest, len(prompt))
            if group and (len(group) + 1) * longest > PREFILL_TOKENS:
                break
            group.append(prompt)
        slots = [[slot] for slot in range(len(group))]
        all_logits = self._forward.prefill(group, SlotCache(), slots, True)
        for prompt, logits in zip(group, all_logits, strict=True):
            vector = self._pool(prompt, logits)[: job.request.dimensions]
            vector = vector / vector.norm().clamp_min(1e-12)
            job.vectors.append(_dump(vector))

    def _pool(self, prompt: list[int], logits: torch.Tensor) -> torch.Tensor:
        """Token ids [T] with the start, logits [T, V] -> the text's vector [d]."""
        if not bool(torch.isfinite(logits).all()):
            raise EngineError(
                "model_unavailable",
                "The model's output is not a number. Its training has probably diverged: "
                "train again with a lower learning_rate_multiplier.",
            )
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


def _dump(vector: torch.Tensor) -> str:
    """A vector as the API sends it: float32, little-endian, in base64."""
    return base64.b64encode(vector.cpu().numpy().astype("<f4").tobytes()).decode()
