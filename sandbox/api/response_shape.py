"""How a response is written: whole, or as the typed events of a stream in their order."""

import time
from collections.abc import Iterable
from typing import Any, get_args

from openai import BaseModel
from openai.types import responses as sdk
from openai.types.responses.response import IncompleteDetails
from openai.types.responses.response_output_text import Logprob
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails

from sandbox.api.errors import ApiError
from sandbox.api.generation import Choice, token_fields
from sandbox.api.response_request import PLAIN_TEXT, ResponseRequest
from sandbox.engine.sampler.messages import Delta, TokenInfo, Usage
from sandbox.store import ids

# All other fields of a request come back in its response.
NOT_ECHOED = {"input", "include", "stream", "stream_options"}


class ResponseShape:
    """Writes responses of one message, whole or as the typed events of a stream, in their order."""

    def __init__(self, asked: ResponseRequest) -> None:
        self.asked = asked
        self.id, self.message_id = ids.response_id(), ids.message_id()
        self.created = int(time.time())
        self.number = -1  # of the last event
        self.place = {"item_id": self.message_id, "output_index": 0, "content_index": 0}

    def whole(self, choices: list[Choice], usage: Usage) -> sdk.Response:
        """Return the answer in one piece."""
        [choice] = choices
        status = "incomplete" if choice.finish_reason == "length" else "completed"
        response = self.response(status)
        response.output = [self._message(status, [self._text(choice.text, choice.tokens)])]
        response.usage = _usage(usage)
        if status == "incomplete":
            response.incomplete_details = IncompleteDetails(reason="max_output_tokens")
        return response

    def queued(self) -> Iterable[BaseModel]:
        """Yield the events with which a response in the background begins."""
        response = self.response("queued")
        yield self._event(sdk.ResponseCreatedEvent, response=response)
        yield self._event(sdk.ResponseQueuedEvent, response=response)

    def begin(self) -> Iterable[BaseModel]:
        """Yield the events before the first word."""
        response = self.response("in_progress")
        if not self.asked.background:
            yield self._event(sdk.ResponseCreatedEvent, response=response)
        yield self._event(sdk.ResponseInProgressEvent, response=response)
        item = self._message("in_progress", [])
        yield self._event(sdk.ResponseOutputItemAddedEvent, item=item, output_index=0)
        part = self._text("", [])
        yield self._event(sdk.ResponseContentPartAddedEvent, part=part, **self.place)

    def chunks(self, index: int, piece: Delta) -> Iterable[BaseModel]:
        """Yield the next words."""
        if piece.text or piece.tokens:
            said = {"delta": piece.text, "logprobs": self._logprobs(piece.tokens)}
            yield self._event(sdk.ResponseTextDeltaEvent, **said, **self.place)

    def end(self, answer: sdk.Response) -> Iterable[BaseModel]:
        """Yield the finished text, part, message and response."""
        [item] = answer.output
        [part] = item.content
        said = {"text": part.text, "logprobs": part.logprobs}
        yield self._event(sdk.ResponseTextDoneEvent, **said, **self.place)
        yield self._event(sdk.ResponseContentPartDoneEvent, part=part, **self.place)
        yield self._event(sdk.ResponseOutputItemDoneEvent, item=item, output_index=0)
        if answer.status == "completed":
            yield self._event(sdk.ResponseCompletedEvent, response=answer)
        else:
            yield self._event(sdk.ResponseIncompleteEvent, response=answer)

    def failed(self, error: ApiError) -> BaseModel:
        """Return the last event of a response in the background that could not be answered."""
        code = "server_error" if error.status >= 500 else "invalid_prompt"
        response = self.response("failed")
        response.error = sdk.ResponseError(code=code, message=error.message)
        return self._event(sdk.ResponseFailedEvent, response=response)

    def _event(self, kind: type[BaseModel], **fields: Any) -> BaseModel:
        self.number += 1
        [name] = get_args(kind.model_fields["type"].annotation)
        # Not validated: the parts have been, and the log-probabilities have types of their own.
        return kind.construct(type=name, sequence_number=self.number, **fields)

    def response(self, status: str) -> sdk.Response:
        """Return the response in this state, with nothing said yet."""
        return sdk.Response(
            id=self.id,
            object="response",
            created_at=self.created,
            status=status,
            completed_at=int(time.time()) if status == "completed" else None,
            error=None,
            incomplete_details=None,
            output=[],
            usage=None,
            parallel_tool_calls=True,
            reasoning={"effort": None, "summary": None},
            service_tier="default",
            text=PLAIN_TEXT,
            tools=[],
            truncation="disabled",
            **self.asked.model_dump(exclude=NOT_ECHOED),
        )

    def _message(self, status: str, content: list[Any]) -> sdk.ResponseOutputMessage:
        return sdk.ResponseOutputMessage(
            id=self.message_id, type="message", role="assistant", status=status, content=content
        )

    def _text(self, text: str, tokens: list[TokenInfo]) -> sdk.ResponseOutputText:
        return sdk.ResponseOutputText(
            type="output_text", text=text, annotations=[], logprobs=self._logprobs(tokens)
        )

    def _logprobs(self, tokens: list[TokenInfo]) -> list[Logprob]:
        if not self.asked.logprobs_wanted:
            return []
        return [Logprob(**token_fields(token)) for token in tokens]


def _usage(usage: Usage) -> sdk.ResponseUsage:
    return sdk.ResponseUsage(
        input_tokens=usage.prompt_tokens,
        input_tokens_details=InputTokensDetails(cached_tokens=0, cache_write_tokens=0),
        output_tokens=usage.completion_tokens,
        output_tokens_details=OutputTokensDetails(reasoning_tokens=0),
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
    )
