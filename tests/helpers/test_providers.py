"""What differs from provider to provider, tried on a small server that behaves like one."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI
from openai.resources.fine_tuning.jobs import Jobs
from openai.types.fine_tuning import FineTuningJob

from helpers.deployment import NotDeployed, model_to_call, stages_to_call
from helpers.jobs import upload
from helpers.providers import OTHER, PROVIDERS, find_provider
from tests.support.provider import Answer, Provider

CHECKPOINTS = {"object": "list", "data": [{"id": "new"}, {"id": "old"}], "has_more": False}


def job(**fields: Any) -> FineTuningJob:
    known = {"id": "ftjob-1", "model": "base", "status": "succeeded", "fine_tuned_model": "ft:x"}
    return FineTuningJob.construct(**(known | fields))


def deploy(states: list[str], **options: Any) -> tuple[Provider, str]:
    """Deploy on a provider where the model goes through these states."""

    def script(number: int, body: dict[str, Any]) -> Answer:
        model = {"name": "hero-XyZ", "status": states[number - 1], "status_reason": "no room"}
        return 200, {}, model if number else CHECKPOINTS

    with Provider(script) as provider, OpenAI(base_url=provider.url, api_key="x") as client:
        nebius = PROVIDERS["nebius"]
        return provider, model_to_call(nebius, client, job(), "hero", every=0.01, **options)


def test_the_extra_call_deploys_the_newest_checkpoint() -> None:
    provider, name = deploy(["validating", "validating", "active"])
    assert name == "hero-XyZ"
    assert provider.calls[1] == {"source": "ftjob-1:new", "base_model": "base", "name": "hero"}
    assert provider.lines[1:] == ["POST /v0/models", *["GET /v0/models/hero-XyZ"] * 2]
    with pytest.raises(NotDeployed, match="no room"):
        deploy(["error"])
    with pytest.raises(NotDeployed, match="still validating"):
        deploy(["validating"] * 50, patience=0)


def test_checkpoints_are_called_where_none_has_to_be_deployed() -> None:
    saved = [(74, "ft:x"), (49, "ft:x:ckpt-step-49")]
    rows = [
        {"id": name, "step_number": step, "fine_tuned_model_checkpoint": name}
        for step, name in saved
    ]
    page = {"object": "list", "data": rows, "has_more": False}
    active = {"name": "hero-XyZ", "status": "active"}
    answers = {"nebius": [page, page, active], "sandbox": [page], "openai": [{**page, "data": []}]}
    found = {}
    for name, script in answers.items():
        with (
            Provider(lambda number, _, script=script: (200, {}, script[number])) as provider,
            OpenAI(base_url=provider.url, api_key="x") as client,
        ):
            found[name] = stages_to_call(PROVIDERS[name], client, job())
    assert found == {
        "sandbox": {49: "ft:x:ckpt-step-49", 74: "ft:x"},
        "nebius": {74: "hero-XyZ"},
        "openai": {1: "ft:x"},
    }


@pytest.fixture
def client() -> Iterator[OpenAI]:
    """A client of a provider that tells no file's status."""
    file = {"id": "file-1", "filename": "train.jsonl", "status": None}
    with (
        Provider(lambda *_: (200, {}, file)) as provider,
        OpenAI(base_url=provider.url, api_key="x") as made,
    ):
        yield made


def test_a_file_without_a_status_is_ready(client: OpenAI, tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text("{}\n")
    assert upload(client, path, max_wait=1).status is None


def test_elsewhere_the_name_of_the_job_is_enough(client: OpenAI) -> None:
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
    for name, provider in PROVIDERS.items():
        key = "sk-sandbox-1" if name == "sandbox" else "key"
        assert find_provider(key, provider.base_url) is provider
        assert provider.base_model and provider.source and provider.checked
