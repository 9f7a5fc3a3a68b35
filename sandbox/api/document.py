"""/openapi.json: FastAPI's document, in which each route names every error that it can answer."""

from typing import Any

from fastapi import FastAPI

from sandbox.api.errors import ErrorResponse

MEANINGS = {
    400: "Something about the request is wrong; `param` says what.",
    401: "The request carries no key, or one that this sandbox has not made.",
    403: "The server does not answer under this host name, or this is not the client's to do.",
    404: "There is no object or model of this name in the key's project.",
    408: "The body came too slowly.",
    409: "Something else is using it.",
    413: "The body is larger than this address takes.",
    429: "More calls in a minute than the key may make.",
    500: "The sandbox failed.",
    502: "Only as a fault for practice.",
    503: "The process that runs the models cannot answer: not yet, or not any more.",
    504: "Only as a fault for practice.",
    507: "The state folder has no room, or cannot be written.",
}
ANYWHERE = (403, 500, 507)
WITH_KEY = (400, 401, 429, 502, 503, 504)
WITH_BODY = (408, 413)
# POSTs that name no model or file, and deletions that something else may stand against.
NAMES_NOTHING = ("/v1/files", "/v1/sandbox/faults")
MAY_BE_IN_USE = ("/v1/files/{file_id}", "/v1/models/{name}")
# In the decorator of a route: its answer may be a stream.
STREAM = {200: {"content": {"text/event-stream": {}}}}
# FastAPI puts the shape of an error here, and then adds no answer of its own (422).
PLACE = "default"
ERRORS: dict[int | str, dict[str, Any]] = {PLACE: {"model": ErrorResponse}}


def errors_of(method: str, path: str) -> list[int]:
    """Return the statuses of the errors that a route can answer, in order."""
    found = {*ANYWHERE}
    if path.startswith("/v1"):
        found |= {*WITH_KEY}
        if "{" in path or (method == "POST" and path not in NAMES_NOTHING):
            found.add(404)
    if method == "POST":
        found |= {*WITH_BODY}
    if method == "DELETE" and path in MAY_BE_IN_USE:
        found.add(409)
    return sorted(found)


def document_errors(app: FastAPI) -> None:
    """Have the application's document name the errors of each route."""
    make = app.openapi

    def with_errors() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = make()
            for path, operations in document["paths"].items():
                for method, operation in operations.items():
                    answers = operation["responses"]
                    shape = answers.pop(PLACE)
                    for status in errors_of(method.upper(), path):
                        answers[str(status)] = {"$ref": f"#/components/responses/Error{status}"}
            document["components"]["responses"] = {
                f"Error{status}": shape | {"description": meaning}
                for status, meaning in MEANINGS.items()
            }
        return app.openapi_schema

    app.openapi = with_errors
