"""Embeddings: one vector of unit length for each text, from a model made for that.

The model is a text encoder in the form of sentence-transformers, such as all-MiniLM-L6-v2: the
vector is the mean of the hidden states of the last layer over the text's tokens.
"""

from __future__ import annotations

import base64
import json
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from transformers import AutoModel
from transformers.utils import logging

from sandbox.engine.load import best_device
from sandbox.engine.sampler.admission import check_tokens
from sandbox.engine.sampler.messages import Embed, EngineError, Output, Usage

MOST_TOKENS = 300_000  # in one request
CHARACTERS = 65_536  # that are encoded in one step
TOKEN_CHARACTERS = 100  # no tokenizer of words makes one token of more
STEP_TOKENS = 4096  # with padding, in one forward pass


class TextEncoder:
    """A model that turns token ids into vectors, and its tokenizer."""

    def __init__(self, folder: Path) -> None:
        """Load both from a folder. Raises OSError or ValueError if it holds no such model."""
        logging.disable_progress_bar()
        pooling = _read_json(folder / "1_Pooling" / "config.json")
        if pooling.get("pooling_mode_mean_tokens") is False:
            raise ValueError("its vectors are not means of its tokens' vectors")
        self.model = AutoModel.from_pretrained(
            folder, dtype=torch.float32, use_safetensors=True, local_files_only=True
        )
        self.model.eval().to(best_device())
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_truncation()  # too long a text is an error, not a shorter text
        self.tokenizer.no_padding()
        self.tokenizer.encode_special_tokens = True  # in a text they are text
        # What stands before and after a text: [CLS] and [SEP].
        frame = self.tokenizer.encode("a")
        inner = [place for place, special in enumerate(frame.special_tokens_mask) if not special]
        self.before, self.after = frame.ids[: inner[0]], frame.ids[inner[-1] + 1 :]
        self.width = self.model.config.hidden_size
        self.vocab_size = self.model.config.vocab_size
        limits = _read_json(folder / "sentence_bert_config.json")
        positions = self.model.config.max_position_embeddings
        most = min(limits.get("max_seq_length") or positions, positions)
        self.room = most - len(self.before) - len(self.after)  # for a text, in tokens

    @torch.inference_mode()
    def embed(self, texts: list[list[int]], dimensions: int | None) -> torch.Tensor:
        """Token ids of B texts -> vectors of unit length [B, dimensions]."""
        framed = [torch.tensor(self.before + ids + self.after) for ids in texts]
        ids = torch.nn.utils.rnn.pad_sequence(framed, batch_first=True)  # [B, T]
        lengths = torch.tensor([len(each) for each in framed])
        mask = (torch.arange(ids.shape[1]) < lengths[:, None]).to(self.model.device)
        ids = ids.to(self.model.device)
        hidden = self.model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        mean = (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
        return torch.nn.functional.normalize(mean[:, :dimensions]).cpu()


@dataclass(eq=False)
class _Running:
    """One request on its way: its texts as token ids, and their vectors, so far."""

    id: int
    request: Embed
    encoded: list[list[int]] = field(default_factory=list)
    vectors: list[str] = field(default_factory=list)


class EmbedLoop:
    """Embeds texts with one model, a few at a time, so that answers being written go on."""

    def __init__(self, encoder: TextEncoder) -> None:
        self._encoder = encoder
        self._running: deque[_Running] = deque()

    @property
    def busy(self) -> bool:
        """Whether ``step`` has anything to do."""
        return bool(self._running)

    def add(self, request_id: int, request: Embed) -> None:
        """Queue a request. Raises EngineError when it cannot be answered."""
        if not request.inputs:
            raise EngineError("invalid_request", "There is no text: give at least one.")
        width = self._encoder.width
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
        encoder = self._encoder
        if isinstance(one, str):
            if len(one) > encoder.room * TOKEN_CHARACTERS:
                raise _wrong_length(encoder.room, number, f"has {len(one)} characters")
            ids = encoder.tokenizer.encode(one, add_special_tokens=False).ids
        else:
            ids = one
        if len(ids) > encoder.room:
            raise _wrong_length(encoder.room, number, f"resulted in {len(ids)} tokens")
        check_tokens(encoder, ids)
        return ids

    def _advance(self, running: _Running) -> None:
        """Embed as many of the next texts as fit into one forward pass."""
        group: list[list[int]] = []
        longest = 0
        for ids in running.encoded[len(running.vectors) :]:
            longest = max(longest, len(ids))
            if group and (len(group) + 1) * longest > STEP_TOKENS:
                break
            group.append(ids)
        vectors = self._encoder.embed(group, running.request.dimensions)
        if not bool(torch.isfinite(vectors).all()):
            raise EngineError("model_unavailable", "The model's vectors are not numbers (NaN).")
        running.vectors += map(_dump, vectors)


def _wrong_length(room: int, number: int, found: str) -> EngineError:
    return EngineError(
        "context_length_exceeded",
        f"This model's maximum context length is {room} tokens. However, input[{number}] {found}. "
        f"Please give it at most {room} tokens.",
    )


def _dump(vector: torch.Tensor) -> str:
    """A vector as the API sends it: float32, little-endian, in base64."""
    return base64.b64encode(vector.numpy().astype("<f4").tobytes()).decode()


def _read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
