"""/v1/responses: answers that remember what led to them, whole or as a stream of typed events."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from openai import BaseModel
from openai.types import responses as sdk
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from sandbox.api.auth import Project
from sandbox.api.body import JsonRoute, dump, no_body
from sandbox.api.context import Context, ContextOf
from sandbox.api.errors import BadRequest, NotFound
from sandbox.api.generation import TextAnswer, open_request
from sandbox.api.paging import HundredQuery, check_query, envelope
from sandbox.api.response_request import ResponseRequest
from sandbox.api.response_shape import ResponseShape
from sandbox.store import ids, responses
from sandbox.store.database import Store
from sandbox.store.errors import InvalidCursor
from sandbox.store.rows import Page
from sandbox.store.tables import ResponseRow

router = APIRouter(prefix="/responses", tags=["responses"], route_class=JsonRoute)
# Query parameters that change nothing about a stored answer.
WITHOUT_EFFECT = ("include", "include[]", "include_obfuscation", "starting_after")


@router.post("", response_model=None)
async def create_response(
    asked: ResponseRequest, request: Request, project: Project, context: ContextOf
) -> dict[str, Any] | Response:
    """The model's answer to an input, which may go on from an earlier answer."""
    return await (await prepare(context, project, asked, False)).respond(request)


@router.get("/{response_id}")
def retrieve_response(
    response_id: str, request: Request, project: Project, context: ContextOf
) -> dict[str, Any]:
    """A stored answer by its id."""
    check_query(request, "stream", *WITHOUT_EFFECT)
    if request.query_params.get("stream", "false") != "false":
        raise BadRequest(
            "This response cannot be streamed because it was not created with background=true.",
            param="stream",
        )
    return _find(context, project, response_id).answer


@router.delete("/{response_id}")
def delete_response(response_id: str, project: Project, context: ContextOf) -> dict[str, Any]:
    """Forget a stored answer. Answers that went on from it stay."""
    if not responses.delete_response(context.store, project, response_id):
        raise _not_found(response_id)
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
    context: Context, project: str, asked: ResponseRequest, background: bool
) -> TextAnswer:
    """Return the answer to a request on its way. Raises ApiError."""
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
        error = _not_found(previous)
        error.param, error.code = "previous_response_id", "previous_response_not_found"
        raise error
    return row.items + row.answer["output"]


def _find(context: Context, project: str, response_id: str) -> ResponseRow:
    row = responses.get_response(context.store, project, response_id)
    if row is None:
        raise _not_found(response_id)
    return row


def _not_found(response_id: str) -> NotFound:
    return NotFound(f"Response with id '{response_id}' not found.")


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
