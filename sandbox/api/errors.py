"""Every error a client can get, and the one place where errors become answers.

Answers have the hosted API's shape: {"error": {"message", "type", "param", "code"}}.
"""

import json
import logging
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from sandbox.store.errors import InvalidCursor, StateError

log = logging.getLogger(__name__)


class ApiError(Exception):
    """An error with an HTTP status and an answer in the hosted API's shape."""

    status = 400
    type = "invalid_request_error"
    code: str | None = None
    headers: dict[str, str] = {}

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code or self.code

    def body(self) -> dict[str, dict[str, str | None]]:
        """Return the error as the JSON object that goes to the client."""
        error = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return {"error": error}


class BadRequest(ApiError):
    """Something in the request is wrong; ``param`` says what."""


class UnknownParameter(BadRequest):
    """Neither the hosted API nor the sandbox knows the parameter."""

    code = "unknown_parameter"

    def __init__(self, name: str) -> None:
        super().__init__(f"Unrecognized request argument supplied: {name}", param=name)


class UnsupportedParameter(BadRequest):
    """The parameter exists in the hosted API; the sandbox cannot do what it asks for."""

    code = "unsupported_parameter"

    def __init__(self, name: str, why: str = "") -> None:
        text = f"Unsupported parameter: '{name}' is not supported by the sandbox."
        super().__init__(f"{text} {why}".rstrip(), param=name)


class InvalidKey(ApiError):
    """The request carries no key, or one that this sandbox has not made."""

    status = 401
    code = "invalid_api_key"
    headers = {"www-authenticate": "Bearer"}


class Forbidden(ApiError):
    """The key is good, but this is not the client's to do."""

    status = 403


class NotFound(ApiError):
    """There is nothing under this address, or of this name in the key's project."""

    status = 404


class FileNotFound(NotFound):
    """The project has no file of this id."""

    def __init__(self, file_id: str, param: str = "id") -> None:
        super().__init__(f"No such File object: {file_id}", param=param)


class MethodNotAllowed(ApiError):
    """The address exists, but not for this method."""

    status = 405


class Conflict(ApiError):
    """Something else is using it; asking again at once will not help."""

    status = 409
    headers = {"x-should-retry": "false"}


class TooLarge(ApiError):
    """The request's body is larger than allowed."""

    status = 413


class RateLimited(ApiError):
    """More calls in a minute than the key may make."""

    status = 429
    type = "requests"
    code = "rate_limit_exceeded"


class ClientGone(ApiError):
    """The client hung up: nobody will read this answer."""

    status = 499


class ServerError(ApiError):
    """The sandbox failed. The server's own output has the details."""

    status = 500
    type = "server_error"


class EngineUnavailable(ServerError):
    """The process that runs the model cannot answer: not yet, or not any more."""

    status = 503


class ErrorDetails(BaseModel):
    """What an answer says about an error."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorResponse(BaseModel):
    """The answer to a request that failed."""

    error: ErrorDetails


def error_response(error: ApiError) -> Response:
    """Return the answer for an error. Text that is not valid Unicode is written as "?"."""
    content = json.dumps(error.body(), ensure_ascii=False).encode("utf-8", "replace")
    return Response(content, error.status, error.headers, media_type="application/json")


def told(error: Exception, what: str) -> ApiError:
    """Return what a client may know of an error; one that nobody foresaw goes to the log."""
    if isinstance(error, ApiError):
        return error
    log.error("%s failed", what, exc_info=error)
    return ServerError("The sandbox had an error while it worked on your request.")


def explain(errors: Sequence[Any], place: int = 0) -> BadRequest:
    """Describe the first of pydantic's errors in the hosted API's manner.

    ``place`` is how many parts of its location come before the parameter's name.
    """
    first = errors[0]
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"][place:])
    param = "".join(parts).removeprefix(".")  # messages[0].role
    if first["type"] == "extra_forbidden":
        return UnknownParameter(param)
    if first["type"] == "missing":
        message = f"Missing required parameter: '{param}'."
        return BadRequest(message, param=param, code="missing_required_parameter")
    message = first["msg"].removeprefix("Value error, ").rstrip(".")
    code = "invalid_type" if first["type"].endswith("_type") else "invalid_value"
    what = f"'{param}'" if param else "request"  # some checks are of several fields together
    return BadRequest(f"Invalid {what}: {message}.", param=param or None, code=code)


def install_handlers(app: FastAPI) -> None:
    """Answer every error of the application in the hosted API's shape."""
    for kind in (
        ApiError,
        InvalidCursor,
        StateError,
        ClientDisconnect,
        RequestValidationError,
        HTTPException,
    ):
        app.add_exception_handler(kind, _answer)


async def _answer(request: Request, error: Exception) -> Response:
    return error_response(_translate(request, error))


def _translate(request: Request, error: Exception) -> ApiError:
    """Put the errors of the store and the framework into the API's words."""
    where = f"{request.method} {request.url.path}"
    match error:
        case ApiError():
            return error
        case InvalidCursor():
            message = f"Nothing in this list has the id '{error}', which 'after' names."
            return BadRequest(message, param="after")
        case StateError():
            return BadRequest(f"{error}.", code="invalid_job_state")
        case ClientDisconnect():
            return ClientGone("The client closed the connection.")
        case RequestValidationError(body=ApiError() as unread):  # see body.py
            return unread
        case RequestValidationError():
            return explain(error.errors(), place=1)
        case HTTPException(status_code=404):
            return NotFound(f"Unknown request URL: {where}. See /docs for the list of addresses.")
        case HTTPException(status_code=405):
            return MethodNotAllowed(f"Not allowed: {where}. See /docs for the methods it takes.")
        case HTTPException():
            return BadRequest(str(error.detail))
    raise error
