"""Batches on a real sandbox."""

from __future__ import annotations

import json

from openai import OpenAI

from helpers.batches import MOST_BYTES, batch_answers, files_needed, portions, wait_for_batch
from tests.support.live_sandbox import live_client, live_model, live_sandbox

__all__ = ["live_client", "live_model", "live_sandbox"]
URL = "/v1/chat/completions"


def lines(model: str, *tokens: int) -> list[str]:
    made = []
    for number, most in enumerate(tokens):
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
        body["max_completion_tokens"] = most
        line = {"custom_id": f"line-{number}", "method": "POST", "url": URL, "body": body}
        made.append(json.dumps(line))
    return made


def test_answers_come_in_the_order_of_the_questions(live_client: OpenAI, live_model: str) -> None:
    content = "\n".join(lines(live_model, 3, -1, 2)).encode()
    file = live_client.files.create(file=("b.jsonl", content), purpose="batch")
    batch = live_client.batches.create(input_file_id=file.id, endpoint=URL, completion_window="24h")
    batch = wait_for_batch(live_client, batch.id, every=0.05)
    assert batch.status == "completed"
    order = ["line-2", "line-1", "line-0", "line-9"]
    answers = batch_answers(live_client, batch, order)
    assert [answer.custom_id for answer in answers] == order
    assert answers[0].problem is None and answers[0].text
    assert "max_completion_tokens" in (answers[1].problem or "") and answers[1].text == ""
    assert answers[3].problem == "It is in neither file."
    assert len(batch_answers(live_client, batch)) == 3


def test_portions_keep_both_limits() -> None:
    assert [len(one) for one in portions(["x"] * 7, most=3)] == [3, 3, 1]
    assert list(portions([])) == []
    big = "x" * (MOST_BYTES // 2)
    assert [len(one) for one in portions([big, big, "y"])] == [1, 2]


def test_files_needed() -> None:
    assert files_needed(294, 400) == 1
    assert files_needed(294_000, 400) == 6
    assert files_needed(100, MOST_BYTES / 10) == 10
