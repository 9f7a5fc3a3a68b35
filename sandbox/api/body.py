"""JSON bodies: any bytes come in, checked parameters or a clear 400 come out; objects go out.

A route of the class `JsonRoute` takes its body as a pydantic model, as FastAPI does everywhere.
What this module adds is the hosted API's manner: one reading of JSON for all routes, whatever
content type a client sends; null means "not given"; errors name their parameter.
"""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fastapi import Request
from fastapi.routing import APIRoute
from openai import BaseModel as OpenAIModel
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json
from starlette.responses import Response

from sandbox.api.errors import ApiError, BadRequest, TooLarge, explain

Parameters = TypeVar("Parameters", bound=BaseModel)


class Strict(BaseModel):
    """The parameters of a request: nothing unknown, nothing converted, no NaN."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


class JsonRoute(APIRoute):
    """A route whose body, if it takes one, is a JSON object."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request, behind the reading of its body."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def read_and_handle(request: Request) -> Response:
            try:
                body = read_object(await read_bytes(request, _limit(request)))
            except ApiError as error:
                # In the body's place: FastAPI first checks the key, then finds it is no object,
                # and the handler of its error tells this one.
                body = error
            return await handle(_ReadRequest(request, body))

        return read_and_handle


class _ReadRequest(Request):
    """A request whose body has been read and parsed already."""

    def __init__(self, request: Request, body: dict[str, Any] | ApiError) -> None:
        # FastAPI parses only what is called JSON; a body without or with another type is JSON too.
        others = [(k, v) for k, v in request.scope["headers"] if k != b"content-type"]
        headers = [*others, (b"content-type", b"application/json")]
        super().__init__(request.scope | {"headers": headers}, request.receive)
        self._parsed = body

    async def body(self) -> bytes:
        return b"{}"  # FastAPI asks only whether there is anything to parse

    async def json(self) -> dict[str, Any] | ApiError:
        return self._parsed


def read_object(content: bytes) -> dict[str, Any]:
    """Return the JSON object in ``content``, without its null fields. Raises BadRequest.

    Refused are also NaN, halves of surrogate pairs (no database and no UTF-8 answer can hold
    them), numbers of more than 4,300 digits, and what is nested more than 200 deep.
    """
    try:
        data = from_json(content, allow_inf_nan=False)
    except ValueError as error:
        raise BadRequest(
            f"We could not parse the JSON body of your request ({error}). "
            "The API expects a JSON object."
        ) from error
    if not isinstance(data, dict):
        raise BadRequest("The body must be a JSON object, in curly brackets.")
    return without_nulls(data)


def without_nulls(data: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a body that are given: a null means "not given"."""
    return {name: value for name, value in data.items() if value is not None}


async def read_bytes(request: Request, limit: int) -> bytes:
    """Return a request's whole body. Raises TooLarge above ``limit`` bytes."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise TooLarge(f"The body is larger than {limit} bytes, the most this address takes.")
        chunks.append(chunk)
    return b"".join(chunks)


async def no_body(request: Request) -> None:
    """A dependency: the request must bring no parameters. Raises BadRequest or TooLarge."""
    content = await read_bytes(request, _limit(request))
    if content.strip() not in (b"", b"{}"):
        raise BadRequest("This address takes no parameters in its body.")


def dump(answer: OpenAIModel) -> dict[str, Any]:
    """Return an object of the SDK as plain data, with the fields that were set.

    So what the specification calls optional is absent rather than null.
    """
    return answer.model_dump(mode="json", exclude_unset=True, warnings=False)


def shown(kind: type[OpenAIModel], row: Any, **fields: Any) -> dict[str, Any]:
    """Return a row as the SDK's type shows it: ``fields``, and those that both have, as they are.

    They are in the order of the type.
    """
    row_has = {name: getattr(row, name) for name in kind.model_fields if hasattr(row, name)}
    every = row_has | fields
    return {name: every[name] for name in kind.model_fields if name in every} | every


def _limit(request: Request) -> int:
    return request.app.state.context.settings.max_body_bytes


def parse(kind: type[Parameters], data: dict[str, Any]) -> Parameters:
    """Check ``data`` against a model of the parameters. Raises BadRequest naming the field."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise explain(error.errors(include_url=False, include_input=False)) from error
