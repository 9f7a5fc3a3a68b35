"""/v1/chat/completions with an id: chats that were asked for with store=true."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from sandbox.api.auth import Project
from sandbox.api.body import JsonRoute, Strict
from sandbox.api.context import Context, ContextOf
from sandbox.api.errors import NotFound
from sandbox.api.metadata import Metadata
from sandbox.api.paging import FilteredQuery, PageQuery, envelope, page_of
from sandbox.store import answers
from sandbox.store.tables import AnswerRow

router = APIRouter(prefix="/chat/completions", tags=["stored chats"], route_class=JsonRoute)
Chat = dict[str, Any]
Order = Literal["asc", "desc"]


class ChatsQuery(FilteredQuery):
    """Which page of the chats, in which order, of which model; also metadata[key]=value."""

    limit: Annotated[int, Field(ge=0, le=100)] = 20
    order: Order = "asc"
    model: str | None = None


@router.get("")
def list_chats(
    query: Annotated[ChatsQuery, Query()], project: Project, context: ContextOf
) -> dict[str, Any]:
    """The project's stored chats in pages."""
    page = answers.list_chats(
        context.store,
        project,
        model=query.model,
        metadata=query.metadata(),
        newest_first=query.order == "desc",
        **query.place,
    )
    return envelope(page, lambda row: row.answer)


@router.get("/{completion_id}")
def retrieve_chat(completion_id: str, project: Project, context: ContextOf) -> Chat:
    """A stored chat by its id."""
    return _find(context, project, completion_id).answer


class ChatChange(Strict):
    """What can be changed of a stored chat; null takes all metadata away."""

    metadata: Metadata = {}


@router.post("/{completion_id}")
def update_chat(
    completion_id: str, asked: ChatChange, project: Project, context: ContextOf
) -> Chat:
    """Give a stored chat other metadata."""
    row = _find(context, project, completion_id)
    return answers.change(context.store, row, metadata=asked.metadata).answer


@router.delete("/{completion_id}")
def delete_chat(completion_id: str, project: Project, context: ContextOf) -> Chat:
    """Forget a stored chat."""
    _find(context, project, completion_id)
    answers.delete_answer(context.store, completion_id)
    return {"id": completion_id, "object": "chat.completion.deleted", "deleted": True}


class MessagesQuery(PageQuery):
    """Which page of the messages, in which order."""

    limit: Annotated[int, Field(ge=0, le=100)] = 20
    order: Order = "asc"


@router.get("/{completion_id}/messages")
def list_messages(
    completion_id: str,
    query: Annotated[MessagesQuery, Query()],
    project: Project,
    context: ContextOf,
) -> dict[str, Any]:
    """The messages that a stored chat answers, in pages."""
    items = [
        {"id": f"{completion_id}-{number}", "refusal": None, **message}
        for number, message in enumerate(_find(context, project, completion_id).items)
    ]
    return envelope(page_of(items, query.order, **query.place), dict)


def _find(context: Context, project: str, completion_id: str) -> AnswerRow:
    row = answers.get_answer(context.store, project, completion_id, answers.CHAT)
    if row is None:
        raise NotFound(f"Chat completion {completion_id} not found.", param="completion_id")
    return row
