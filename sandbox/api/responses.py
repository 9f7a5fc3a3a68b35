"""/v1/responses: answers that remember what led to them, whole or as a stream of typed events."""

import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from openai import BaseModel
from openai.types import responses as sdk
from openai.types.responses.response import IncompleteDetails
from openai.types.responses.response_output_text import Logprob, LogprobTopLogprob
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from sandbox.api.auth import Project
from sandbox.api.body import JsonRoute, dump, no_body, parse
from sandbox.api.context import Context, ContextOf
from sandbox.api.errors import BadRequest, ResponseNotFound, UnsupportedParameter
from sandbox.api.generation import Choice, TextAnswer, open_request
from sandbox.api.paging import HundredQuery, check_query, envelope
from sandbox.api.response_request import PLAIN_TEXT, ResponseRequest
from sandbox.engine.sampler.messages import Delta, TokenInfo, Usage
from sandbox.store import InvalidCursor, Page, Store, ids, responses
from sandbox.store.responses import ResponseRow

router = APIRouter(prefix="/responses", tags=["responses"], route_class=JsonRoute)
# Query parameters that change nothing about a stored answer.
WITHOUT_EFFECT = ("include", "include[]", "include_obfuscation", "starting_after")


@router.post("", response_model=None)
async def create_response(
    asked: ResponseRequest, request: Request, project: Project, context: ContextOf
) -> dict[str, Any] | Response:
    """The model's answer to an input, which may go on from an earlier answer."""
    return await (await _open(context, project, asked, False)).respond(request)


@router.get("/{response_id}")
def retrieve_response(
    response_id: str, request: Request, project: Project, context: ContextOf
) -> dict[str, Any]:
    """A stored answer by its id."""
    check_query(request, "stream", *WITHOUT_EFFECT)
    if request.query_params.get("stream", "false") != "false":
        raise UnsupportedParameter("stream", "A finished answer comes in one piece.")
    return _find(context, project, response_id).answer


@router.delete("/{response_id}")
def delete_response(response_id: str, project: Project, context: ContextOf) -> dict[str, Any]:
    """Forget a stored answer. Answers that went on from it stay."""
    if not responses.delete_response(context.store, project, response_id):
        raise ResponseNotFound(response_id)
    return {"id": response_id, "object": "response", "deleted": True}


@router.post("/{response_id}/cancel", dependencies=[Depends(no_body)])
def cancel_response(response_id: str, project: Project, context: ContextOf) -> dict[str, Any]:
    """Always refused: only a background response can be cancelled, and there are none."""
    _find(context, project, response_id)
    raise BadRequest("Cannot cancel a synchronous response.")


class ItemsQuery(HundredQuery):
    """Which page of the messages, in which order. `include` has no effect: all is shown."""

    order: Literal["asc", "desc"] = "desc"
    include: list[str] = []
    included: Annotated[list[str], Field(alias="include[]")] = []


@router.get("/{response_id}/input_items")
def list_input_items(
    response_id: str,
    query: Annotated[ItemsQuery, Query()],
    project: Project,
    context: ContextOf,
) -> dict[str, Any]:
    """The messages that led to an answer, in pages."""
    items = _find(context, project, response_id).items
    if query.order == "desc":
        items = items[::-1]
    after, limit = query.place["after"], query.limit
    if after is not None:
        places = [place for place, item in enumerate(items) if item["id"] == after]
        if not places:
            raise InvalidCursor(after)
        items = items[places[0] + 1 :]
    return envelope(Page(items[:limit], len(items) > limit), dict)


async def prepare(
    context: Context, project: str, data: dict[str, Any], background: bool
) -> TextAnswer:
    """Check the body of a request and return its answer on its way. Raises ApiError."""
    return await _open(context, project, parse(ResponseRequest, data), background)


async def _open(
    context: Context, project: str, asked: ResponseRequest, background: bool
) -> TextAnswer:
    items = await run_in_threadpool(_history, context, project, asked.previous_response_id)
    items = items + [item.stored(ids.message_id()) for item in asked.input]
    # Instructions hold for one answer: those of the answers before it are left out.
    prompt = [{"role": "system", "content": asked.instructions}] if asked.instructions else []
    prompt += [_message(item) for item in items]
    sampling = asked.sampling()
    # Not the body as it came: with the same conversation the same seed, whatever its id.
    content = {"model": asked.model, "messages": prompt, **sampling.model_dump()}
    opened = await open_request(context, project, asked.model, sampling, content, background)
    requests = [opened.generate(prompt, asked.stream)]
    shape = ResponseShape(asked)
    if not asked.store:
        return TextAnswer(context.sampler, requests, "input", shape)
    return StoredAnswer(context.sampler, requests, "input", shape, context.store, project, items)


def _message(item: dict[str, Any]) -> dict[str, str]:
    role = "system" if item["role"] == "developer" else item["role"]
    return {"role": role, "content": "".join(part["text"] for part in item["content"])}


def _history(context: Context, project: str, previous: str | None) -> list[dict[str, Any]]:
    """Return all messages of a conversation up to and with an earlier answer."""
    if previous is None:
        return []
    row = responses.get_response(context.store, project, previous)
    if row is None:
        raise ResponseNotFound(previous, "previous_response_id", "previous_response_not_found")
    return row.items + row.answer["output"]


def _find(context: Context, project: str, response_id: str) -> ResponseRow:
    row = responses.get_response(context.store, project, response_id)
    if row is None:
        raise ResponseNotFound(response_id)
    return row


@dataclass(frozen=True)
class StoredAnswer(TextAnswer):
    """An answer that is kept before its client learns that it is complete."""

    store: Store
    project: str
    items: list[dict[str, Any]]

    async def whole(self) -> dict[str, Any]:
        """Return the answer in one piece. Raises ApiError."""
        answer = await super().whole()
        await self._keep(answer)
        return answer

    async def chunks(self) -> AsyncGenerator[BaseModel, None]:
        """Yield the answer's events. Raises ApiError."""
        async with aclosing(super().chunks()) as events:
            async for event in events:
                if isinstance(event, sdk.ResponseCompletedEvent | sdk.ResponseIncompleteEvent):
                    await self._keep(dump(event.response))
                yield event

    async def _keep(self, answer: dict[str, Any]) -> None:
        await run_in_threadpool(
            responses.add_response, self.store, self.project, self.items, answer
        )


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
        return self._response(choice, usage)

    def begin(self) -> Iterable[BaseModel]:
        """Yield the events before the first word."""
        response = self._response(None, None)
        yield sdk.ResponseCreatedEvent(type="response.created", response=response, **self._next())
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
        response = self._response(choice, usage)
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

    def _next(self) -> dict[str, int]:
        self.number += 1
        return {"sequence_number": self.number}

    def _response(self, choice: Choice | None, usage: Usage | None) -> sdk.Response:
        """Return the response as it stands: with neither, nothing has been said yet."""
        asked, status, output = self.asked, "in_progress", []
        if choice is not None:
            status = "incomplete" if choice.finish_reason == "length" else "completed"
            output = [self._message(status, [self._text(choice.text, choice.tokens)])]
        cut = IncompleteDetails(reason="max_output_tokens") if status == "incomplete" else None
        return sdk.Response(
            id=self.id,
            object="response",
            created_at=self.created,
            status=status,
            completed_at=int(time.time()) if status == "completed" else None,
            background=False,
            error=None,
            incomplete_details=cut,
            instructions=asked.instructions,
            max_output_tokens=asked.max_output_tokens,
            max_tool_calls=asked.max_tool_calls,
            metadata=asked.metadata,
            model=asked.model,
            output=output,
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
            usage=_usage(usage) if usage else None,
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
