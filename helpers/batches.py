"""Step 13: many requests in one file, and their answers back in the order of the questions."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from openai import OpenAI
from openai.types import Batch

from helpers.json_lines import parse_jsonl

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


def wait_for_batch(client: OpenAI, batch_id: str, *, every: float = 0.5) -> Batch:
    """Ask for the batch until it has ended, well or badly."""
    batch = client.batches.retrieve(batch_id)
    while batch.status not in ENDED:
        time.sleep(every)
        batch = client.batches.retrieve(batch_id)
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
