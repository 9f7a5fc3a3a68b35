"""A stand-in for a hosted provider on a real socket: answers chat calls as a script tells it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

# A dictionary is sent as JSON, a text as it stands.
Answer = tuple[int, dict[str, str], dict[str, Any] | str]


def completion(text: str = "A hero.", tokens_in: int = 40, tokens_out: int = 100) -> dict[str, Any]:
    """The body of a good chat answer."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": text},
            }
        ],
        "usage": {
            "prompt_tokens": tokens_in,
            "completion_tokens": tokens_out,
            "total_tokens": tokens_in + tokens_out,
        },
    }


def error(code: str | None, message: str = "no") -> dict[str, Any]:
    """The body of an error in OpenAI's shape."""
    return {"error": {"message": message, "type": "x", "param": None, "code": code}}


class Handler(BaseHTTPRequestHandler):
    """Sends what its server's `answer` gives; closes the connection if that is nothing."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        sent = self.rfile.read(int(self.headers.get("content-length") or 0))
        answer = self.server.served.answer(self, sent)
        if answer is None:
            self.close_connection = True
            return
        status, headers, data = answer
        self.send_response(status)
        for name, value in {"content-length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        with suppress(ConnectionError):  # the caller has hung up
            self.end_headers()
            self.wfile.write(data)

    do_POST = do_DELETE = do_GET

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    served: Served


class Served:
    """Answers calls on a free port of this machine, in a `with` block."""

    def answer(self, request: Handler, sent: bytes) -> tuple[int, dict[str, str], bytes] | None:
        """The status, headers and body of the answer to a request with this body."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._server = _Server(("127.0.0.1", 0), Handler)
        self._server.served = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"


@dataclass
class Provider(Served):
    """Serves `script(number, body)` for the calls it gets; number counts from 0.

    The body of a GET or an upload is empty.
    """

    script: Callable[[int, dict[str, Any]], Answer]
    calls: list[dict[str, Any]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)  # such as "GET /v1/files"
    busiest: int = 0
    _open: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, request: Handler, sent: bytes) -> tuple[int, dict[str, str], bytes]:
        """What the script says, as JSON or as it stands."""
        is_json = request.headers.get("content-type", "").startswith("application/json")
        body = json.loads(sent) if sent and is_json else {}
        with self._lock:
            number = len(self.calls)
            self.calls.append(body)
            self.lines.append(f"{request.command} {request.path}")
            self._open += 1
            self.busiest = max(self.busiest, self._open)
        status, headers, answer = self.script(number, body)
        with self._lock:
            self._open -= 1
        data = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
        return status, {"content-type": "application/json", **headers}, data

    @property
    def url(self) -> str:
        return f"{super().url}/v1"
