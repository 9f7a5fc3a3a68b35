"""Errors: one shape for all of them, the right status, and no secret in any."""

import inspect
import json
import socket
from urllib.parse import urlsplit

import httpx2
import pytest
from fastapi import FastAPI, HTTPException
from openai import AuthenticationError, NotFoundError, OpenAI
from starlette.responses import Response
from starlette.testclient import TestClient

from sandbox.api import errors
from sandbox.api.errors import ApiError, error_response
from tests.support.api import Api, Documented
from tests.support.server import PATIENCE

BODY_PATHS = [
    "/fine_tuning/jobs",
    "/batches",
    "/chat/completions",
    "/completions",
    "/embeddings",
    "/sandbox/faults",
]


def check_shape(answer: httpx2.Response) -> dict[str, str | None]:
    """Return the error of an answer after checking that it has the hosted API's shape."""
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["openai-version"] == "2020-10-01"
    assert answer.headers["openai-organization"] == "org-sandbox"
    assert int(answer.headers["openai-processing-ms"]) >= 0
    body = answer.json()
    assert list(body) == ["error"]
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["message"]
    return body["error"]


@pytest.fixture
def http(api: Api):
    """A plain HTTP client that sends the learner's key."""
    headers = {"authorization": f"Bearer {api.key}"}
    with httpx2.Client(
        base_url=api.url, headers=headers, timeout=PATIENCE, trust_env=False
    ) as made:
        yield made


def family() -> list[type[ApiError]]:
    """Every class of error in errors.py."""
    classes = [item for _, item in inspect.getmembers(errors, inspect.isclass)]
    return [item for item in classes if issubclass(item, ApiError)]


@pytest.mark.parametrize("kind", family(), ids=lambda kind: kind.__name__)
def test_every_error_has_its_answer(kind: type[ApiError]) -> None:
    error = kind("something")
    answer = error_response(error)
    assert isinstance(answer, Response)
    assert answer.status_code == kind.status and 400 <= kind.status < 600
    body = json.loads(answer.body)["error"]
    assert "something" in body["message"]
    usual = "server_error" if kind.status >= 500 else "invalid_request_error"
    assert body["type"] == (usual if kind.status != 429 else kind.type)


def test_half_a_character_in_a_message_is_no_second_error() -> None:
    body = error_response(ApiError("bad: \ud83d")).body
    assert json.loads(body)["error"]["message"] == "bad: ?"


def test_a_wrong_key_is_masked(api: Api) -> None:
    wrong = "sk-sandbox-" + "w" * 36 + "1234"
    with api.client(wrong) as client, pytest.raises(AuthenticationError) as caught:
        client.models.list()
    error = caught.value
    assert (error.status_code, error.code, error.type) == (
        401,
        "invalid_api_key",
        "invalid_request_error",
    )
    assert "Incorrect API key provided: sk-********1234" in error.message
    assert wrong not in str(error) and "www" not in str(error)


@pytest.mark.parametrize("header", ["", "Bearer", "Basic abc", "abc", "Bearer\tx"])
def test_without_a_key_nothing_is_answered(api: Api, header: str) -> None:
    headers = {"authorization": header} if header else {}
    answer = httpx2.get(f"{api.url}/models", headers=headers, timeout=PATIENCE, trust_env=False)
    assert answer.status_code == 401
    assert check_shape(answer)["code"] == "invalid_api_key"


@pytest.mark.parametrize("key", ["short", "sk-sandbox-" + "x" * 40, "x" * 5000])
def test_a_wrong_key_is_never_repeated(api: Api, key: str) -> None:
    headers = {"authorization": f"Bearer {key}"}
    answer = httpx2.post(
        f"{api.url}/files", headers=headers, content=b"x", timeout=PATIENCE, trust_env=False
    )
    assert answer.status_code == 401
    assert key not in answer.text


def test_every_route_under_v1_wants_a_key(api: Api) -> None:
    base = api.url.removesuffix("/v1")
    schema = httpx2.get(f"{base}/openapi.json", timeout=PATIENCE, trust_env=False).json()
    tried = 0
    for path, methods in schema["paths"].items():
        for method in methods:
            url = base + path.replace("{", "").replace("}", "")
            answer = httpx2.request(method, url, timeout=PATIENCE, trust_env=False)
            assert (answer.status_code == 401) == path.startswith("/v1"), (method, path)
            tried += path.startswith("/v1")
    assert tried >= 21


def test_health_and_docs_need_no_key(api: Api) -> None:
    base = api.url.removesuffix("/v1")
    assert httpx2.get(f"{base}/health", timeout=PATIENCE, trust_env=False).json()["status"] == "ok"
    document = httpx2.get(
        f"{base}/docs", follow_redirects=True, timeout=PATIENCE, trust_env=False
    ).json()
    assert "/v1/chat/completions" in document["paths"]


def test_the_document_describes_bodies_and_errors(api: Api) -> None:
    base = api.url.removesuffix("/v1")
    document = httpx2.get(f"{base}/openapi.json", timeout=PATIENCE, trust_env=False).json()
    schemas = document["components"]["schemas"]
    for path, name, fields in [
        ("/v1/fine_tuning/jobs", "JobRequest", {"model", "training_file"}),
        ("/v1/batches", "BatchRequest", {"input_file_id", "endpoint", "completion_window"}),
        ("/v1/chat/completions", "ChatRequest", {"model", "messages"}),
        ("/v1/embeddings", "EmbeddingRequest", {"model", "input"}),
    ]:
        create = document["paths"][path]["post"]
        assert create["requestBody"]["content"]["application/json"]["schema"] == {
            "$ref": f"#/components/schemas/{name}"
        }
        assert set(schemas[name]["required"]) == fields
        errors = "400 401 403 404 408 413 429 500 502 503 504 507"
        assert sorted(create["responses"]) == ["200", *errors.split()]
    assert schemas["ErrorResponse"]["required"] == ["error"]
    assert set(schemas["ErrorDetails"]["required"]) == {"message", "type", "param", "code"}
    assert sorted(document["paths"]["/health"]["get"]["responses"]) == "200 403 500 507".split()


def test_no_answer_of_a_test_goes_undocumented() -> None:
    """`running_api` fails at its end if there was one; this is how it would notice."""
    app = FastAPI()

    @app.get("/documented")
    def documented() -> list[str]:
        return []

    @app.get("/teapot")
    def teapot() -> list[str]:
        raise HTTPException(418)

    watched = Documented(app)
    with TestClient(watched) as http:
        assert [http.get(f"/{name}").status_code for name in ("documented", "teapot", "no")] == [
            200, 418, 404
        ]  # fmt: skip
    assert watched.undocumented == {("GET", "/teapot", 418, "application/json")}


def test_an_unknown_address(http: httpx2.Client) -> None:
    answer = http.get("/engines")
    assert answer.status_code == 404
    assert "Unknown request URL: GET /v1/engines" in check_shape(answer)["message"]


def test_the_sdk_understands_an_unknown_address(client: OpenAI) -> None:
    with pytest.raises(NotFoundError, match="Unknown request URL: POST /v1/moderations"):
        client.moderations.create(input="x")


def test_a_wrong_method(http: httpx2.Client) -> None:
    answer = http.put("/files")
    assert answer.status_code == 405
    assert check_shape(answer)["message"].startswith("Not allowed: PUT /v1/files")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "could not parse the JSON body"),
        (b"{", "could not parse the JSON body"),
        (b"[1]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"model": NaN}', "could not parse the JSON body"),
        (b"\xff\xfe", "could not parse the JSON body"),
        (b"[" * 100_000, "recursion limit exceeded"),
        (b'{"seed": ' + b"9" * 5000 + b"}", "number out of range"),
        # Halves of a pair: no database and no answer in UTF-8 could hold them.
        (b'{"model": "\\ud800"}', "hex escape"),
        (b'{"\\udfff": 1}', "hex escape"),
    ],
)
@pytest.mark.parametrize("path", BODY_PATHS)
def test_a_body_that_is_no_json_object(
    http: httpx2.Client, path: str, content: bytes, text: str
) -> None:
    answer = http.post(path, content=content)
    assert answer.status_code == 400
    assert text in check_shape(answer)["message"]


def test_a_huge_body_is_refused(http: httpx2.Client) -> None:
    answer = http.post("/chat/completions", content=b" " * (9 * 1024 * 1024))
    assert answer.status_code == 413
    assert "larger than" in check_shape(answer)["message"]


def test_a_body_announced_too_large_is_refused_before_it_comes(api: Api) -> None:
    parts = urlsplit(api.url)
    head = (
        f"POST /v1/files HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {api.key}\r\n"
        "content-type: multipart/form-data; boundary=b\r\ncontent-length: 999999999\r\n\r\n"
    )
    with socket.create_connection((parts.hostname, parts.port), timeout=PATIENCE) as raw:
        raw.sendall(head.encode())
        assert raw.recv(100).startswith(b"HTTP/1.1 413")


def test_answers_carry_a_request_id(client: OpenAI) -> None:
    first = client.files.list()
    assert first._request_id and first._request_id != client.files.list()._request_id
