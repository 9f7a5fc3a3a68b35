"""Lists over HTTP: the query parameters of a page and the envelope around it."""

import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field

from sandbox.api.errors import BadRequest, UnknownParameter
from sandbox.api.metadata import MOST_PAIRS
from sandbox.store.errors import InvalidCursor
from sandbox.store.rows import Page

Row = TypeVar("Row")


class PageQuery(BaseModel):
    """Which page of a list: how many rows at most, after the row with this id."""

    model_config = ConfigDict(extra="forbid")
    after: str | None = None
    limit: Annotated[int, Field(ge=0, le=1000)] = 20

    @property
    def place(self) -> dict[str, Any]:
        """The page as the store's functions take it."""
        # Who asks for no rows may name any place: nothing begins there.
        return {"after": self.after or None if self.limit else None, "limit": self.limit}


class TenQuery(PageQuery):
    """A page of ten rows, if nothing else is said."""

    limit: Annotated[int, Field(ge=0, le=1000)] = 10


class HundredQuery(PageQuery):
    """A page of a hundred rows at most."""

    limit: Annotated[int, Field(ge=0, le=100)] = 20


AnyPage = Annotated[PageQuery, Query()]
PageOfTen = Annotated[TenQuery, Query()]
PageToHundred = Annotated[HundredQuery, Query()]


class FilteredQuery(PageQuery):
    """Which page of a list. What else comes is to be a filter: metadata[key]=value."""

    model_config = ConfigDict(extra="allow")

    def metadata(self) -> dict[str, str] | None:
        """Return the pairs to filter by; {} for no metadata at all, None for any. BadRequest."""
        wanted: dict[str, str] = {}
        given = self.model_extra or {}
        for name, value in given.items():
            pair = re.fullmatch(r"metadata\[(.*)\]", name, re.DOTALL)
            if pair:
                wanted[pair[1]] = value
            elif (name, value) != ("metadata", "null"):
                known = ", ".join(type(self).model_fields)
                raise BadRequest(
                    f"Unknown query parameter: '{name}'. Known here: {known}, metadata[key].",
                    param=name,
                    code="unknown_parameter",
                )
        if len(wanted) > MOST_PAIRS:
            raise BadRequest(
                f"Invalid 'metadata': nothing has more than {MOST_PAIRS} pairs.", param="metadata"
            )
        return wanted if given else None


def page_of(
    items: list[dict[str, Any]], order: str, *, after: str | None, limit: int
) -> Page[dict[str, Any]]:
    """Return one page of objects that are all there. Raises InvalidCursor."""
    items = items if order == "asc" else items[::-1]
    if after is not None:
        places = [place for place, item in enumerate(items) if item["id"] == after]
        if not places:
            raise InvalidCursor(after)
        items = items[places[0] + 1 :]
    return Page(items[:limit], len(items) > limit)


def envelope(page: Page[Row], show: Callable[[Row], dict[str, Any]]) -> dict[str, Any]:
    """Return a page in the hosted API's list shape."""
    data = [show(row) for row in page.rows]
    return {
        "object": "list",
        "data": data,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
        "has_more": page.has_more,
    }


def no_query(request: Request) -> None:
    """A dependency: the request must bring no query parameters. Raises UnknownParameter."""
    for name in request.query_params:
        raise UnknownParameter(name)
