"""A proxy in front of a real sandbox: it can play a paid provider, and lose answers."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

HOP = {"host", "content-length", "connection", "accept-encoding", "transfer-encoding"}


@dataclass
class Proxy:
    """Passes calls on to `target`, in a `with` block.

    With `key`, the callers' own key is replaced, so that they may bring any. `names` replaces a
    model's name by one that the target has. The answers to POSTs whose path is in `loses` reach
    nobody.
    """

    target: str
    key: str | None = None
    names: dict[str, str] = field(default_factory=dict)
    loses: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        outer = self
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self._pass_on(self.rfile.read(int(self.headers.get("content-length") or 0)))

            def do_GET(self) -> None:
                self._pass_on(None)

            do_DELETE = do_GET

            def _pass_on(self, body: bytes | None) -> None:
                outer.calls.append(f"{self.command} {self.path}")
                headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP}
                if outer.key:
                    headers["Authorization"] = f"Bearer {outer.key}"
                request = urllib.request.Request(
                    outer.target + self.path, outer._renamed(body), headers, method=self.command
                )
                try:
                    with opener.open(request, timeout=60) as answer:
                        status, kind, data = answer.status, answer.headers, answer.read()
                except urllib.error.HTTPError as error:
                    with error:
                        status, kind, data = error.code, error.headers, error.read()
                if self.command == "POST" and self.path in outer.loses:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("content-type", kind.get("content-type", "application/json"))
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def _renamed(self, body: bytes | None) -> bytes | None:
        try:
            data: Any = json.loads(body or b"")
            data["model"] = self.names[data["model"]]
        except (ValueError, KeyError, TypeError):
            return body
        return json.dumps(data).encode()

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"
