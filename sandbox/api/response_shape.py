"""How a response is written: whole, or as the typed events of a stream in their order."""

import time
from collections.abc import Iterable
from typing import Any

from openai import BaseModel
from openai.types import responses as sdk
from openai.types.responses.response import IncompleteDetails
from openai.types.responses.response_output_text import Logprob, LogprobTopLogprob
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails

from sandbox.api.errors import ApiError
from sandbox.api.generation import Choice
from sandbox.api.response_request import PLAIN_TEXT, ResponseRequest
from sandbox.engine.sampler.messages import Delta, TokenInfo, Usage
from sandbox.store import ids


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
        return self._ended(choice, usage)

    def queued(self) -> Iterable[BaseModel]:
        """Yield the events with which a response in the background begins."""
        response = self.response("queued")
        yield sdk.ResponseCreatedEvent(type="response.created", response=response, **self._next())
        yield sdk.ResponseQueuedEvent(type="response.queued", response=response, **self._next())

    def begin(self) -> Iterable[BaseModel]:
        """Yield the events before the first word."""
        response = self.response("in_progress")
        if not self.asked.background:
            yield sdk.ResponseCreatedEvent(
                type="response.created", response=response, **self._next()
            )
        yield sdk.ResponseInProgressEvent(
            type="response.in_progress", response=response, **self._next()
        )
        item = self._message("in_progress", [])
        yield sdk.ResponseOutputItemAddedEvent(
            type="response.output_item.added", item=item, output_index=0, **self._next()
        )
        part = self._text("", [])
        yield sdk.ResponseContentPartAddedEvent(
            type="response.content_part.added", part=part, **self.place, **self._next()
        )

    def chunks(self, index: int, piece: Delta) -> Iterable[BaseModel]:
        """Yield the next words."""
        if piece.text or piece.tokens:
            yield sdk.ResponseTextDeltaEvent.construct(
                type="response.output_text.delta",
                delta=piece.text,
                logprobs=self._logprobs(piece.tokens),
                **self.place,
                **self._next(),
            )

    def end(self, choices: list[Choice], usage: Usage) -> Iterable[BaseModel]:
        """Yield the finished text, part, message and response."""
        [choice] = choices
        response = self._ended(choice, usage)
        [item] = response.output
        [part] = item.content
        yield sdk.ResponseTextDoneEvent.construct(
            type="response.output_text.done",
            text=choice.text,
            logprobs=self._logprobs(choice.tokens),
            **self.place,
            **self._next(),
        )
        yield sdk.ResponseContentPartDoneEvent(
            type="response.content_part.done", part=part, **self.place, **self._next()
        )
        yield sdk.ResponseOutputItemDoneEvent(
            type="response.output_item.done", item=item, output_index=0, **self._next()
        )
        if response.status == "completed":
            event, name = sdk.ResponseCompletedEvent, "response.completed"
        else:
            event, name = sdk.ResponseIncompleteEvent, "response.incomplete"
        yield event(type=name, response=response, **self._next())

    def failed(self, error: ApiError) -> BaseModel:
        """Return the last event of a response in the background that could not be answered."""
        code = "server_error" if error.status >= 500 else "invalid_prompt"
        response = self.response("failed")
        response.error = sdk.ResponseError(code=code, message=error.message)
        return sdk.ResponseFailedEvent(type="response.failed", response=response, **self._next())

    def _next(self) -> dict[str, int]:
        self.number += 1
        return {"sequence_number": self.number}

    def _ended(self, choice: Choice, usage: Usage) -> sdk.Response:
        status = "incomplete" if choice.finish_reason == "length" else "completed"
        response = self.response(status)
        response.output = [self._message(status, [self._text(choice.text, choice.tokens)])]
        response.usage = _usage(usage)
        if status == "incomplete":
            response.incomplete_details = IncompleteDetails(reason="max_output_tokens")
        return response

    def response(self, status: str) -> sdk.Response:
        """Return the response in this state, with nothing said yet."""
        asked = self.asked
        return sdk.Response(
            id=self.id,
            object="response",
            created_at=self.created,
            status=status,
            completed_at=int(time.time()) if status == "completed" else None,
            background=asked.background,
            error=None,
            incomplete_details=None,
            instructions=asked.instructions,
            max_output_tokens=asked.max_output_tokens,
            max_tool_calls=asked.max_tool_calls,
            metadata=asked.metadata,
            model=asked.model,
            output=[],
            parallel_tool_calls=True,
            previous_response_id=asked.previous_response_id,
            prompt_cache_key=asked.prompt_cache_key,
            prompt_cache_retention=asked.prompt_cache_retention,
            reasoning={"effort": None, "summary": None},
            safety_identifier=asked.safety_identifier,
            service_tier="default",
            temperature=asked.temperature,
            text=PLAIN_TEXT,
            tool_choice=asked.tool_choice,
            tools=[],
            top_logprobs=asked.top_logprobs,
            top_p=asked.top_p,
            truncation="disabled",
            usage=None,
            user=asked.user,
            store=asked.store,  # not in the SDK's type, but in the hosted API's answers
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
        return [
            Logprob(
                token=token.text,
                bytes=token.bytes,
                logprob=token.logprob,
                top_logprobs=[
                    LogprobTopLogprob(token=text, bytes=raw, logprob=logprob)
                    for text, raw, logprob in token.top
                ],
            )
            for token in tokens
        ]


def _usage(usage: Usage) -> sdk.ResponseUsage:
    return sdk.ResponseUsage(
        input_tokens=usage.prompt_tokens,
        input_tokens_details=InputTokensDetails(cached_tokens=0, cache_write_tokens=0),
        output_tokens=usage.completion_tokens,
        output_tokens_details=OutputTokensDetails(reasoning_tokens=0),
        total_tokens=usage.prompt_tokens + usage.completion_tokens,
    )
