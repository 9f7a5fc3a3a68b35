"""Many requests in one file, and their answers in the order of the questions."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from openai import OpenAI
from openai.types import Batch

from helpers.display import in_notebook
from helpers.json_lines import parse_jsonl
from helpers.live import progress_bar

LOST = ("failed", "expired", "cancelling", "cancelled")
ENDED = ("completed", "failed", "expired", "cancelled")


@dataclass(frozen=True)
class BatchLine:
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
        return (choice["message"]["content"] if "message" in choice else choice["text"]) or ""


def find_batch(client: OpenAI, labels: dict[str, str]) -> Batch | None:
    """The newest batch with these labels that has answers or is getting them; else None."""
    for batch in client.batches.list(limit=100):
        if batch.status not in LOST and labels.items() <= (batch.metadata or {}).items():
            return batch
    return None


def wait_for_batch(
    client: OpenAI, batch_id: str, *, every: float = 0.5, patience: float = math.inf
) -> Batch:
    """Ask for the batch until it has ended, well or badly, or `patience` seconds have passed."""
    deadline = time.monotonic() + patience

    def look(after: float = 0.0) -> Batch:
        time.sleep(after)
        return client.batches.retrieve(batch_id)

    batch = look()
    while batch.status == "validating" and time.monotonic() + every < deadline:
        batch = look(every)
    counts = batch.request_counts
    with progress_bar(counts.total if counts else 0, 0, "request", quiet=not in_notebook()) as bar:
        while batch.status not in ENDED and time.monotonic() + every < deadline:
            batch = look(every)
            if counts := batch.request_counts:
                bar.update(counts.completed + counts.failed - bar.n)
    return batch


def batch_answers(client: OpenAI, batch: Batch, order: Sequence[str] = ()) -> list[BatchLine]:
    """All answers of an ended batch, from its output file and its error file.

    A hosted provider may mix up the lines: with `order`, the answers come in the order of these
    custom_ids, and one that is missing counts as failed.
    """
    found = {}
    for file_id in filter(None, (batch.output_file_id, batch.error_file_id)):
        for line in parse_jsonl(client.files.content(file_id).read(), file_id):
            response = line.get("response") or {}
            body = response.get("body") or {}
            error = line.get("error") or body.get("error") or {}
            good = response.get("status_code") == 200
            problem = None if good else error.get("message") or "The server gives no reason."
            found[line["custom_id"]] = BatchLine(line["custom_id"], body if good else None, problem)
    return [
        found.get(name, BatchLine(name, None, "It is in neither file.")) for name in order or found
    ]
