"""Step 11: many requests in one file, and their answers back in the order of the questions."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from openai import OpenAI
from openai.types import Batch

# Limits of the hosted Batch API, which the sandbox keeps too.
MOST_LINES, MOST_BYTES = 50_000, 200 * 1024 * 1024
ENDED = ("completed", "failed", "expired", "cancelled")


@dataclass(frozen=True)
class Answer:
    """What came back for one line: the answer's body, or what went wrong with it."""

    custom_id: str
    body: dict[str, Any] | None
    problem: str | None

    @property
    def text(self) -> str:
        """What the model wrote in a chat or a completion; empty if the line failed."""
        if self.body is None:
            return ""
        choice = self.body["choices"][0]
        return str(choice["message"]["content"] if "message" in choice else choice["text"])


def wait_for_batch(client: OpenAI, batch_id: str, *, every: float = 0.5) -> Batch:
    """Ask for the batch until it has ended, well or badly."""
    batch = client.batches.retrieve(batch_id)
    while batch.status not in ENDED:
        time.sleep(every)
        batch = client.batches.retrieve(batch_id)
    return batch


def batch_answers(client: OpenAI, batch: Batch, order: Sequence[str] = ()) -> list[Answer]:
    """All answers of an ended batch, from its output file and its error file.

    A hosted provider may mix up the lines: with `order`, the answers come in the order of these
    custom_ids, and one that is missing counts as failed.
    """
    found = {}
    for file_id in filter(None, (batch.output_file_id, batch.error_file_id)):
        for line in client.files.content(file_id).text.splitlines():
            answer = _answer(json.loads(line))
            found[answer.custom_id] = answer
    if not order:
        return list(found.values())
    return [found.get(name, Answer(name, None, "It is in neither file.")) for name in order]


def _answer(line: dict[str, Any]) -> Answer:
    response, error = line.get("response") or {}, line.get("error")
    body = response.get("body") or {}
    if response.get("status_code") == 200:
        return Answer(line["custom_id"], body, None)
    error = error or body.get("error") or {}
    return Answer(line["custom_id"], None, error.get("message") or "The server gives no reason.")


def portions(lines: Iterable[str], most: int = MOST_LINES) -> Iterator[list[str]]:
    """Cut the lines of a batch file into files that are allowed."""
    portion: list[str] = []
    size = 0
    for line in lines:
        length = len(line.encode()) + 1
        if portion and (len(portion) == most or size + length > MOST_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(line)
        size += length
    if portion:
        yield portion


def files_needed(lines: int, bytes_a_line: float) -> int:
    """How many batch files so many lines need, by both limits."""
    return max(math.ceil(lines / MOST_LINES), math.ceil(lines * bytes_a_line / MOST_BYTES))
