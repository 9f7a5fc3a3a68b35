"""Faults on demand, seen through the SDK: each answers as the hosted API does, and ends."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from sandbox.api.faults.kinds import KINDS
from sandbox.config import Settings
from tests.support.api import Api, running
from tests.support.server import PATIENCE, chat_lines, wait_for

pytestmark = pytest.mark.slow

FAULTS = "/sandbox/faults"


@pytest.fixture
def file_id(client: OpenAI) -> str:
    return client.files.create(file=("a.jsonl", chat_lines()), purpose="fine-tune").id


@pytest.fixture
def ask(client: OpenAI, base_model: str) -> Callable[..., Any]:
    """A short chat. ``via`` is the client to ask; a fault goes into the header."""

    def call(fault: str | None = None, via: OpenAI = client, **fields: Any) -> Any:
        headers = {"X-Sandbox-Fault": fault} if fault else None
        question = [{"role": "user", "content": "Tell me about a hero."}]
        request = {"model": base_model, "messages": question, "max_completion_tokens": 6, "seed": 1}
        return via.chat.completions.create(**request | fields, extra_headers=headers)

    return call


@pytest.fixture
def create_job(client: OpenAI, base_model: str, file_id: str) -> Callable[..., FineTuningJob]:
    """A job of one epoch of two steps."""

    def call(fault: str | None = None, via: OpenAI = client) -> FineTuningJob:
        return via.fine_tuning.jobs.create(
            model=base_model,
            training_file=file_id,
            seed=1,
            method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1}}},
            metadata={"file": file_id},
            extra_headers={"X-Sandbox-Fault": fault} if fault else None,
        )

    return call


@pytest.fixture(autouse=True)
def no_fault_is_left(client: OpenAI) -> Iterator[None]:
    yield
    client.delete(FAULTS, cast_to=object)


def put(client: OpenAI, fault: str, times: int = 1, **details: Any) -> dict[str, Any]:
    body = {"fault": fault, "times": times, "details": details}
    return client.post(FAULTS, body=body, cast_to=object)


# For each fault that is an answer: class, status, code, type, and how its message begins.
ANSWERS = {
    "rate_limit": (
        openai.RateLimitError, 429, "rate_limit_exceeded", "requests",
        "Rate limit reached for tiny in organization org-sandbox on requests per min "
        "(RPM): Limit 3, Used 3, Requested 1. Please try again in 1s.",
    ),
    "insufficient_quota": (
        openai.RateLimitError, 429, "insufficient_quota", "insufficient_quota",
        "You exceeded your current quota, please check your plan and billing details.",
    ),
    "server_error": (
        openai.InternalServerError, 500, None, "server_error",
        "The server had an error while processing your request.",
    ),
    "server_error;status=503": (
        openai.InternalServerError, 503, None, "server_error",
        "The engine is currently overloaded",
    ),
    "training_not_available": (
        openai.PermissionDeniedError, 403, "training_not_available", "invalid_request_error",
        "OpenAI is winding down the fine-tuning platform",
    ),
    "model_retired": (
        openai.NotFoundError, 404, "model_not_found", "invalid_request_error",
        "The model `tiny` has been deprecated, learn more here: https://platform.openai",
    ),
    "moderation": (
        openai.BadRequestError, 400, "invalid_prompt", "invalid_request_error",
        "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
    ),
}  # fmt: skip
# The others happen to the traffic or to the job; each has a test of its own below.
EVENTS = {"timeout", "slow_stream", "broken_stream", "job_fails_after_N_steps"}


def test_every_fault_is_tested() -> None:
    assert set(KINDS) == EVENTS | {name.split(";")[0] for name in ANSWERS}


@pytest.mark.parametrize("fault", ANSWERS)
def test_answers_as_the_hosted_api(ask, create_job, fault: str) -> None:
    kind, status, code, type_, begins = ANSWERS[fault]
    only_jobs = KINDS[fault.split(";")[0]].aims == ("job",)
    with pytest.raises(kind) as caught:
        (create_job if only_jobs else ask)(fault)
    error = caught.value
    assert type(error) is kind
    assert (error.status_code, error.code, error.type, error.param) == (status, code, type_, None)
    assert error.body["message"].startswith(begins)
    assert str(error).startswith(f"Error code: {status} - {begins}")
    assert error.request_id.startswith("req_")
    assert set(error.body) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("fault", ["insufficient_quota", "model_retired", "server_error"])
def test_the_creation_of_a_job_can_be_refused(create_job, client: OpenAI, fault: str) -> None:
    before = len(client.fine_tuning.jobs.list().data)
    with pytest.raises(ANSWERS[fault][0]):
        create_job(fault)
    assert len(client.fine_tuning.jobs.list().data) == before


def test_the_headers_of_a_rate_limit(ask) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        ask("rate_limit;retry_after=20")
    headers = caught.value.response.headers
    assert headers["retry-after"] == "20"
    assert headers["x-ratelimit-limit-requests"] == "3"
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert headers["x-ratelimit-reset-requests"] == "20s"
    assert headers["x-ratelimit-limit-tokens"] and headers["x-ratelimit-reset-tokens"]
    with pytest.raises(openai.RateLimitError) as caught:
        ask("insufficient_quota")
    assert "retry-after" not in caught.value.response.headers  # waiting does not help


def test_off_unless_asked_for(client: OpenAI, ask) -> None:
    assert client.get(FAULTS, cast_to=object)["data"] == []
    assert ask().choices[0].finish_reason == "length"


def test_a_set_fault_counts_down_and_ends(client: OpenAI, ask) -> None:
    shown = put(client, "server_error", times=2, status=502)["data"]
    assert shown == [
        {
            "object": "sandbox.fault",
            "name": "server_error",
            "times_left": 2,
            "details": {"status": 502},
        }
    ]
    for left in (1, 0):
        with pytest.raises(openai.InternalServerError) as caught:
            ask()
        assert caught.value.status_code == 502
        assert sum(each["times_left"] for each in client.get(FAULTS, cast_to=object)["data"]) == (
            left
        )
    assert ask().choices


def test_a_set_fault_waits_for_a_call_that_fits(client: OpenAI, ask, create_job) -> None:
    put(client, "training_not_available")
    assert ask().choices and client.models.list().data and client.files.list()
    with pytest.raises(openai.PermissionDeniedError):
        create_job()


def test_a_later_fault_replaces_its_like_and_all_can_be_cleared(client: OpenAI, ask) -> None:
    put(client, "rate_limit", times=5, retry_after=7)
    put(client, "rate_limit", times=3, retry_after=8)
    assert len(put(client, "model_retired")["data"]) == 2
    assert client.delete(FAULTS, cast_to=object)["cleared"] == 2
    assert ask().choices
    assert client.delete(FAULTS, cast_to=object)["cleared"] == 0


def test_other_projects_do_not_notice(client: OpenAI, other_client: OpenAI, ask) -> None:
    put(client, "server_error")
    assert other_client.get(FAULTS, cast_to=object)["data"] == []
    assert ask(via=other_client).choices
    other_client.delete(FAULTS, cast_to=object)
    with pytest.raises(openai.InternalServerError):
        ask()


def test_without_a_good_key_there_are_no_faults(api: Api, ask) -> None:
    with api.client("sk-sandbox-wrong") as stranger:
        with pytest.raises(openai.AuthenticationError):
            put(stranger, "server_error")
        with pytest.raises(openai.AuthenticationError):
            ask("rate_limit", via=stranger)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("nonsense", "There is no fault 'nonsense'. There are: " + ", ".join(KINDS) + "."),
        (";x=1", "There is no fault ''"),
        (
            "rate_limit;retry_after=soon",
            "'retry_after' of a fault: Input should be a valid int",
        ),
        ("rate_limit;retry_after=0", "greater than or equal to 1"),
        ("rate_limit;retry_after=1.5", "valid integer"),
        ("rate_limit;retry_after", "'retry_after' has no '='"),
        ("rate_limit;=5", "has no detail ''"),
        ("rate_limit;times=2", "has no detail 'times'"),
        ("server_error;status=501", "500, 502, 503 or 504"),
        ("timeout;minutes=1", "has no detail 'minutes' (it has: seconds)"),
        ("timeout;seconds=nan", "Invalid 'seconds' of a fault"),
        ("model_retired;none=1", "has no detail 'none' (it has: none)"),
        ("model_retired;x=1", "has no detail 'x' (it has: none)"),
        ("moderation;lines=all", "Invalid 'lines' of a fault"),
        ("slow_stream", "cannot happen here: it needs a chat or a completion with stream=True."),
        ("training_not_available", "it needs the creation of a fine-tuning job."),
        ("job_fails_after_N_steps", "After how many steps?"),
        ("job_fails_after_0_steps", "greater than or equal to 1"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_clearly(ask, fault: str, says: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        ask(fault)
    assert says in caught.value.body["message"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "Missing required parameter: 'fault'"),
        ({"fault": "nonsense"}, "There is no fault 'nonsense'"),
        ({"fault": "rate_limit", "times": 0}, "Invalid 'times'"),
        ({"fault": "rate_limit", "times": True}, "Invalid 'times'"),
        ({"fault": "rate_limit", "details": {"retry_after": True}}, "Invalid 'details"),
        ({"fault": "rate_limit", "sometimes": 1}, "Unrecognized request argument"),
    ],
)
def test_a_bad_setting_is_refused(client: OpenAI, body: dict[str, Any], says: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.post(FAULTS, body=body, cast_to=object)
    assert says in caught.value.body["message"]
    assert client.get(FAULTS, cast_to=object)["data"] == []


def test_the_sdk_waits_as_long_as_retry_after_says(api: Api, client: OpenAI, ask) -> None:
    put(client, "rate_limit", times=1, retry_after=1)
    with api.client(max_retries=2) as patient:
        began = time.monotonic()
        answer = ask(via=patient)
    assert answer.choices
    assert 1.0 <= time.monotonic() - began


def test_a_timeout_is_an_answer_that_comes_too_late(api: Api, ask) -> None:
    with api.client(max_retries=0) as hasty, pytest.raises(openai.APITimeoutError):
        ask("timeout;seconds=2", via=hasty.with_options(timeout=0.5))
    began = time.monotonic()
    assert ask("timeout;seconds=0.5").choices  # who waits is answered
    assert time.monotonic() - began >= 0.5


def test_a_retry_after_a_timeout_creates_the_job_twice(
    api: Api, client: OpenAI, create_job, file_id: str
) -> None:
    """The lesson: nothing on the wire tells a server that a request is a repetition."""
    put(client, "timeout", seconds=3)
    with api.client(max_retries=1, timeout=1.5) as impatient:
        job = create_job(via=impatient)
    made = client.fine_tuning.jobs.list(metadata={"file": file_id}).data
    assert len(made) == 2 and job.id == made[0].id
    put(client, "timeout", seconds=3)
    once = client.with_options(max_retries=0, timeout=1.5)
    with pytest.raises(openai.APITimeoutError):
        create_job(via=once)
    made = client.fine_tuning.jobs.list(metadata={"file": file_id}).data
    assert len(made) == 3  # no answer came, but the job is there
    for job in made:
        if client.fine_tuning.jobs.retrieve(job.id).status not in ("succeeded", "failed"):
            client.fine_tuning.jobs.cancel(job.id)


def test_a_slow_stream(ask) -> None:
    began = time.monotonic()
    chunks = list(ask("slow_stream;seconds=0.1", stream=True))
    assert time.monotonic() - began >= 0.1 * len(chunks)
    assert chunks[-1].choices[0].finish_reason == "length"


def test_a_stream_too_slow_for_the_client_times_out(client: OpenAI, ask) -> None:
    with pytest.raises(openai.APITimeoutError):
        list(ask("slow_stream;seconds=5", via=client.with_options(timeout=1), stream=True))


@pytest.mark.parametrize("pieces", [1, 3, 100_000])
def test_a_broken_stream_raises_where_it_breaks(api: Api, ask, pieces: int) -> None:
    seen = []
    with pytest.raises(openai.APIConnectionError):
        seen.extend(ask(f"broken_stream;chunks={pieces}", stream=True))
    assert 1 <= len(seen) <= pieces
    assert len(seen) == pieces or pieces == 100_000
    assert ask().choices, "the server goes on"


def test_an_error_before_the_stream_is_no_broken_stream(client: OpenAI, ask) -> None:
    with pytest.raises(openai.NotFoundError):
        ask("broken_stream", stream=True, model="nobody")
    put(client, "slow_stream")
    assert ask().choices  # a plain answer does not use it up
    assert client.get(FAULTS, cast_to=object)["data"][0]["times_left"] == 1


def test_a_completion_stream_breaks_too(client: OpenAI, base_model: str) -> None:
    stream = client.completions.create(
        model=base_model,
        prompt="A hero",
        stream=True,
        extra_headers={"X-Sandbox-Fault": "broken_stream;chunks=2"},
    )
    with pytest.raises(openai.APIConnectionError):
        list(stream)


def test_a_job_is_flagged(client: OpenAI, create_job) -> None:
    put(client, "moderation", lines="4, 13")
    job = wait_for(client, create_job().id, "failed", "queued", "running", "succeeded")
    assert (job.status, job.error.code) == ("failed", "invalid_training_file")
    assert job.error.param == "training_file"
    assert job.error.message.endswith("Flagged lines: 4, 13.")


def test_a_fault_in_the_way_of_an_upload(client: OpenAI) -> None:
    before = [file.id for file in client.files.list()]
    with pytest.raises(openai.RateLimitError):
        client.files.create(
            file=("a.jsonl", chat_lines(500)),
            purpose="fine-tune",
            extra_headers={"X-Sandbox-Fault": "rate_limit"},
        )
    assert [file.id for file in client.files.list()] == before


def test_the_docs_list_the_address(api: Api) -> None:
    base = api.url.removesuffix("/v1")
    page = httpx2.get(f"{base}/docs", follow_redirects=True, timeout=PATIENCE, trust_env=False).text
    assert "/v1/sandbox/faults" in page and "X-Sandbox-Fault" in page


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Callable[[], httpx2.Response]]:
    """A server of three requests a minute for each key, and a call that counts as one."""
    settings = Settings(state_dir=tmp_path / "state", requests_per_minute=3)
    with running(settings) as (url, key):
        headers = {"authorization": f"Bearer {key}"}
        with httpx2.Client(
            base_url=url, headers=headers, timeout=PATIENCE, trust_env=False
        ) as http:
            yield lambda method="POST", path="/fine_tuning/jobs", **options: http.request(
                method, path, **options
            )


def test_a_real_limit_counts_and_refuses(limited) -> None:
    left = [limited().headers["x-ratelimit-remaining-requests"] for _ in range(3)]
    assert left == ["2", "1", "0"]
    refused = limited()
    assert refused.status_code == 429
    error = refused.json()["error"]
    assert (error["code"], error["type"]) == ("rate_limit_exceeded", "requests")
    assert "Limit 3, Used 3, Requested 1. Please try again in " in error["message"]
    assert 1 <= int(refused.headers["retry-after"]) <= 20
    assert refused.headers["x-ratelimit-limit-requests"] == "3"
    assert refused.headers["x-ratelimit-reset-requests"].endswith("s")
    assert refused.headers["x-request-id"]


def test_looking_and_faults_do_not_count(limited) -> None:
    for _ in range(5):
        assert "x-ratelimit-limit-requests" not in limited("GET", "/models").headers
        fault = {"X-Sandbox-Fault": "server_error"}
        assert limited(headers=fault).status_code == 500
        assert limited(headers={"authorization": "Bearer x"}).status_code == 401
    assert limited().headers["x-ratelimit-remaining-requests"] == "2"


def test_without_a_limit_nothing_is_said_about_one(client: OpenAI, base_model: str) -> None:
    answer = client.chat.completions.with_raw_response.create(
        model=base_model, messages=[{"role": "user", "content": "Hi"}], max_completion_tokens=1
    )
    assert not [name for name in answer.headers if name.startswith("x-ratelimit")]
