"""Which requests may join the batch: their prompts are checked, and they wait for their turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from sandbox.engine.sampler.cache import BLOCK
from sandbox.engine.sampler.choose import ChoiceState, random_generator
from sandbox.engine.sampler.messages import Delta, EngineError, Generate, TokenInfo
from sandbox.engine.sampler.text_stream import TextStream
from sandbox.engine.text.encoder import ChatFormatError, Encoder

BACKGROUND_SHARE = 0.75  # of the slots; the rest is free for those who wait for their answer
PART = 512  # tokens of a prompt read in one step: a long one does not hold up the others
CACHE_BYTES = 2**29


@dataclass(eq=False)
class Running:
    """One request on its way: its prompt, its choices still at work, and what is not sent yet."""

    id: int
    request: Generate
    prompt: tuple[int, ...]
    max_new: int  # tokens that each choice may get
    open: int  # choices that have not finished
    echo_start: int = 0  # tokens before it (the model's start token) are not echoed
    generated: int = 0
    deltas: list[Delta] = field(default_factory=list)
    collected: int = 0  # log-probabilities in these deltas
    error: EngineError | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more comes."""
        return self.open == 0 or self.error is not None


@dataclass(eq=False)
class Choice:
    """One of the n answers to a request."""

    running: Running
    index: int
    turn: int  # how many others its group had here when it came
    state: ChoiceState
    stream: TextStream
    tokens: list[int] = field(default_factory=list)  # so far; the model has not read the newest yet
    finish_reason: str | None = None
    cached: int = 0  # tokens of it that the model has read
    echoed: list[TokenInfo] = field(default_factory=list)  # of the prompt, as far as it is read

    @property
    def read(self) -> tuple[int, ...]:
        """The tokens that belong into the cache."""
        return (*self.running.prompt, *self.tokens[:-1])

    @property
    def length(self) -> int:
        """How many these are."""
        return len(self.running.prompt) + max(0, len(self.tokens) - 1)

    @property
    def reading(self) -> bool:
        """Whether the model has still to read what stands before the newest token."""
        return self.cached < self.length

    @property
    def needs_all_logits(self) -> bool:
        """Whether its prompt will be echoed with log-probabilities."""
        request = self.running.request
        return request.echo and request.sampling.top_logprobs is not None and not self.tokens

    @property
    def in_background(self) -> bool:
        """Whether nobody waits for it."""
        return self.running.request.background


class Admission:
    """The choices that wait for one of the slots of the batch."""

    def __init__(self, encoder: Encoder, max_slots: int, bytes_per_token: int) -> None:
        self._encoder = encoder
        self._max_slots = max_slots
        self._bytes_per_token = bytes_per_token
        self._waiting: deque[Choice] = deque()

    def __bool__(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waiting)

    def add(self, request_id: int, request: Generate, active: Sequence[Choice]) -> None:
        """Queue a request's choices. Raises EngineError when it cannot be answered."""
        sampling = request.sampling
        prompt, start = encode(self._encoder, request)
        budget = _budget(self._encoder.context_length, request, len(prompt))
        running = Running(request_id, request, tuple(prompt), budget, sampling.n, start)
        others = sum(c.running.request.group == request.group for c in (*active, *self._waiting))
        for index in range(sampling.n):
            state = ChoiceState(sampling, random_generator(sampling.seed, index))
            stream = TextStream(self._encoder, sampling.stop)
            self._waiting.append(Choice(running, index, others + index, state, stream))
        # First those that somebody waits for, and among them the client with the fewest at work:
        # one with a hundred questions does not hold up one who has a single one.
        self._waiting = deque(sorted(self._waiting, key=lambda c: (c.in_background, c.turn)))

    def drop(self, request_id: int) -> None:
        """Forget the choices of a request."""
        self._waiting = deque(c for c in self._waiting if c.running.id != request_id)

    def put_back(self, choice: Choice) -> None:
        """Let a choice wait again that was at work; it will have to be read anew."""
        choice.cached, choice.echoed = 0, []
        self._waiting.appendleft(choice)

    def next(self, active: Sequence[Choice]) -> list[Choice]:
        """Take out the choices that may join ``active`` now."""
        joining: list[Choice] = []
        texts: set[tuple[int, ...]] = set()  # equal ones are read once
        while self._waiting and sum(map(len, texts)) < PART:
            together = [*active, *joining, self._waiting[0]]
            if not (self._has_slot(together) and self.has_room(together, BLOCK)):
                break
            joining.append(self._waiting.popleft())
            texts.add(joining[-1].read)
        return joining

    def _has_slot(self, together: list[Choice]) -> bool:
        """Whether there are slots for all of these; the last one is new."""
        behind = sum(choice.in_background for choice in together)
        share = max(1, int(self._max_slots * BACKGROUND_SHARE))
        return len(together) <= self._max_slots and (
            behind <= share or not together[-1].in_background
        )

    def has_room(self, together: Sequence[Choice], tokens: int) -> bool:
        """Whether the cache has room for all of these and so many more tokens of each."""
        longest = max(choice.length for choice in together) + tokens
        needed = longest * len(together) * self._bytes_per_token
        return needed <= CACHE_BYTES or len(together) == 1


def encode(encoder: Encoder, request: Generate) -> tuple[list[int], int]:
    """Token ids of the prompt, and where the user's part of them begins. Raises EngineError."""
    prompt, start = request.prompt, 0
    _check_size(encoder, request)
    try:
        if isinstance(prompt, str):
            ids = encoder.encode_prompt(prompt)
            start = len(ids) - len(encoder.encode_text(prompt))
        elif prompt and isinstance(prompt[0], dict):
            ids = encoder.encode_chat(prompt)
        else:
            ids = list(prompt)
    except ChatFormatError as error:
        raise EngineError("invalid_request", str(error)) from None
    if not ids:
        raise EngineError("invalid_request", "The prompt is empty: give at least one token.")
    check_tokens(encoder, (*ids, *request.sampling.logit_bias))
    return ids, start


def check_tokens(encoder: Encoder, ids: Sequence[int]) -> None:
    """Raise EngineError for a token that the model does not have."""
    wrong = next((token for token in ids if not 0 <= token < encoder.vocab_size), None)
    if wrong is not None:
        raise EngineError(
            "invalid_request",
            f"Token {wrong} does not exist: this model has the tokens 0 to "
            f"{encoder.vocab_size - 1}.",
        )


def _check_size(encoder: Encoder, request: Generate) -> None:
    """Refuse what cannot fit before it is tokenized, which takes seconds for megabytes."""
    prompt = request.prompt
    texts = [str(message["content"]) for message in prompt] if _is_chat(request) else [prompt]
    size, unit = sum(len(text) for text in texts if isinstance(text, str)), "characters"
    if size <= encoder.most_characters:
        size, unit = len(texts), "messages"
        if size <= encoder.context_length:  # each takes a token at least
            return
    raise EngineError(
        "context_length_exceeded",
        f"This model's maximum context length is {encoder.context_length} tokens. However, your "
        f"{_part(request)} came to {size} {unit}. Please reduce the length of the "
        f"{_part(request)}.",
    )


def _budget(context: int, request: Generate, given: int) -> int:
    """How many tokens each choice may get after a prompt of ``given``. Raises EngineError."""
    wanted, part, room = request.sampling.max_tokens, _part(request), context - given
    if room < (1 if wanted is None else min(wanted, 1)):
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


def _is_chat(request: Generate) -> bool:
    prompt = request.prompt
    return isinstance(prompt, list) and bool(prompt) and isinstance(prompt[0], dict)


def _part(request: Generate) -> str:
    """What the API calls the prompt."""
    return "messages" if _is_chat(request) else "prompt"
