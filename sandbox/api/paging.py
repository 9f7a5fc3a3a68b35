"""Lists over HTTP: the query parameters of a page and the envelope around it."""

from typing import Any

from fastapi import Request

from sandbox.api.errors import BadRequest


def read_limit(request: Request, default: int, largest: int) -> int:
    """Return the ``limit`` of a list request. Raises BadRequest."""
    text = request.query_params.get("limit")
    if text is None:
        return default
    # isdecimal alone would accept digits of other scripts, and int() any number of them.
    value = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
    if not 1 <= value <= largest:
        raise BadRequest(f"'limit' must be a whole number from 1 to {largest}.", param="limit")
    return value


def read_after(request: Request) -> str | None:
    """Return the ``after`` of a list request: the last id of the page before."""
    return request.query_params.get("after") or None


def read_order(request: Request, *choices: str) -> bool:
    """Return whether the newest comes first. The last of ``choices`` means that."""
    value = request.query_params.get("order", choices[-1])
    if value not in choices:
        raise BadRequest(f"'order' must be one of {', '.join(choices)}.", param="order")
    return value == choices[-1]


def check_query(request: Request, *known: str) -> None:
    """Refuse query parameters that would otherwise be ignored. Raises BadRequest."""
    for name in request.query_params:
        if name not in known:
            raise BadRequest(
                f"Unknown query parameter: '{name}'. Known here: {', '.join(known) or 'none'}.",
                param=name,
                code="unknown_parameter",
            )


def envelope(data: list[dict[str, Any]], has_more: bool, *, ends: bool = False) -> dict[str, Any]:
    """Return a page in the hosted API's list shape; ``ends`` adds first_id and last_id."""
    page: dict[str, Any] = {"object": "list", "data": data, "has_more": has_more}
    if ends:
        page["first_id"] = data[0]["id"] if data else None
        page["last_id"] = data[-1]["id"] if data else None
    return page
