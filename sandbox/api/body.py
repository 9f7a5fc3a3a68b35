"""Reading JSON bodies: any bytes in, a plain dict out or a clear 400."""

import json
from typing import Any, NoReturn, TypeVar

from fastapi import Request
from pydantic import BaseModel, ConfigDict, ValidationError

from sandbox.api.errors import BadRequest, TooLarge

Parameters = TypeVar("Parameters", bound=BaseModel)


class Strict(BaseModel):
    """The parameters of a request: nothing unknown, nothing converted, no NaN."""

    model_config = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)


async def read_object(request: Request, limit: int) -> dict[str, Any]:
    """Return the JSON object in a request's body, without its null fields.

    A null means "not given", as in the hosted API. Raises BadRequest or TooLarge.
    """
    content = await read_bytes(request, limit)
    try:
        data = json.loads(content.decode("utf-8"), parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise BadRequest(f"The body is not valid UTF-8 (byte {error.start}).") from error
    except (ValueError, RecursionError) as error:
        raise BadRequest(
            f"We could not parse the JSON body of your request ({_reason(error)}). "
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


async def refuse_body(request: Request, limit: int) -> None:
    """Check that a request brings no parameters. Raises BadRequest or TooLarge."""
    if (await read_bytes(request, limit)).strip() not in (b"", b"{}"):
        raise BadRequest("This address takes no parameters in its body.")


def parse(kind: type[Parameters], data: dict[str, Any]) -> Parameters:
    """Check ``data`` against a model of the parameters. Raises BadRequest naming the field."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise _explain(error) from error


def _explain(error: ValidationError) -> BadRequest:
    """Describe the first fault in the hosted API's manner."""
    first = error.errors(include_url=False, include_input=False)[0]
    param = _field_name(first["loc"])
    if first["type"] == "extra_forbidden":
        return BadRequest(
            f"Unrecognized request argument supplied: {param}",
            param=param,
            code="unknown_parameter",
        )
    if first["type"] == "missing":
        return BadRequest(
            f"Missing required parameter: '{param}'.",
            param=param,
            code="missing_required_parameter",
        )
    message = first["msg"].removeprefix("Value error, ").rstrip(".")
    code = "invalid_type" if first["type"].endswith("_type") else "invalid_value"
    return BadRequest(f"Invalid '{param}': {message}.", param=param, code=code)


def _field_name(loc: tuple[int | str, ...]) -> str:
    """Return a place such as ("messages", 0, "role") as ``messages[0].role``."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}, line {error.lineno}, column {error.colno}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
