"""What a request wants, as far as a fault must know it."""

from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json
from starlette.requests import Request
from starlette.types import Message, Receive, Scope

from sandbox.api.body import read_bytes

TEXT_PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/responses")
MODEL_PATHS = (*TEXT_PATHS, "/v1/embeddings")
JOBS_PATH = "/v1/fine_tuning/jobs"
# Never touched: the faults' own address, and the list with which clients look for a server.
SPARED = ("/v1/sandbox/", "/v1/models")
AIMS = {
    "any": "any call but the list of models",
    "model": "a call to a model (chat, completions, embeddings)",
    "text": "a chat or a completion",
    "stream": "a chat or a completion with stream=True",
    "job": "the creation of a fine-tuning job",
}


@dataclass(frozen=True)
class Call:
    """A request: which aims of faults it offers, the model it names, and its body, unread."""

    aims: frozenset[str]
    model: str
    receive: Receive


async def look_at(scope: Scope, receive: Receive, limit: int) -> Call:
    """Read a request as far as needed; ``receive`` of the result gives it again. Raises TooLarge.

    Only small JSON bodies are read: an uploaded file passes by untouched.
    """
    path, posted = scope["path"], scope["method"] == "POST"
    body: dict[str, Any] = {}
    if posted and path in (*MODEL_PATHS, JOBS_PATH):
        content = await read_bytes(Request(scope, receive), limit)
        body, receive = _object_in(content), _again(content, receive)
    offered = {
        "any": path.startswith("/v1/") and not path.startswith(SPARED),
        "model": posted and path in MODEL_PATHS,
        "text": posted and path in TEXT_PATHS,
        "stream": posted and path in TEXT_PATHS and body.get("stream") is True,
        "job": posted and path == JOBS_PATH,
    }
    model = body.get("model")
    aims = frozenset(aim for aim, fits in offered.items() if fits)
    return Call(aims, model if isinstance(model, str) else "", receive)


def _object_in(content: bytes) -> dict[str, Any]:
    """Return the JSON object in a body; an unreadable one is the route's to refuse."""
    try:
        data = from_json(content)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _again(content: bytes, receive: Receive) -> Receive:
    """Return a ``receive`` that gives a body that was read already, then what comes after it."""
    unread: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]

    async def replay() -> Message:
        return unread.pop() if unread else await receive()

    return replay
