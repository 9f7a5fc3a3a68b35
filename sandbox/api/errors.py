"""Every error a client can get, and the one place where errors become answers.

ApiError
├── BadRequest               400  something in the request is wrong; ``param`` says what
│   ├── UnsupportedParameter 400  the sandbox knows the parameter and cannot do it
│   ├── ContextTooLong       400  the prompt and the answer do not fit into the model
│   └── Flagged              400  a moderation refuses the prompt (only as a fault, see faults/)
├── InvalidKey               401  no key, or not one of this sandbox
├── Forbidden                403  the key is good, but this is not the client's to do
│   └── TrainingNotAvailable 403  the account may train no models (only as a fault)
├── NotFound                 404
│   ├── FileNotFound         404
│   ├── JobNotFound          404
│   ├── BatchNotFound        404
│   ├── ResponseNotFound     404
│   ├── ModelNotFound        404
│   └── ModelRetired         404  the provider has switched it off (only as a fault)
├── MethodNotAllowed         405
├── Conflict                 409  not now: something else is using it
├── TooLarge                 413
├── TooManyRequests          429
│   ├── RateLimited          429  too many calls in a minute
│   └── QuotaExceeded        429  the money is used up (only as a fault)
├── ClientGone               499  nobody is left to read the answer
└── ServerError              500  our fault
    └── EngineUnavailable    503  the model's process is not there (yet, or any more)

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

from sandbox.store.errors import InvalidCursor, JobStateError

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
    """Something in the request is wrong."""


class UnsupportedParameter(BadRequest):
    """The parameter exists in the hosted API; the sandbox cannot do what it asks for."""

    code = "unsupported_parameter"

    def __init__(self, name: str, why: str = "") -> None:
        text = f"Unsupported parameter: '{name}' is not supported by the sandbox."
        super().__init__(f"{text} {why}".rstrip(), param=name)


class ContextTooLong(BadRequest):
    """The prompt and the answer do not fit into the model."""

    code = "context_length_exceeded"


class Flagged(BadRequest):
    """A moderation has refused the prompt. The sandbox has none: this is for practice."""

    code = "invalid_prompt"


class InvalidKey(ApiError):
    """The request carries no key, or one that this sandbox has not made."""

    status = 401
    code = "invalid_api_key"
    headers = {"www-authenticate": "Bearer"}


class Forbidden(ApiError):
    """The key is good, but this is not the client's to do."""

    status = 403


class TrainingNotAvailable(Forbidden):
    """The account may not create training jobs. The sandbox lets everybody: for practice."""

    code = "training_not_available"


class NotFound(ApiError):
    """There is nothing under this address."""

    status = 404


class FileNotFound(NotFound):
    """The project has no file of this id."""

    def __init__(self, file_id: str, param: str = "id") -> None:
        super().__init__(f"No such File object: {file_id}", param=param)


class JobNotFound(NotFound):
    """The project has no job of this id."""

    code = "fine_tune_not_found"

    def __init__(self, job_id: str) -> None:
        super().__init__(f"Could not find fine tune: {job_id}", param="fine_tune_id")


class BatchNotFound(NotFound):
    """The project has no batch of this id."""

    def __init__(self, batch_id: str) -> None:
        super().__init__(f"No batch found with id '{batch_id}'.", param="batch_id")


class ResponseNotFound(NotFound):
    """The project has no stored response of this id."""

    def __init__(self, response_id: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(f"Response with id '{response_id}' not found.", param=param, code=code)


class ModelNotFound(NotFound):
    """The project has no model of this name; the message lists those it has."""

    code = "model_not_found"

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(
            f"The model `{name}` does not exist or you do not have access to it. "
            f"This sandbox has: {', '.join(known)}."
        )


class ModelRetired(NotFound):
    """The model was switched off for good. The sandbox keeps its models: for practice."""

    code = "model_not_found"


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


class TooManyRequests(ApiError):
    """The client has to wait, or to pay, before it is answered again."""

    status = 429


class RateLimited(TooManyRequests):
    """More calls in a minute than the key may make."""

    type = "requests"
    code = "rate_limit_exceeded"


class QuotaExceeded(TooManyRequests):
    """No money is left. The sandbox is free: this is for practice."""

    type = "insufficient_quota"
    code = "insufficient_quota"


class ClientGone(ApiError):
    """The client hung up: nobody will read this answer."""

    status = 499


class ServerError(ApiError):
    """The sandbox failed. The server's own output has the details."""

    status = 500
    type = "server_error"


class EngineUnavailable(ServerError):
    """The process that runs the model cannot answer."""

    status = 503


class ErrorDetails(BaseModel):
    """What an answer says about an error."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorBody(BaseModel):
    """The answer to a request that failed."""

    error: ErrorDetails


# For the OpenAPI document: every address may answer with these.
ERRORS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorBody, "description": "Something about the request is wrong."},
    "5XX": {"model": ErrorBody, "description": "The sandbox failed."},
}


def error_response(error: ApiError) -> Response:
    """Return the answer for an error. Text that is not valid Unicode is written as "?"."""
    content = json.dumps(error.body(), ensure_ascii=False).encode("utf-8", "replace")
    return Response(content, error.status, error.headers, media_type="application/json")


def unexpected_error() -> ApiError:
    """Return what a client may know of an error that nobody foresaw."""
    return ServerError("The sandbox had an error while it worked on your request.")


def explain(errors: Sequence[Any], place: int = 0) -> BadRequest:
    """Describe the first of pydantic's errors in the hosted API's manner.

    ``place`` is how many parts of its location come before the parameter's name.
    """
    first = errors[0]
    param = _field_name(first["loc"][place:])
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


def _field_name(loc: Sequence[int | str]) -> str:
    """Return a place such as ("messages", 0, "role") as ``messages[0].role``."""
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")


def install_handlers(app: FastAPI) -> None:
    """Answer every error of the application in the hosted API's shape."""

    @app.exception_handler(ApiError)
    async def from_api(_: Request, error: ApiError) -> Response:
        return error_response(error)

    @app.exception_handler(InvalidCursor)
    async def from_cursor(_: Request, error: InvalidCursor) -> Response:
        message = f"Nothing in this list has the id '{error}', which 'after' names."
        return error_response(BadRequest(message, param="after"))

    @app.exception_handler(JobStateError)
    async def from_state(_: Request, error: JobStateError) -> Response:
        return error_response(BadRequest(f"{error}.", code="invalid_job_state"))

    @app.exception_handler(ClientDisconnect)
    async def from_disconnect(_: Request, __: ClientDisconnect) -> Response:
        return error_response(ClientGone("The client closed the connection."))

    @app.exception_handler(RequestValidationError)
    async def from_validation(_: Request, error: RequestValidationError) -> Response:
        unread = isinstance(error.body, ApiError)  # see body.py
        return error_response(error.body if unread else explain(error.errors(), place=1))

    @app.exception_handler(HTTPException)
    async def from_framework(request: Request, error: HTTPException) -> Response:
        return error_response(_translate(request, error))


def _translate(request: Request, error: HTTPException) -> ApiError:
    """Put the framework's own errors (unknown address, wrong method) into our words."""
    where = f"{request.method} {request.url.path}"
    if error.status_code == 404:
        return NotFound(f"Unknown request URL: {where}. See /docs for the list of addresses.")
    if error.status_code == 405:
        return MethodNotAllowed(f"Not allowed: {where}. See /docs for the methods it takes.")
    return BadRequest(str(error.detail))
