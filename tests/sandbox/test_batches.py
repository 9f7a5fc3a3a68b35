"""Batches: their whole life through the SDK, and what is good or wrong in their files."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import BadRequestError, ConflictError, NotFoundError, OpenAI
from openai.types import Batch
from openai.types.chat import ChatCompletion

from sandbox.api import batch_file, batch_runner
from sandbox.api.batch_file import check_file, read_lines
from sandbox.engine.sampler.messages import Delta, Generate, Usage
from sandbox.store.database import Store
from sandbox.store.errors import StorageError
from tests.support.api import running_api
from tests.support.scripted import ScriptedSampler
from tests.support.server import PATIENCE
from tests.support.tiny_embedder import NAME as EMBEDDER

ENDED = ("completed", "failed", "expired", "cancelled")
CHAT, TEXT, VECTORS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
RESPONSES = "/v1/responses"


def batch_lines(url: str, *bodies: dict[str, Any]) -> bytes:
    """Return a batch file; the custom_ids are line-1, line-2, …"""
    lines = [
        {"custom_id": f"line-{number}", "method": "POST", "url": url, "body": body}
        for number, body in enumerate(bodies, 1)
    ]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def submit(client: OpenAI, content: bytes, endpoint: str, **fields: object) -> Batch:
    file = client.files.create(file=("batch.jsonl", content), purpose="batch")
    return client.batches.create(
        input_file_id=file.id, endpoint=endpoint, completion_window="24h", **fields
    )


def wait(client: OpenAI, batch: Batch, *states: str, seconds: float = PATIENCE) -> Batch:
    """Return the batch once it is in one of the states; without any, once it has ended."""
    deadline = time.monotonic() + seconds
    while batch.status not in (states or ENDED):
        assert time.monotonic() < deadline and batch.status not in ENDED, batch
        time.sleep(0.05)
        batch = client.batches.retrieve(batch.id)
    return batch


def lines_of(client: OpenAI, file_id: str | None) -> list[dict[str, Any]]:
    assert file_id is not None
    return [json.loads(line) for line in client.files.content(file_id).text.splitlines()]


def chat_body(model: str, text: str = "Describe a hero.", **fields: object) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"model": model, "messages": messages, "max_completion_tokens": 4, **fields}


def test_a_batch_of_responses(client: OpenAI, base_model: str) -> None:
    body = {"model": base_model, "input": "Describe a hero."}
    batch = wait(client, submit(client, batch_lines(RESPONSES, body, body), RESPONSES))
    assert (batch.status, batch.request_counts.completed) == ("completed", 2)
    assert (batch.usage.input_tokens, batch.usage.output_tokens) == (6, 26)
    answer = lines_of(client, batch.output_file_id)[0]["response"]["body"]
    assert client.responses.retrieve(answer["id"]).to_dict() == answer


def test_the_whole_life_of_a_batch(client: OpenAI, base_model: str) -> None:
    content = batch_lines(CHAT, *(chat_body(base_model, f"Hero {i}", seed=i) for i in range(5)))
    batch = submit(client, content, CHAT, metadata={"course": "superheroes"})
    assert batch.status == "validating" and batch.object == "batch"
    assert batch.id.startswith("batch_") and batch.expires_at == batch.created_at + 86_400
    batch = wait(client, batch)
    assert (batch.status, batch.errors, batch.error_file_id) == ("completed", None, None)
    assert batch.request_counts.to_dict() == {"completed": 5, "failed": 0, "total": 5}
    assert (batch.endpoint, batch.model, batch.completion_window) == (CHAT, base_model, "24h")
    assert batch.metadata == {"course": "superheroes"}
    assert batch.created_at <= batch.in_progress_at <= batch.finalizing_at <= batch.completed_at
    assert Batch.model_validate(batch.to_dict(), strict=True)

    made = client.files.retrieve(batch.output_file_id)
    assert (made.purpose, made.filename) == ("batch_output", f"{batch.id}_output.jsonl")
    assert made.id in [file.id for file in client.files.list(purpose="batch_output")]
    lines = lines_of(client, batch.output_file_id)
    assert [line["custom_id"] for line in lines] == [f"line-{i}" for i in range(1, 6)]
    tokens = [0, 0]
    for number, line in enumerate(lines):
        assert set(line) == {"id", "custom_id", "response", "error"} and line["error"] is None
        assert line["id"].startswith("batch_req_")
        assert set(line["response"]) == {"status_code", "request_id", "body"}
        assert line["response"]["status_code"] == 200
        answer = ChatCompletion.model_validate(line["response"]["body"])
        # The same seed brings the same text as a call of its own.
        alone = client.chat.completions.create(
            **chat_body(base_model, f"Hero {number}", seed=number)
        )
        assert answer.choices == alone.choices
        tokens[0] += answer.usage.prompt_tokens
        tokens[1] += answer.usage.completion_tokens
    assert [batch.usage.input_tokens, batch.usage.output_tokens] == tokens
    assert batch.usage.total_tokens == sum(tokens)


def test_completions_and_embeddings(client: OpenAI, base_model: str) -> None:
    text = {"model": base_model, "prompt": ["One", "Two"], "n": 2, "max_tokens": 3, "seed": 1}
    vector = {"model": EMBEDDER, "input": ["flight", "rain"], "dimensions": 8}
    vector["encoding_format"] = "float"
    for url, body, make in (
        (TEXT, text, client.completions.create),
        (VECTORS, vector, client.embeddings.create),
    ):
        batch = wait(client, submit(client, batch_lines(url, body), url))
        (line,) = lines_of(client, batch.output_file_id)
        answer, alone = line["response"]["body"], make(**body).to_dict()
        for changing in ("id", "created"):
            assert (changing in answer) == (changing in alone)
            answer.pop(changing, None), alone.pop(changing, None)
        assert answer == alone
        assert batch.usage.input_tokens == alone["usage"]["prompt_tokens"]


def test_bad_lines_go_to_the_error_file(client: OpenAI, base_model: str) -> None:
    bodies = [
        chat_body(base_model),
        chat_body(base_model, temperature=7),
        chat_body(base_model, stream=True),
        chat_body(base_model, "long " * 600),
        {"model": base_model},
        chat_body(base_model, seed=None, n=None),  # null means: not given
    ]
    batch = wait(client, submit(client, batch_lines(CHAT, *bodies), CHAT))
    assert batch.status == "completed"
    assert batch.request_counts.to_dict() == {"completed": 2, "failed": 4, "total": 6}
    good = lines_of(client, batch.output_file_id)
    assert [line["custom_id"] for line in good] == ["line-1", "line-6"]
    bad = lines_of(client, batch.error_file_id)
    assert [line["custom_id"] for line in bad] == ["line-2", "line-3", "line-4", "line-5"]
    assert {line["response"]["status_code"] for line in bad} == {400}
    errors = [line["response"]["body"]["error"] for line in bad]
    assert [error["param"] for error in errors] == ["temperature", "stream", "messages", "messages"]
    assert errors[2]["code"] == "context_length_exceeded"
    assert client.files.retrieve(batch.error_file_id).filename == f"{batch.id}_error.jsonl"


def test_a_bad_file_fails_the_batch_and_names_its_lines(client: OpenAI, base_model: str) -> None:
    good = batch_lines(CHAT, chat_body(base_model), chat_body(base_model))
    content = good + b"not json\n" + good.splitlines()[0] + b"\n"
    batch = wait(client, submit(client, content, CHAT))
    assert batch.status == "failed" and batch.failed_at and batch.output_file_id is None
    assert [(e.line, e.code, e.param) for e in batch.errors.data] == [
        (3, "invalid_json_line", None),
        (4, "duplicate_custom_id", "custom_id"),
    ]
    assert batch.request_counts.total == 0
    batch = wait(client, submit(client, good, TEXT))
    assert [e.code for e in batch.errors.data] == ["invalid_url"] * 2
    batch = wait(client, submit(client, batch_lines(CHAT, chat_body("gpt-6-luna")), CHAT))
    assert [(e.code, e.line) for e in batch.errors.data] == [("model_not_found", 1)]


def test_cancelling_keeps_what_is_answered(tmp_path: Path) -> None:
    with running_api(tmp_path, SlowSampler()) as api, api.client() as client:
        batch = submit(client, batch_lines(CHAT, *([chat_body("tiny")] * 2000)), CHAT)
        while batch.status == "validating" or batch.request_counts.completed < 2:
            time.sleep(0.02)
            batch = client.batches.retrieve(batch.id)
            assert batch.status in ("validating", "in_progress")
        with pytest.raises(ConflictError, match=f"in use by {batch.id}"):
            client.files.delete(batch.input_file_id)
        asked = client.batches.cancel(batch.id)
        assert asked.status in ("cancelling", "cancelled") and asked.cancelling_at
        batch = wait(client, asked)
        assert batch.status == "cancelled" and batch.cancelled_at
        counts = batch.request_counts
        assert 2 <= counts.completed < counts.total == 2000
        lines = lines_of(client, batch.output_file_id)
        assert len(lines) == counts.completed
        with pytest.raises(BadRequestError, match="Cannot cancel a batch with status 'cancelled'"):
            client.batches.cancel(batch.id)
        assert client.files.delete(batch.input_file_id).deleted


def test_lists_in_pages_and_projects_apart(
    client: OpenAI, other_client: OpenAI, base_model: str
) -> None:
    content = batch_lines(CHAT, chat_body(base_model, max_completion_tokens=1))
    made = [submit(client, content, CHAT).id for _ in range(3)][::-1]
    page = client.batches.list(limit=2)
    assert [batch.id for batch in page.data] == made[:2] and page.has_more
    walked = [batch.id for batch in client.batches.list(limit=1)]
    assert walked[:3] == made
    with pytest.raises(BadRequestError, match="has the id 'batch_nothing'"):
        client.batches.list(after="batch_nothing")
    assert made[0] not in [batch.id for batch in other_client.batches.list()]
    for call in (other_client.batches.retrieve, other_client.batches.cancel):
        with pytest.raises(NotFoundError, match="No batch found with id"):
            call(made[0])


def test_the_input_file_must_be_one_for_batches(client: OpenAI, other_client: OpenAI) -> None:
    wrong = client.files.create(file=("b.jsonl", b"{}"), purpose="user_data")
    with pytest.raises(BadRequestError, match="purpose 'user_data'") as caught:
        client.batches.create(input_file_id=wrong.id, endpoint=CHAT, completion_window="24h")
    assert caught.value.param == "input_file_id"
    theirs = other_client.files.create(file=("b.jsonl", b"{}"), purpose="batch")
    with pytest.raises(NotFoundError) as missing:
        client.batches.create(input_file_id=theirs.id, endpoint=CHAT, completion_window="24h")
    assert missing.value.param == "input_file_id"


def test_output_files_may_expire(client: OpenAI, base_model: str) -> None:
    content = batch_lines(CHAT, chat_body(base_model, max_completion_tokens=1))
    life = {"anchor": "created_at", "seconds": 3600}
    batch = wait(client, submit(client, content, CHAT, output_expires_after=life))
    file = client.files.retrieve(batch.output_file_id)
    # Two looks at the clock: a second may have begun between them.
    assert file.expires_at - file.created_at == pytest.approx(3600, abs=60)


class SlowSampler(ScriptedSampler):
    """Takes a moment for each answer, so that there is time to stop a batch."""

    def __init__(self, seconds: float = 0.02) -> None:
        self.seconds = seconds

    async def generate(self, request: Generate) -> AsyncIterator[Delta | Usage]:
        await asyncio.sleep(self.seconds)
        async for piece in super().generate(request):
            yield piece


def test_batches_end_when_their_time_is_over_or_were_cancelled_meanwhile(tmp_path: Path) -> None:
    with running_api(tmp_path, SlowSampler(0.3)) as api, api.client() as client:
        content = batch_lines(CHAT, *([chat_body("tiny")] * 500))
        late, unwanted = (submit(client, content, CHAT) for _ in range(2))
        while client.batches.retrieve(late.id).request_counts.completed < 1:
            time.sleep(0.02)
        wait(client, unwanted, "in_progress")
    with Store(tmp_path) as store, store.write() as db:
        db.execute("UPDATE batches SET expires_at = 1 WHERE id = ?", (late.id,))
        db.execute("UPDATE batches SET status = 'cancelling' WHERE id = ?", (unwanted.id,))
    with running_api(tmp_path, SlowSampler()) as api, api.client() as client:
        assert wait(client, unwanted).status == "cancelled"
        batch = wait(client, late)
        assert batch.status == "expired" and batch.expired_at
        assert batch.request_counts.completed + batch.request_counts.failed == 500
        assert len(lines_of(client, batch.output_file_id)) == batch.request_counts.completed
        for line in lines_of(client, batch.error_file_id):
            assert line["response"] is None
            assert line["error"]["code"] == "batch_expired"


@pytest.mark.slow
def test_the_same_seed_gives_a_server_the_same_batch(tmp_path: Path) -> None:
    """Also when it is stopped in between: lines that are alike take their seeds in order."""
    texts: list[list[str]] = []
    for name in ("one", "two"):
        options = {"state": tmp_path / name, "sampler": SlowSampler(), "seed": 7}
        with running_api(**options) as api, api.client() as client:
            batch = submit(client, batch_lines(CHAT, *([chat_body("tiny")] * 60)), CHAT)
            while client.batches.retrieve(batch.id).request_counts.completed < 5:
                time.sleep(0.02)
            if name == "one":
                wait(client, batch)
        with running_api(**options) as api, api.client() as client:
            batch = wait(client, client.batches.retrieve(batch.id))
            lines = lines_of(client, batch.output_file_id)
        answers = [line["response"]["body"]["choices"][0] for line in lines]
        texts.append([answer["message"]["content"] for answer in answers])
    assert texts[0] == texts[1] and len(set(texts[0])) > 5


URL = "/v1/completions"


def line(number: int = 1, **changes: Any) -> dict[str, Any]:
    body = {"model": "m", "prompt": "x"}
    fields = {"custom_id": f"id-{number}", "method": "POST", "url": URL, "body": body}
    return {name: value for name, value in (fields | changes).items() if value is not None}


def check(path: Path, *lines: object, url: str = URL) -> batch_file.Summary:
    texts = [one if isinstance(one, str) else json.dumps(one) for one in lines]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return check_file(path, url, lambda name: name == "m")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "batch.jsonl"


def test_a_good_file(path: Path) -> None:
    summary = check(path, line(1), line(2), "", line(3))
    assert (summary.total, summary.model, summary.errors) == (3, "m", [])
    assert [one.custom_id for one in read_lines(path)] == ["id-1", "id-2", "id-3"]
    assert [one.number for one in read_lines(path)] == [1, 2, 4]  # as an editor counts


@pytest.mark.parametrize(
    ("bad", "code", "param"),
    [
        ("{not json", "invalid_json_line", None),
        ("[1, 2]", "invalid_json_line", None),
        ('{"custom_id": NaN}', "invalid_json_line", None),
        (line(custom_id=None), "missing_required_parameter", "custom_id"),
        (line(custom_id=""), "missing_required_parameter", "custom_id"),
        (line(custom_id=7), "invalid_type", "custom_id"),
        (line(method=None), "missing_required_parameter", "method"),
        (line(method="GET"), "invalid_method", "method"),
        (line(url="/v1/chat/completions"), "invalid_url", "url"),
        (line(body=None), "missing_required_parameter", "body"),
        (line(body=[1]), "invalid_type", "body"),
        (line(body={"prompt": "x"}), "missing_required_parameter", "body.model"),
        (line(body={"model": 7}), "invalid_type", "body.model"),
        (line(body={"model": "other"}), "model_mismatch", "body.model"),
        (line(custom_id="id-9"), "duplicate_custom_id", "custom_id"),
    ],
)
def test_what_is_wrong_with_a_line(path: Path, bad: object, code: str, param: str | None) -> None:
    summary = check(path, line(8), line(9), bad, line(10))
    (error,) = summary.errors
    assert (error["code"], error["param"], error["line"]) == (code, param, 3)
    assert error["message"].endswith(".")


def test_every_bad_line_is_named(path: Path) -> None:
    summary = check(path, "x", line(1), line(1), line(2, url="/v1/x"))
    assert [(e["line"], e["code"]) for e in summary.errors] == [
        (1, "invalid_json_line"),
        (3, "duplicate_custom_id"),
        (4, "invalid_url"),
    ]


@pytest.mark.parametrize(
    ("lines", "code", "number"),
    [
        ([line(1, body={"model": "gpt"})], "model_not_found", 1),
        (["", " "], "empty_file", None),
        ([line(i) for i in range(4)], "too_many_tasks", None),
        ([line(1) | {"custom_id": "x" * 1000}], "file_too_large", None),
    ],
)
def test_what_is_wrong_with_a_whole_file(
    path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[Any], code: str, number: int | None
) -> None:
    monkeypatch.setattr(batch_file, "MOST_LINES", 3)
    monkeypatch.setattr(batch_file, "MOST_BYTES", 1000)
    assert check(path, *(line(i) for i in range(3))).errors == []
    (error,) = check(path, *lines).errors
    assert (error["code"], error["line"]) == (code, number)


def test_the_list_of_errors_has_an_end(path: Path) -> None:
    assert len(check(path, *["x"] * 500).errors) == batch_file.MOST_ERRORS


def test_too_many_texts_to_embed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_file, "MOST_INPUTS", 5)
    url = "/v1/embeddings"
    texts = line(1, url=url, body={"model": "m", "input": ["a"] * 4})
    one = line(2, url=url, body={"model": "m", "input": [1, 2, 3]})
    assert check(path, texts, one, url=url).errors == []
    (error,) = check(path, texts, one, line(3, url=url), url=url).errors
    assert error["code"] == "too_many_tasks"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("id-1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)
odd_lines = st.dictionaries(
    st.sampled_from(["custom_id", "method", "url", "body"]), json_values, max_size=4
).map(lambda changes: json.dumps({**line(2), **changes}))


@given(lines=st.lists(odd_lines | st.binary(max_size=30).map(repr) | st.text(), max_size=6))
def test_a_file_without_errors_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    """Whatever the file holds, it is either refused with reasons or all of it can be worked on."""
    path = tmp_path_factory.getbasetemp() / "odd.jsonl"
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    summary = check_file(path, URL, lambda name: name == "m")
    count = len(path.read_bytes().split(b"\n"))
    for error in summary.errors:
        assert set(error) == {"code", "line", "message", "param"}
        assert error["line"] is None or 1 <= error["line"] <= count
    if not summary.errors:
        read = list(read_lines(path))
        assert len(read) == summary.total > 0
        assert len({one.custom_id for one in read}) == len(read)


@given(content=st.binary(max_size=200))
def test_any_bytes_are_answered(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.jsonl"
    path.write_bytes(content)
    assert check_file(path, URL, lambda _: True).errors


def test_a_batch_waits_for_room_on_a_full_disk(
    client: OpenAI, base_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each line is answered once, although the results could not be stored at first."""
    real, failures = batch_runner.batches.add_result, iter([True] * 3)

    def sometimes_full(store: Store, batch_id: str, result: Any) -> Any:
        if next(failures, False):
            raise StorageError("no room")
        return real(store, batch_id, result)

    monkeypatch.setattr(batch_runner, "RETRY_SECONDS", 0.05)
    monkeypatch.setattr(batch_runner.batches, "add_result", sometimes_full)
    bodies = [{"model": base_model, "prompt": f"Hero {n}", "max_tokens": 2} for n in range(5)]
    batch = wait(client, submit(client, batch_lines(TEXT, *bodies), TEXT))
    assert (batch.status, batch.request_counts.completed) == ("completed", 5)
    assert len(lines_of(client, batch.output_file_id)) == 5
