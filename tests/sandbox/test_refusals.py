"""What each address refuses: the error names the parameter, and nothing has been made."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from openai import OpenAI
from openai.types import completion_create_params, embedding_create_params
from openai.types.chat import completion_create_params as chat_create_params
from openai.types.responses import input_token_count_params, response_create_params
from pydantic import BaseModel

from sandbox.api import response_request, text_request
from sandbox.api.chat import ChatRequest
from sandbox.api.completions import CompletionRequest
from sandbox.api.embeddings import EmbeddingRequest
from sandbox.api.response_request import InputRequest, ResponseRequest
from tests.support.api import Api
from tests.support.server import chat_lines

CHAT, TEXT, JOBS, BATCHES = "/chat/completions", "/completions", "/fine_tuning/jobs", "/batches"
QUESTION = [{"role": "user", "content": "Tell me about a hero."}]
GOOD: dict[str, dict[str, Any]] = {
    CHAT: {"model": "tiny", "messages": QUESTION, "max_completion_tokens": 6},
    TEXT: {"model": "tiny", "prompt": "The hero", "max_tokens": 4},
    JOBS: {"model": "tiny", "training_file": "FILE"},
    BATCHES: {"input_file_id": "BATCH", "endpoint": "/v1/completions", "completion_window": "24h"},
}
# For each address: a parameter, and values that are wrong for it. `a.b` is in an object `a`.
WRONG: dict[str, dict[str, list[Any]]] = {
    CHAT: {
        "temperature": [-0.1, 2.1, "hot"],
        "top_p": [1.1],
        "n": [0, 129, 1.0, True],
        "max_completion_tokens": [0],
        "presence_penalty": [2.5],
        "frequency_penalty": [-2.5],
        "seed": [2**63],
        "stop": [list("abcde"), "", 5],
        "logprobs": [3],
        "logit_bias": [{"x": 1}, {"1": 101}, {"99999999": 1}],
        "stream": ["yes"],
        "messages": [[], QUESTION * 2049, "hello"],
        "model": [5],
        "best_of": [2],
        "temprature": [1],
    },
    TEXT: {
        "prompt": [[], ["a", 5], [1, "a"], [[]], {"a": 1}, [-1], [True], [1.5], [99_999_999]],
        "logprobs": [6, True],
        "max_tokens": [-1],
        "best_of": [3, 21],
        "echo": ["yes"],
        "n": [200],
        "messages": [[]],
    },
    JOBS: {
        "suffix": ["", "x" * 65, 5],
        "seed": [-1, 2_147_483_648, 1.5, True, 10**400],
        "hyperparameters.n_epochs": [0, 51, "many", True, 2.0],
        "hyperparameters.batch_size": [257, [1]],
        "hyperparameters.learning_rate_multiplier": [0, -2, True, 1e308, 10**400],
        "hyperparameters.learning_rate": [2],
        "hyperparameters": ["auto"],
        "method.type": ["magic", None],
        "method": ["supervised"],
        "metadata": [{str(i): "x" for i in range(17)}, {"k" * 65: "x"}, {"k": "x" * 513}, ["k"]],
        "metadata.k": [5],
        "learning_rate": [1],
    },
    BATCHES: {
        "endpoint": ["/v1/moderations"],
        "completion_window": ["1h"],
        "metadata": [{"k": "v" * 600}],
        "speed": ["fast"],
    },
}
# What takes more than one field to be wrong, or lies deeper.
SPECIAL: list[tuple[str, dict[str, Any], str]] = [
    (CHAT, {"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    (CHAT, {"messages": [{"role": "user"}]}, "messages[0].content"),
    *(
        (CHAT, {"messages": [*QUESTION, QUESTION[0] | {"content": odd}]}, "messages[1].content")
        for odd in (None, 5, [], [5], [{"type": "text"}], [{"type": "image_url"}])
    ),
    (CHAT, {"messages": [{"content": "x"}]}, "messages[0].role"),
    (CHAT, {"messages": [{"role": "hero", "content": "x"}]}, "messages[0].role"),
    (CHAT, {"messages": [{"role": "tool", "content": "x"}]}, "messages[0]"),
    (CHAT, {"messages": [QUESTION[0] | {"mood": "good"}]}, "messages[0].mood"),
    (CHAT, {"messages": [QUESTION[0] | {"tool_calls": [{}]}]}, "messages[0]"),
    (JOBS, {"method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 0}}}},
     "method.supervised.hyperparameters.n_epochs"),
    (JOBS, {"method": {"type": "supervised", "supervised": {"epochs": 3}}},
     "method.supervised.epochs"),
    (JOBS, {"method": {"type": "supervised", "sft": {}}}, "method.sft"),
    (JOBS, {"integrations": [{"type": "mlflow"}]}, "integrations[0].type"),
    (JOBS, {"integrations": [{"type": "wandb", "wandb": {}}]}, "integrations[0].wandb.project"),
    (BATCHES, {"output_expires_after": {"anchor": "created_at", "seconds": 10}},
     "output_expires_after.seconds"),
]  # fmt: skip
NOT_TOGETHER = [
    (CHAT, {"max_tokens": 5}, "not both"),
    (CHAT, {"top_logprobs": 2}, "needs 'logprobs'"),
    (CHAT, {"stream_options": {"include_usage": True}}, "only allowed when 'stream'"),
    (TEXT, {"max_tokens": 0}, "only together with 'echo'"),
    (TEXT, {"prompt": ["a"] * 1025, "n": 2}, "at most 2048"),
]
UNSUPPORTED = [
    ("tools", [{"type": "function", "function": {"name": "f"}}]),
    ("tools", []),
    ("tool_choice", "auto"),
    ("functions", [{"name": "f"}]),
    ("function_call", "auto"),
    ("response_format", {"type": "json_object"}),
    ("modalities", ["text", "audio"]),
    ("moderation", {"model": "omni-moderation-latest"}),
    ("prediction", {"type": "content", "content": "x"}),
    ("reasoning_effort", "high"),
    ("verbosity", "low"),
    ("web_search_options", {}),
    ("service_tier", "flex"),
]
QUERIES: dict[str, dict[str, list[str]]] = {
    JOBS: {
        "limit": ["1.5", "-1", "1001", "9" * 5000],
        "after": ["ftjob-nothing"],
        "metadata": ["x"],
        "status": ["running"],
    },
    "/files": {
        "limit": ["-1", "10001", "many", "٣"],
        "order": ["up"],
        "after": ["file-nothing"],
        "size": ["3"],
    },
    BATCHES: {"limit": ["101"], "after": ["batch_nothing"]},
}


@pytest.fixture(scope="module")
def http(api: Api) -> Iterator[httpx2.Client]:
    with api.http() as made:
        yield made


@pytest.fixture(scope="module")
def known(client: OpenAI) -> dict[str, str]:
    """The ids of a file for training and of one for a batch."""
    train = client.files.create(file=("a.jsonl", chat_lines()), purpose="fine-tune")
    batch = client.files.create(file=("b.jsonl", b"{}"), purpose="batch")
    return {"FILE": train.id, "BATCH": batch.id}


def refused(
    http: httpx2.Client, path: str, fields: dict[str, Any], known: dict[str, str]
) -> dict[str, Any]:
    """Return the error for a good body with these fields; check that nothing was made of it."""

    def listed() -> Any:
        return http.get(path).json() if path in (JOBS, BATCHES) else None

    before = listed()
    body = {name: known.get(str(value), value) for name, value in (GOOD[path] | fields).items()}
    answer = http.post(path, json=body)
    assert answer.status_code == 400, answer.text
    assert listed() == before
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    return error


def nested(name: str, value: Any) -> dict[str, Any]:
    outer, dot, inner = name.partition(".")
    return {outer: {inner: value} if dot else value}


CASES = [
    (path, nested(param, value), param)
    for path, params in WRONG.items()
    for param, values in params.items()
    for value in values
]


@pytest.mark.parametrize(("path", "fields", "param"), [*CASES, *SPECIAL])
def test_a_wrong_parameter_is_named(
    http: httpx2.Client, known: dict[str, str], path: str, fields: dict[str, Any], param: str
) -> None:
    assert refused(http, path, fields, known)["param"] == param


@pytest.mark.parametrize(("path", "fields", "text"), NOT_TOGETHER)
def test_what_does_not_go_together(
    http: httpx2.Client, known: dict[str, str], path: str, fields: dict[str, Any], text: str
) -> None:
    assert text in refused(http, path, fields, known)["message"]


@pytest.mark.parametrize(("name", "value"), UNSUPPORTED)
def test_what_the_sandbox_cannot_do(
    http: httpx2.Client, known: dict[str, str], name: str, value: object
) -> None:
    error = refused(http, CHAT, {name: value}, known)
    assert (error["param"], error["code"]) == (name, "unsupported_parameter")
    assert error["message"].startswith(f"Unsupported parameter: '{name}'")


@pytest.mark.parametrize(
    ("theirs", "ours", "refused"),
    [
        (chat_create_params.CompletionCreateParamsStreaming, ChatRequest, text_request.REFUSED),
        (completion_create_params.CompletionCreateParamsStreaming, CompletionRequest, {}),
        (embedding_create_params.EmbeddingCreateParams, EmbeddingRequest, {}),
        (
            response_create_params.ResponseCreateParamsStreaming,
            ResponseRequest,
            response_request.REFUSED,
        ),
        (
            input_token_count_params.InputTokenCountParams,
            InputRequest,
            response_request.REFUSED,
        ),
    ],
)
def test_every_parameter_of_the_sdk_is_known(
    theirs: type, ours: type[BaseModel], refused: dict[str, Any]
) -> None:
    """Taken, or refused as one that the hosted API has."""
    assert set(theirs.__annotations__) <= {*ours.model_fields, *refused}


@pytest.mark.parametrize("name", ["dpo", "reinforcement"])
def test_other_methods_than_supervised(
    http: httpx2.Client, known: dict[str, str], name: str
) -> None:
    method = {"type": name, name: {"hyperparameters": {"n_epochs": 2}}}
    error = refused(http, JOBS, {"method": method}, known)
    assert error["param"] == "method"
    assert f"'{name}' is not supported by the sandbox; use 'supervised'" in error["message"]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (path, name)
        for path, body in GOOD.items()
        for name in body
        if name not in ("prompt", "max_tokens", "max_completion_tokens")  # they have defaults
    ],
)
def test_what_is_missing_is_named(
    http: httpx2.Client, known: dict[str, str], path: str, name: str
) -> None:
    error = refused(http, path, {name: None}, known)
    assert (error["param"], error["code"]) == (name, "missing_required_parameter")


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (path, {name: value})
        for path, names in QUERIES.items()
        for name, values in names.items()
        for value in values
    ],
)
def test_a_wrong_query_is_named(http: httpx2.Client, path: str, query: dict[str, str]) -> None:
    answer = http.get(path, params=query)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == next(iter(query))
