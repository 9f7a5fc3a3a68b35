"""Batches: waited for, and their answers in the order of the questions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai import OpenAI
from openai.types import Batch

from helpers.batches import batch_answers, find_batch, wait_for_batch
from tests.support.provider import Provider

URL = "/v1/chat/completions"


def lines(model: str, *tokens: int) -> bytes:
    made = []
    for number, most in enumerate(tokens):
        body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
        body["max_completion_tokens"] = most
        line = {"custom_id": f"line-{number}", "method": "POST", "url": URL, "body": body}
        made.append(json.dumps(line))
    return "\n".join(made).encode()


def test_answers_come_in_the_order_of_the_questions(client: OpenAI, base_model: str) -> None:
    content = lines(base_model, 3, -1, 2)
    file = client.files.create(file=("b.jsonl", content), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint=URL, completion_window="24h")
    batch = wait_for_batch(client, batch.id, every=0.05)
    assert batch.status == "completed"
    order = ["line-2", "line-1", "line-0", "line-9"]
    answers = batch_answers(client, batch, order)
    assert [answer.custom_id for answer in answers] == order
    assert answers[0].problem is None and answers[0].text
    assert "max_completion_tokens" in (answers[1].problem or "") and answers[1].text == ""
    assert answers[3].problem == "It is in neither file."
    assert len(batch_answers(client, batch)) == 3


def test_a_batch_is_found_by_its_labels_unless_it_is_lost(client: OpenAI, base_model: str) -> None:
    file = client.files.create(file=("b.jsonl", lines(base_model, 3)), purpose="batch")
    request = {"input_file_id": file.id, "endpoint": URL, "completion_window": "24h"}
    labels = {"find": "me"}
    other = client.batches.create(**request)  # as of somebody else: without metadata
    first = client.batches.create(**request, metadata={**labels, "number": "1"})
    # Long enough that it still runs when it is cancelled.
    long = client.files.create(file=("l.jsonl", lines(base_model, *[200] * 200)), purpose="batch")
    lost = client.batches.create(
        **request | {"input_file_id": long.id}, metadata={**labels, "number": "2"}
    )
    client.batches.cancel(lost.id)
    found = find_batch(client, labels)
    assert found is not None and found.id == first.id != other.id
    assert find_batch(client, {"find": "nothing"}) is None
    assert wait_for_batch(client, first.id, every=0.05, patience=0.0).id == first.id


@pytest.mark.parametrize(
    ("choice", "text"),
    [
        ({"message": {"content": "one\u2028line"}}, "one\u2028line"),
        ({"message": {"content": None}}, ""),
        ({"text": "a\rb"}, "a\rb"),
    ],
)
def test_a_text_may_hold_other_line_ends(choice: dict[str, Any], text: str) -> None:
    line = {"custom_id": "x", "response": {"status_code": 200, "body": {"choices": [choice]}}}
    served = json.dumps(line, ensure_ascii=False) + "\n"
    batch = Batch.construct(output_file_id="file-1", error_file_id=None)
    with (
        Provider(lambda *_: (200, {}, served)) as provider,
        OpenAI(base_url=provider.url, api_key="k") as client,
    ):
        assert [answer.text for answer in batch_answers(client, batch)] == [text]
