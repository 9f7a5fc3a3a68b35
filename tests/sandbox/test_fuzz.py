"""Whatever comes in, the answer has the right shape and is never the server's fault."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.api import Api

pytestmark = pytest.mark.slow

FEW = settings(max_examples=15)  # several requests each


@pytest.fixture(scope="module")
def http(api: Api) -> Iterator[httpx2.Client]:
    headers = {"authorization": f"Bearer {api.key}"}
    with httpx2.Client(base_url=api.url, headers=headers, timeout=180, trust_env=False) as client:
        yield client


def check(answer: httpx2.Response) -> None:
    """Every answer is JSON (or a stream); every refusal has a message for its reader."""
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        error = answer.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["type"] == "invalid_request_error" and error["message"]
        assert "Traceback" not in error["message"]


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["auto", "user", "system", "text", "\ud83d", 10**30, -1, 0, 1e308])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def bodies(required: dict[str, Any], names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Nearly good bodies: some of the fields are right, the others are anything."""
    odd = st.dictionaries(st.sampled_from(names) | st.text(max_size=10), values, max_size=3)
    kept = st.sets(st.sampled_from(sorted(required)))
    return st.builds(lambda k, extra: {n: required[n] for n in k} | extra, kept, odd)


CHAT = [
    "messages", "temperature", "top_p", "n", "stop", "seed", "logprobs", "top_logprobs",
    "logit_bias", "stream", "stream_options", "metadata", "user", "max_tokens", "tools",
    "presence_penalty", "response_format", "store",
]  # fmt: skip
TEXT = [*CHAT, "prompt", "echo", "best_of", "suffix"]
RESPONSE = [
    "input", "instructions", "previous_response_id", "max_output_tokens", "temperature", "top_p",
    "top_logprobs", "include", "metadata", "store", "stream", "text", "tools", "tool_choice",
    "reasoning", "truncation", "user", "max_tool_calls", "background",
]  # fmt: skip
JOB = ["method", "hyperparameters", "suffix", "seed", "metadata", "integrations", "validation_file"]
BATCH = ["input_file_id", "endpoint", "completion_window", "metadata", "output_expires_after"]
QUESTION = {"role": "user", "content": "Hi"}
# For each address a good body, and the names that odd values are given to.
REQUESTS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "/chat/completions": (
        {"model": "tiny", "messages": [QUESTION], "max_completion_tokens": 1},
        CHAT,
    ),
    "/completions": ({"model": "tiny", "prompt": "Hi", "max_tokens": 1}, TEXT),
    "/responses": ({"model": "tiny", "input": "Hi", "max_output_tokens": 16}, RESPONSE),
    "/responses/input_tokens": ({"model": "tiny", "input": "Hi"}, RESPONSE),
    "/embeddings": ({"model": "tiny", "input": "Hi"}, ["input", "dimensions", "encoding_format"]),
    # No file is there, so that nothing is made.
    "/fine_tuning/jobs": ({"model": "tiny", "training_file": "file-nothing"}, JOB),
    "/batches": (
        {
            "input_file_id": "file-nothing",
            "endpoint": "/v1/completions",
            "completion_window": "24h",
        },
        BATCH,
    ),
}


@given(content=st.binary(max_size=300), purpose=st.sampled_from(["fine-tune", "batch", "x"]))
def test_any_bytes_uploaded(http: httpx2.Client, content: bytes, purpose: str) -> None:
    check(http.post("/files", data={"purpose": purpose}, files={"file": ("a.jsonl", content)}))


@given(
    content=st.binary(max_size=300),
    kind=st.sampled_from(
        [
            "multipart/form-data; boundary=b",
            "multipart/form-data; boundary=" + "x" * 80,
            "multipart/form-data; charset=nothing; boundary=b",
            "multipart/form-data",
            "application/x-www-form-urlencoded",
            "application/json",
            "text/plain",
            "",
        ]
    ),
    framed=st.booleans(),
)
def test_any_body_as_an_upload(
    http: httpx2.Client, content: bytes, kind: str, framed: bool
) -> None:
    body = (
        b"--b\r\nContent-Disposition: " + content + b"\r\n\r\nx\r\n--b--\r\n" if framed else content
    )
    check(http.post("/files", content=body, headers={"content-type": kind}))


@given(content=st.binary(max_size=200), path=st.sampled_from([*REQUESTS]))
def test_any_bytes_as_json(http: httpx2.Client, content: bytes, path: str) -> None:
    check(http.post(path, content=content, headers={"content-type": "application/json"}))


@pytest.mark.parametrize("path", REQUESTS)
@given(data=st.data())
def test_any_body(http: httpx2.Client, path: str, data: st.DataObject) -> None:
    answer = http.post(path, content=json.dumps(data.draw(bodies(*REQUESTS[path]))))
    check(answer)
    if "file-nothing" in REQUESTS[path][0].values():
        assert answer.status_code in (400, 404)


@given(data=st.data())
def test_any_message(http: httpx2.Client, data: st.DataObject) -> None:
    message = data.draw(bodies(QUESTION, ["role", "content", "name"]))
    body = REQUESTS["/chat/completions"][0] | {"messages": [message]}
    check(http.post("/chat/completions", content=json.dumps(body)))


@given(data=st.data())
def test_any_item_of_a_response(http: httpx2.Client, data: st.DataObject) -> None:
    required, names = REQUESTS["/responses"]
    item = data.draw(bodies(QUESTION, ["role", "content", "type", "id"]))
    body = data.draw(bodies(required | {"input": [item]}, names))
    check(answer := http.post("/responses", content=json.dumps(body)))
    # What was stored can be shown again.
    if answer.status_code == 200 and answer.headers["content-type"] == "application/json":
        stored = f"/responses/{answer.json()['id']}"
        assert http.get(stored).status_code == (404 if body.get("store") is False else 200)
        check(http.get(f"{stored}/input_items"))


@pytest.mark.parametrize("number", [10**399, -1e308])
@pytest.mark.parametrize("path", REQUESTS)
def test_any_number_in_any_field(http: httpx2.Client, path: str, number: float) -> None:
    required, names = REQUESTS[path]
    for name in names:
        check(http.post(path, content=json.dumps(required | {name: number})))
        check(http.post(path, content=json.dumps(required | {name: [number]})))


@FEW
@given(lines=st.lists(values, max_size=14))
def test_any_training_file_fails_its_job_or_not(http: httpx2.Client, lines: list[Any]) -> None:
    records = [{"messages": line} if i % 2 else {"prompt": line} for i, line in enumerate(lines)]
    content = "\n".join(json.dumps(record) for record in records).encode()
    upload = http.post(
        "/files", data={"purpose": "fine-tune"}, files={"file": ("lines.jsonl", content)}
    )
    check(upload)
    if upload.status_code == 200:
        body = {"model": "tiny", "training_file": upload.json()["id"]}
        job = http.post("/fine_tuning/jobs", json=body).json()
        while job["status"] == "validating_files":
            job = http.get(f"/fine_tuning/jobs/{job['id']}").json()
        assert job["status"] == "failed"
        assert job["error"]["code"] in (
            "invalid_training_file",
            "invalid_file_format",
            "invalid_n_examples",
        )


@FEW
@given(data=st.data())
def test_any_lines_of_a_batch_get_their_answers(http: httpx2.Client, data: st.DataObject) -> None:
    """Good lines and odd ones side by side: each of them ends in one of the two files."""
    required = REQUESTS["/completions"][0]
    odd = st.lists(bodies(required, [*CHAT, "prompt", "echo"]), min_size=1, max_size=4)
    lines = [
        {"custom_id": str(i), "method": "POST", "url": "/v1/completions", "body": required | body}
        for i, body in enumerate(data.draw(odd))
    ]
    content = "\n".join(json.dumps(line) for line in lines).encode()
    file = http.post(
        "/files", data={"purpose": "batch"}, files={"file": ("lines.jsonl", content)}
    ).json()
    order = {"input_file_id": file["id"], "endpoint": "/v1/completions"}
    batch = http.post("/batches", json=order | {"completion_window": "24h"}).json()
    while batch["status"] in ("validating", "in_progress", "finalizing"):
        batch = http.get(f"/batches/{batch['id']}").json()
    if batch["status"] == "failed":
        assert batch["errors"]["data"][0]["line"] >= 1
        return
    assert batch["status"] == "completed"
    answered: list[str] = []
    for file_id in filter(None, (batch["output_file_id"], batch["error_file_id"])):
        for line in http.get(f"/files/{file_id}/content").text.splitlines():
            answer = json.loads(line)
            assert answer["response"]["status_code"] < 500, answer
            answered.append(answer["custom_id"])
    assert sorted(answered) == sorted(line["custom_id"] for line in lines)


@FEW
@given(name=st.text(min_size=1, max_size=40), query=st.dictionaries(st.text(), st.text()))
def test_any_address(http: httpx2.Client, name: str, query: dict[str, str]) -> None:
    for path in ("files", "fine_tuning/jobs", "models", "batches", "chat/completions"):
        check(http.get(f"{path}/{quote(name, safe='')}", params=query))
        check(http.delete(f"{path}/{quote(name, safe='')}"))
        check(http.get(path, params=query))
