"""/v1/responses: answers that remember what led to them, whole or as a stream of typed events."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from sandbox.api import response_background
from sandbox.api.auth import Project
from sandbox.api.body import JsonRoute, no_body
from sandbox.api.context import ContextOf
from sandbox.api.document import STREAM
from sandbox.api.errors import BadRequest
from sandbox.api.paging import HundredQuery, envelope, page_of
from sandbox.api.response_answer import find_response, prepare
from sandbox.api.response_request import NO_COMPACTION, InputRequest, ResponseRequest
from sandbox.api.streaming import start_stream, unless_gone
from sandbox.store import answers

router = APIRouter(prefix="/responses", tags=["responses"], route_class=JsonRoute)
Answer = dict[str, Any]


@router.post("", response_model=None, responses=STREAM)
async def create_response(
    asked: ResponseRequest, request: Request, project: Project, context: ContextOf
) -> Answer | Response:
    """The model's answer to an input, which may go on from an earlier answer."""
    if not asked.background:
        return await (await prepare(context, project, asked, False)).respond(request)
    queued = await response_background.start(context, project, asked)
    if not asked.stream:
        return queued
    return await unless_gone(request, start_stream(context.runs[queued["id"]].follow(-1)))


@router.post("/input_tokens")
async def count_input_tokens(
    asked: InputRequest, request: Request, project: Project, context: ContextOf
) -> Answer:
    """How many tokens the model would read to answer."""
    # An answer of no tokens is read for in the same way, and counted by the same tokenizer.
    nothing = ResponseRequest.model_construct(**dict(asked), max_output_tokens=0, store=False)
    answer = await prepare(context, project, nothing, False)
    read = await unless_gone(request, answer.whole())
    return {"object": "response.input_tokens", "input_tokens": read["usage"]["input_tokens"]}


@router.post("/compact", include_in_schema=False)
async def compact_response(project: Project) -> None:
    """Refused; without this address the hosted API's would be taken for that of a response."""
    raise BadRequest(f"The sandbox has no compaction. {NO_COMPACTION}", code="unsupported_endpoint")


class AnswerQuery(BaseModel):
    """Whether to stream a background response, and after which event.

    The others have no effect: all is shown, and nothing is padded.
    """

    model_config = ConfigDict(extra="forbid")
    stream: bool = False
    starting_after: Annotated[int, Field(ge=0)] | None = None
    include: list[str] = []
    included: Annotated[list[str], Field(alias="include[]")] = []
    include_obfuscation: bool = False


@router.get("/{response_id}", response_model=None, responses=STREAM)
async def retrieve_response(
    response_id: str,
    query: Annotated[AnswerQuery, Query()],
    request: Request,
    project: Project,
    context: ContextOf,
) -> Answer | Response:
    """A stored answer by its id; one made in the background also as a stream, for a while."""
    row = await run_in_threadpool(find_response, context, project, response_id)
    if not query.stream:
        return row.answer
    if response_id not in context.runs:
        raise BadRequest(
            "This response cannot be streamed because it was not created with background=true, "
            "or has ended too long ago. Retrieve it without stream=true.",
            param="stream",
        )
    after = -1 if query.starting_after is None else query.starting_after
    return await unless_gone(request, start_stream(context.runs[response_id].follow(after)))


@router.delete("/{response_id}")
async def delete_response(response_id: str, project: Project, context: ContextOf) -> Answer:
    """Forget a stored answer. Answers that went on from it stay."""
    await response_background.cancel(context, project, response_id)
    await run_in_threadpool(answers.delete_answer, context.store, response_id)
    return {"id": response_id, "object": "response", "deleted": True}


@router.post("/{response_id}/cancel", dependencies=[Depends(no_body)])
async def cancel_response(response_id: str, project: Project, context: ContextOf) -> Answer:
    """Stop a background response; one that has ended stays as it is."""
    row = await run_in_threadpool(find_response, context, project, response_id)
    if not row.answer["background"]:
        raise BadRequest("Cannot cancel a synchronous response.")
    return await response_background.cancel(context, project, response_id)


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
) -> Answer:
    """The messages that led to an answer, in pages."""
    items = find_response(context, project, response_id).items
    return envelope(page_of(items, query.order, **query.place), dict)
