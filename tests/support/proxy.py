"""A proxy in front of a real sandbox: it can play a paid provider, and lose answers."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from tests.support.provider import Handler, Served

HOP = {"host", "content-length", "connection", "accept-encoding", "transfer-encoding"}


@dataclass
class Proxy(Served):
    """Passes calls on to `target`, in a `with` block.

    With `key`, the callers' own key is replaced, so that they may bring any. `names` replaces a
    model's name by one that the target has. The answers to POSTs whose path is in `loses` reach
    nobody, and the next `drops` calls of any kind reach nobody either.
    """

    target: str
    key: str | None = None
    names: dict[str, str] = field(default_factory=dict)
    loses: set[str] = field(default_factory=set)
    drops: int = 0
    calls: list[str] = field(default_factory=list)

    def answer(self, request: Handler, sent: bytes) -> tuple[int, dict[str, str], bytes] | None:
        """What the target answers; None if the answer is to get lost."""
        self.calls.append(f"{request.command} {request.path}")
        if self.drops:
            self.drops -= 1
            return None
        headers = {k: v for k, v in request.headers.items() if k.lower() not in HOP}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        body = self._renamed(sent) if request.command == "POST" else None
        call = urllib.request.Request(
            self.target + request.path, body, headers, method=request.command
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(call, timeout=300) as answer:
                status, kind, data = answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                status, kind, data = error.code, error.headers, error.read()
        if request.command == "POST" and request.path in self.loses:
            return None
        return status, {"content-type": kind.get("content-type", "application/json")}, data

    def _renamed(self, body: bytes) -> bytes:
        try:
            data: Any = json.loads(body)
            data["model"] = self.names[data["model"]]
        except (ValueError, KeyError, TypeError):
            return body
        return json.dumps(data).encode()
