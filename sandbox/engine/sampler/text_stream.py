"""The text of one choice as it grows: whole characters only, cut before a stop string."""

from __future__ import annotations

from collections import deque

from sandbox.engine.sampler.messages import TokenInfo
from sandbox.engine.text.encoder import Detokenizer, Encoder


class TextStream:
    """Collects tokens and hands text on, except what may still turn out to be a stop string."""

    def __init__(self, encoder: Encoder, stop: tuple[str, ...]) -> None:
        self._detokenizer = Detokenizer(encoder)
        self._stop = tuple(filter(None, stop))
        self._held = ""
        self._released = 0  # characters handed on so far
        self._infos: deque[tuple[int, int, TokenInfo]] = deque()  # start, end, token
        self._ready = ""
        self.stopped = False

    def push(self, token: int, info: TokenInfo | None) -> bool:
        """Add a token. True when it completes a stop string; nothing may follow then."""
        start = self._released + len(self._held)
        self._held += self._detokenizer.push(token)
        if info is not None:
            self._infos.append((start, self._released + len(self._held), info))
        found = [at for stop in self._stop if (at := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            self._release(min(found))
            self._held = ""
        else:
            self._release(len(self._held) - self._possible_stop())
        return self.stopped

    def take(self, last: bool = False) -> tuple[str, list[TokenInfo]]:
        """What can be handed on now; ``last`` gives up waiting for a stop string."""
        if last and not self.stopped:
            self._release(len(self._held))
        text, self._ready = self._ready, ""
        infos = []
        while self._infos and (self._infos[0][1] <= self._released or (last and self._keeps())):
            infos.append(self._infos.popleft()[2])
        return text, infos

    def _keeps(self) -> bool:
        """Whether the oldest waiting token stands before the stop string."""
        return self._infos[0][0] < self._released or not self.stopped

    def _release(self, length: int) -> None:
        self._ready += self._held[:length]
        self._released += length
        self._held = self._held[length:]

    def _possible_stop(self) -> int:
        """Length of the longest end of the held text that a stop string could begin with."""
        longest = 0
        for stop in self._stop:
            for size in range(min(len(stop) - 1, len(self._held)), longest, -1):
                if self._held.endswith(stop[:size]):
                    longest = size
                    break
        return longest
