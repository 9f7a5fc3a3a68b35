"""What differs from provider to provider, tried on a small server that behaves like one."""

from __future__ import annotations

import inspect
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from openai import OpenAI
from openai.resources.fine_tuning.jobs import Jobs
from openai.types.fine_tuning import FineTuningJob

from helpers.deployment import NotDeployed, model_to_call, provider_frame
from helpers.jobs import upload
from helpers.providers import OTHER, PROVIDERS, find_provider

FILE = {"id": "file-1", "object": "file", "bytes": 3, "created_at": 1, "purpose": "fine-tune"}
CHECKPOINTS = [{"id": "ftckpt_new"}, {"id": "ftckpt_old"}]


class Elsewhere:
    """A provider that tells no file status and wants its models deployed."""

    def __init__(self, states: list[str]) -> None:
        self.states = states
        self.calls: list[tuple[str, str, dict[str, Any]]] = []

    def answer(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.calls.append((method, path, body))
        if path == "/v1/files":
            return FILE | {"filename": "train.jsonl", "status": None}
        if path.endswith("/checkpoints"):
            return {"object": "list", "data": CHECKPOINTS, "has_more": False}
        if path.startswith("/v0/models"):
            state = self.states.pop(0)
            return {"name": "base-LoRA:hero-XyZ", "status": state, "status_reason": "no room"}
        raise AssertionError(path)


@pytest.fixture
def elsewhere() -> Iterator[tuple[Elsewhere, OpenAI]]:
    provider = Elsewhere(["validating", "validating", "active"])

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            data = self.rfile.read(int(self.headers.get("content-length") or 0))
            json_body = self.headers.get("content-type", "") == "application/json" and data
            body = json.loads(data) if json_body else {}
            answer = json.dumps(provider.answer(self.command, self.path, body)).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = _serve

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}/v1/"
    with OpenAI(base_url=url, api_key="x", max_retries=0) as client:
        yield provider, client
    server.shutdown()
    thread.join()
    server.server_close()


def job(**fields: Any) -> FineTuningJob:
    known = {"id": "ftjob-1", "model": "base", "status": "succeeded", "fine_tuned_model": "ft:x"}
    return FineTuningJob.construct(**(known | fields))


def test_a_file_without_a_status_is_ready(elsewhere, tmp_path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text("{}\n")
    assert upload(elsewhere[1], path, max_wait=1).status is None


def test_the_extra_call_deploys_the_newest_checkpoint(elsewhere) -> None:
    provider, client = elsewhere
    name = model_to_call(PROVIDERS["nebius"], client, job(), "hero", every=0.01)
    assert name == "base-LoRA:hero-XyZ"
    asked = [call for call in provider.calls if call[1].startswith("/v0/")]
    request = {"source": "ftjob-1:ftckpt_new", "base_model": "base", "name": "hero"}
    assert asked[0] == ("POST", "/v0/models", request)
    assert [call[:2] for call in asked[1:]] == [("GET", "/v0/models/base-LoRA:hero-XyZ")] * 2


@pytest.mark.parametrize(
    ("states", "patience", "said"),
    [(["error"], 10.0, "no room"), (["validating"] * 50, 0.0, "still validating")],
)
def test_a_deployment_may_fail(elsewhere, states: list[str], patience: float, said: str) -> None:
    provider, client = elsewhere
    provider.states = states
    with pytest.raises(NotDeployed, match=said):
        model_to_call(PROVIDERS["nebius"], client, job(), every=0.01, patience=patience)


def test_elsewhere_the_name_of_the_job_is_enough(elsewhere) -> None:
    client = elsewhere[1]
    for name in ("sandbox", "openai"):
        assert model_to_call(PROVIDERS[name], client, job()) == "ft:x"
    with pytest.raises(NotDeployed, match="deployment of ft:x|deployment"):
        model_to_call(PROVIDERS["azure"], client, job())
    with pytest.raises(NotDeployed, match="The job is running"):
        model_to_call(PROVIDERS["openai"], client, job(status="running"))
    with pytest.raises(NotDeployed, match="names no model"):
        model_to_call(PROVIDERS["openai"], client, job(fine_tuned_model=None))


def test_the_same_request_in_each_providers_words() -> None:
    requests = {n: p.job_request("t", "v", n_epochs=2, suffix="s") for n, p in PROVIDERS.items()}
    numbers = {n: r["method"]["supervised"]["hyperparameters"] for n, r in requests.items()}
    assert numbers["openai"] == {"n_epochs": 2, "learning_rate_multiplier": 1.0}
    assert numbers["nebius"] == {"n_epochs": 2, "learning_rate": pytest.approx(1e-4)}
    assert requests["azure"]["extra_body"] == {"trainingType": "globalStandard"}
    assert "extra_body" not in requests["openai"]
    assert "validation_file" not in PROVIDERS["openai"].job_request("t")
    # What is added to calls are arguments that the SDK has.
    create = inspect.signature(Jobs.create).parameters
    for request in requests.values():
        assert set(request) <= set(create)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (None, "openai"),
        ("https://eu.api.openai.com/v1", "openai"),
        ("https://api.tokenfactory.nebius.com/v1/", "nebius"),
        ("https://api.tokenfactory.eu-west1.nebius.com/v1/", "nebius"),
        ("https://mine.openai.azure.com/openai/v1/", "azure"),
        ("https://mine.services.ai.azure.com/api/projects/p/openai/v1/", "azure"),
        ("http://127.0.0.1:8000/v1", "other"),
        ("https://api.openai.com.example.org/v1", "other"),
    ],
)
def test_the_address_tells_the_provider(url: str | None, name: str) -> None:
    assert find_provider("key", url).name == name
    assert find_provider("sk-sandbox-1", url) is find_provider(None, url) is PROVIDERS["sandbox"]


def test_reasoning_is_switched_off_only_where_there_is_some() -> None:
    none = {"reasoning_effort": "none"}
    openai = PROVIDERS["openai"]
    assert [openai.chat_options(m) for m in ("gpt-5.6-luna", "gpt-6-luna")] == [none, none]
    for model in ("ft:gpt-4.1-mini-2025-04-14:me::x", "gpt-5-nano"):
        assert openai.chat_options(model) == {}
    assert PROVIDERS["nebius"].chat_options("gpt-6-luna") == OTHER.chat_options("gpt-6-luna") == {}


def test_the_table_is_whole() -> None:
    frame = provider_frame()
    assert list(frame.index) == [provider.title for provider in PROVIDERS.values()]
    assert frame.loc["Nebius Token Factory", "tells a file's status"] == "no"
    for name, provider in PROVIDERS.items():
        key = "sk-sandbox-1" if name == "sandbox" else "key"
        assert find_provider(key, provider.base_url) is provider
        assert provider.base_model and provider.source and provider.checked
