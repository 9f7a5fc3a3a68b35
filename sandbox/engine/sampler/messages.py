"""What the API and the sampler process say to each other: one JSON object per line.

No torch here. The API writes to the sampler's standard input::

    {"op": "generate", "id": 7, "request": {...}}      {"op": "cancel", "id": 7}
    {"op": "embed", "id": 8, "request": {...}}

and the sampler answers on its standard output (vectors are those of ``embed``, else null)::

    {"op": "ready"}
    {"op": "outputs", "outputs": [[7, [delta, ...], usage, error or null, vectors], ...]}

There is one ``outputs`` line per decoding step, for all requests together.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox.parameters import Sampling


class EngineError(Exception):
    """The engine cannot do this; ``code`` says why in one word, ``message`` in a sentence.

    Codes: context_length_exceeded, invalid_request, invalid_dimensions, model_unavailable,
    engine_failed (inside the sampler), engine_crashed (the sampler died).
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Generate:
    """One question to a model.

    ``prompt`` is a list of chat messages, a text, or token ids. With ``stream`` off, the deltas
    come all at once at the end.
    """

    folder: str  # of the model
    prompt: list[dict[str, Any]] | str | list[int]
    sampling: Sampling
    echo: bool = False  # begin the answer with the prompt
    stream: bool = True
    group: str = ""  # whose request it is: groups get their turns evenly
    background: bool = False  # those that somebody waits for go first
    adapter: str | None = None  # folder of the LoRA adapter on the model


@dataclass(frozen=True)
class Embed:
    """Texts (or their token ids) to be turned into vectors; ``dimensions`` None keeps them all."""

    folder: str  # of the model
    inputs: list[str] | list[list[int]]
    dimensions: int | None = None


@dataclass(frozen=True)
class TokenInfo:
    """One token with its log-probability; ``top`` holds (text, bytes, logprob) of the likeliest.

    The logprob is None for the first token of an echoed prompt: nothing stands before it.
    """

    text: str
    bytes: list[int]
    logprob: float | None
    top: list[tuple[str, list[int], float]]


@dataclass(frozen=True)
class Delta:
    """The next piece of one choice. ``finish_reason`` ("stop", "length") comes with its last."""

    choice: int
    text: str
    tokens: list[TokenInfo]
    finish_reason: str | None


@dataclass(frozen=True)
class Usage:
    """Token counts of a whole request."""

    prompt_tokens: int
    completion_tokens: int


@dataclass
class Output:
    """What one decoding step brought for one request. Usage or an error ends the request."""

    id: int
    deltas: list[Delta] = field(default_factory=list)
    usage: Usage | None = None
    error: EngineError | None = None
    vectors: list[str] | None = None  # each one float32, little-endian, in base64


def dump_line(message: dict[str, Any]) -> bytes:
    """One message as a line of ASCII."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def dump_generate(request_id: int, request: Generate) -> bytes:
    """The line that starts a request."""
    return dump_line(
        {
            "op": "generate",
            "id": request_id,
            "request": {**vars(request), "sampling": request.sampling.model_dump()},
        }
    )


def dump_embed(request_id: int, request: Embed) -> bytes:
    """The line that asks for vectors."""
    return dump_line({"op": "embed", "id": request_id, "request": asdict(request)})


def load_embed_request(wire: Any) -> Embed:
    """The request in an ``embed`` message. Raises EngineError when it has another shape."""
    try:
        request = Embed(**wire)
    except TypeError as error:
        raise EngineError("invalid_request", f"The request is not well-formed: {error!r}") from None
    inputs, dimensions = request.inputs, request.dimensions
    fits = (
        isinstance(request.folder, str)
        and isinstance(inputs, list)
        and all(isinstance(one, str) or _is_ids(one) for one in inputs)
        and (dimensions is None or (_is_int(dimensions) and dimensions >= 1))
    )
    if not fits:
        raise EngineError("invalid_request", "The request for vectors is not well-formed.")
    return request


def load_request(wire: Any) -> Generate:
    """The request in a ``generate`` message. Raises EngineError when it has another shape."""
    try:
        given = wire["sampling"]
        bias = {int(token): value for token, value in given["logit_bias"].items()}
        changes = {"stop": tuple(given["stop"]), "logit_bias": bias}
        return Generate(**{**wire, "sampling": Sampling.model_construct(**{**given, **changes})})
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EngineError("invalid_request", f"The request is not well-formed: {error!r}") from None


def _is_ids(value: Any) -> bool:
    return isinstance(value, list) and all(_is_int(item) for item in value)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def dump_outputs(outputs: list[Output]) -> bytes:
    """All outputs of one decoding step as one line."""
    return dump_line({"op": "outputs", "outputs": [_dump_output(output) for output in outputs]})


def load_outputs(message: dict[str, Any]) -> list[Output]:
    """The outputs in an ``outputs`` message."""
    return [_load_output(*wire) for wire in message["outputs"]]


def _dump_output(output: Output) -> list[Any]:
    deltas = [
        [d.choice, d.text, [[t.text, t.bytes, t.logprob, t.top] for t in d.tokens], d.finish_reason]
        for d in output.deltas
    ]
    usage = output.usage and [output.usage.prompt_tokens, output.usage.completion_tokens]
    error = output.error and [output.error.code, output.error.message]
    return [output.id, deltas, usage, error, output.vectors]


def _load_output(
    request_id: int,
    deltas: list[Any],
    usage: list[int] | None,
    error: list[str] | None,
    vectors: list[str] | None,
) -> Output:
    return Output(
        request_id,
        [_load_delta(*wire) for wire in deltas],
        Usage(*usage) if usage else None,
        EngineError(*error) if error else None,
        vectors,
    )


def _load_delta(choice: int, text: str, tokens: list[Any], finish_reason: str | None) -> Delta:
    infos = [TokenInfo(t, b, p, [(x, y, z) for x, y, z in top]) for t, b, p, top in tokens]
    return Delta(choice, text, infos, finish_reason)
