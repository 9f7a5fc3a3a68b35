"""/v1/completions: the older, plain "go on with this text"."""

import codecs
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Request
from openai.types import Completion, CompletionChoice
from pydantic import Field, model_validator
from starlette.responses import Response

from sandbox.api.auth import Project
from sandbox.api.body import JsonRoute
from sandbox.api.context import Context, ContextOf
from sandbox.api.document import STREAM
from sandbox.api.errors import UnsupportedParameter
from sandbox.api.generation import Choice, TextAnswer, open_request, usage_object
from sandbox.api.prompts import Prompts, check_tokens
from sandbox.api.text_request import TextRequest, TextShape
from sandbox.engine.sampler.messages import Delta, TokenInfo, Usage
from sandbox.store import ids

router = APIRouter(prefix="/completions", tags=["completions"], route_class=JsonRoute)
MOST_CHOICES = 2048
DEFAULT_MAX_TOKENS = 16
UTF8 = codecs.getincrementaldecoder("utf-8")


class CompletionRequest(TextRequest):
    """The parameters of a completion."""

    prompt: Prompts = [""]  # none: as at the start of a document
    max_tokens: Annotated[int, Field(ge=0)] = DEFAULT_MAX_TOKENS
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
    echo: bool = False
    best_of: Annotated[int, Field(ge=0, le=20)] = 0  # 0: as many as ``n``
    # What is to come after the answer. The models read on one side only: they do not see it, but
    # an answer that has come to it ends there.
    suffix: str = ""
    # Not of this endpoint: it belongs to the answers of chats.
    top_logprobs: None = Field(None, exclude=True)

    @model_validator(mode="after")
    def _check_together(self) -> "CompletionRequest":
        if self.max_tokens == 0 and not self.echo:
            raise ValueError("'max_tokens' can be 0 only together with 'echo'")
        if len(self.prompt) * self.n > MOST_CHOICES:
            raise ValueError(f"prompts times 'n' can be at most {MOST_CHOICES}")
        return self


@router.post("", response_model=None, responses=STREAM)
async def create_completion(
    asked: CompletionRequest, request: Request, project: Project, context: ContextOf
) -> dict[str, Any] | Response:
    """How the model goes on with one prompt or with several, at once or as a stream."""
    return await (await prepare(context, project, asked, False)).respond(request)


async def prepare(
    context: Context, project: str, asked: CompletionRequest, background: bool
) -> TextAnswer:
    """Return an answer with one engine request for each prompt: the same prompt, the same text."""
    if asked.best_of not in (0, asked.n):
        raise UnsupportedParameter("best_of", "Ask for 'n' texts and choose among them yourself.")
    stops = (*asked.stop, asked.suffix) if asked.suffix else asked.stop
    sampling = asked.sampling(top_logprobs=asked.logprobs, stop=stops)
    opened = await open_request(context, project, asked.model, sampling, asked.given, background)
    for prompt in asked.prompt:
        if isinstance(prompt, list):
            check_tokens(opened.model, prompt, "prompt")
    requests = [opened.generate(prompt, asked.stream, asked.echo) for prompt in asked.prompt]
    return TextAnswer(context.sampler, requests, "prompt", CompletionShape(asked))


@dataclass
class _Place:
    """How far the text of one choice has come: where its next token begins."""

    offset: int = 0  # in characters
    decoder: codecs.IncrementalDecoder = field(default_factory=lambda: UTF8("replace"))

    def pass_by(self, token: TokenInfo) -> int:
        """Return where the token begins, and go on to its end."""
        begin = self.offset
        # Counted in bytes first: one character may be made of several tokens.
        self.offset += len(self.decoder.decode(bytes(token.bytes)))
        return begin


class CompletionShape(TextShape):
    """Writes completions: ``n`` choices for each prompt, in order."""

    def __init__(self, asked: CompletionRequest) -> None:
        super().__init__(asked, ids.completion_id())
        self.places: defaultdict[int, _Place] = defaultdict(_Place)

    def whole(self, choices: list[Choice], usage: Usage) -> Completion:
        """Return all choices in one piece."""
        shown = [self._choice(index, said, _Place()) for index, said in enumerate(choices)]
        return self.build(shown, usage=usage_object(usage))

    def chunks(self, index: int, piece: Delta) -> Iterable[Completion]:
        """Yield the next piece of a choice."""
        yield self.build([self._choice(index, piece, self.places[index])])

    def build(self, choices: list[dict[str, Any]], **usage: Any) -> Completion:
        """Return a completion, or a chunk of one."""
        # Unchecked: the SDK's type demands what chunks lack (a reason to finish), and the first
        # token of an echoed prompt (its logprob).
        made = [CompletionChoice.construct(**choice) for choice in choices]
        counts = usage or self.no_usage
        return Completion(**self.head, object="text_completion", choices=made, **counts)

    def _choice(self, index: int, said: Choice | Delta, place: _Place) -> dict[str, Any]:
        logprobs = None
        if self.asked.logprobs is not None:
            logprobs = {
                "tokens": [token.text for token in said.tokens],
                "token_logprobs": [token.logprob for token in said.tokens],
                "top_logprobs": [_top(token) for token in said.tokens],
                "text_offset": [place.pass_by(token) for token in said.tokens],
            }
        choice = {"index": index, "text": said.text, "logprobs": logprobs}
        return choice | {"finish_reason": said.finish_reason}


def _top(token: TokenInfo) -> dict[str, float] | None:
    """Return the likeliest tokens and the token itself, as the older API shows them."""
    if token.logprob is None:
        return None
    return {text: logprob for text, _, logprob in token.top} | {token.text: token.logprob}
