"""A stand-in for a hosted provider on a real socket: answers chat calls as a script tells it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
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


@dataclass
class Provider:
    """Serves `script(number, body)` for the calls it gets; number counts from 0.

    The body of a GET or an upload is empty.
    """

    script: Callable[[int, dict[str, Any]], Answer]
    calls: list[dict[str, Any]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)  # such as "GET /v1/files"
    busiest: int = 0
    _open: int = 0

    def __enter__(self) -> Self:
        lock, outer = threading.Lock(), self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                sent = self.rfile.read(int(self.headers["content-length"]))
                is_json = self.headers.get("content-type", "").startswith("application/json")
                self._answer(json.loads(sent) if is_json else {})

            def do_GET(self) -> None:
                self._answer({})

            def _answer(self, body: dict[str, Any]) -> None:
                with lock:
                    number = len(outer.calls)
                    outer.calls.append(body)
                    outer.lines.append(f"{self.command} {self.path}")
                    outer._open += 1
                    outer.busiest = max(outer.busiest, outer._open)
                status, headers, answer = outer.script(number, body)
                with lock:
                    outer._open -= 1
                data = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
                self.send_response(status)
                described = {"content-type": "application/json", "content-length": str(len(data))}
                for name, value in {**described, **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"
