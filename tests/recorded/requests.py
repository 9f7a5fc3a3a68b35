"""The requests whose answers are recorded: every resource, in good and in bad shapes.

`{file}` and the like stand for ids that an earlier answer brought: `keep` gives an answer's id a
name. `until` repeats a GET until the answer has one of these states.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Request:
    """One request. `upload` is a file's purpose, name and content; `body` is sent as JSON."""

    name: str
    call: str  # method and address, without /v1
    body: dict[str, Any] | None = None
    upload: tuple[str, str, bytes] | None = None
    keep: str = ""
    until: tuple[str, ...] = ()
    fault: str = ""


def _lines(*records: Any) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def _example(number: int) -> dict[str, Any]:
    answer = f"Hero {number} flies over the town."
    return {
        "messages": [
            {"role": "user", "content": f"{20 + number}, woman, flight ->"},
            {"role": "assistant", "content": answer},
        ]
    }


def _batch(*bodies: dict[str, Any], url: str = "/v1/chat/completions") -> bytes:
    lines = [
        {"custom_id": f"line-{number}", "method": "POST", "url": url, "body": body}
        for number, body in enumerate(bodies, 1)
    ]
    return _lines(*lines)


def _chat(**fields: Any) -> dict[str, Any]:
    question = [{"role": "user", "content": "Who flies at night?"}]
    return {"model": "tiny", "messages": question, "max_completion_tokens": 3} | fields


def _text(**fields: Any) -> dict[str, Any]:
    return {"model": "tiny", "prompt": "The hero", "max_tokens": 3} | fields


def _embed(**fields: Any) -> dict[str, Any]:
    return {"model": "tiny-embedder", "input": "flight"} | fields


def _job(**fields: Any) -> dict[str, Any]:
    return {"model": "tiny", "training_file": "{file}", "seed": 7} | fields


def _batch_order(file: str, **fields: Any) -> dict[str, Any]:
    order = {"input_file_id": file, "endpoint": "/v1/chat/completions"}
    return order | {"completion_window": "24h"} | fields


TRAINING = ("fine-tune", "train.jsonl", _lines(*map(_example, range(12))))
BAD_EXAMPLE = ("fine-tune", "bad.jsonl", _lines(*map(_example, range(12)), {"messages": []}))
BATCH = ("batch", "batch.jsonl", _batch(_chat(seed=1), _chat(temperature=7), _chat(stream=True)))
WRONG_BATCH = ("batch", "wrong.jsonl", _batch(_chat()) + b"not json\n")
JOBS, CHAT, TEXT, VECTORS = "/fine_tuning/jobs", "/chat/completions", "/completions", "/embeddings"

REQUESTS = [
    # models
    Request("models", "GET /models"),
    Request("a model", "GET /models/tiny"),
    Request("an unknown model", "GET /models/gpt-4o-mini"),
    Request("a base model is not deleted", "DELETE /models/tiny"),
    # files
    Request("upload", "POST /files", upload=TRAINING, keep="file"),
    Request("upload for another purpose", "POST /files", upload=("user_data", "a.txt", b"x"),
            keep="other"),
    Request("upload of what is no JSONL", "POST /files", upload=("fine-tune", "a.jsonl", b"hello")),
    Request("upload for an unknown purpose", "POST /files", upload=("fun", "a.jsonl", b"{}")),
    Request("files", "GET /files?order=asc"),
    Request("files, one page", "GET /files?limit=1&order=asc"),
    Request("files, a wrong limit", "GET /files?limit=0"),
    Request("a file", "GET /files/{file}"),
    Request("a file's content", "GET /files/{file}/content"),
    Request("a file that is not there", "GET /files/file-nothing"),
    Request("delete a file", "DELETE /files/{other}"),
    # jobs
    Request("create a job", f"POST {JOBS}", _job(suffix="SuperHero", metadata={"step": "5"}),
            keep="job"),
    Request("a queued job", f"GET {JOBS}/{{job}}", until=("queued", "failed")),
    Request("jobs", f"GET {JOBS}"),
    Request("jobs by metadata", f"GET {JOBS}?metadata[step]=5"),
    Request("jobs after one that is not there", f"GET {JOBS}?after=ftjob-nothing"),
    Request("pause", f"POST {JOBS}/{{job}}/pause"),
    Request("pause twice", f"POST {JOBS}/{{job}}/pause"),
    Request("resume", f"POST {JOBS}/{{job}}/resume"),
    Request("a file in use is not deleted", "DELETE /files/{file}"),
    Request("cancel", f"POST {JOBS}/{{job}}/cancel"),
    Request("a job's events", f"GET {JOBS}/{{job}}/events"),
    Request("a job's events, one page", f"GET {JOBS}/{{job}}/events?limit=2"),
    Request("a job's checkpoints", f"GET {JOBS}/{{job}}/checkpoints"),
    Request("a job that is not there", f"GET {JOBS}/ftjob-nothing"),
    Request("hyperparameters in method", f"POST {JOBS}",
            _job(method={"type": "supervised",
                         "supervised": {"hyperparameters": {"n_epochs": 3}}}), keep="second"),
    Request("cancel at once", f"POST {JOBS}/{{second}}/cancel"),
    Request("a wrong number of epochs", f"POST {JOBS}", _job(hyperparameters={"n_epochs": 0})),
    Request("a method that is not offered", f"POST {JOBS}", _job(method={"type": "dpo"})),
    Request("a job without a file", f"POST {JOBS}", {"model": "tiny"}),
    Request("a job on an unknown model", f"POST {JOBS}", _job(model="gpt-4o-mini")),
    Request("a job with a parameter too many", f"POST {JOBS}", _job(learning_rate=1)),
    Request("upload of a bad example", "POST /files", upload=BAD_EXAMPLE, keep="bad"),
    Request("a job on it", f"POST {JOBS}", _job(training_file="{bad}"), keep="failing"),
    Request("fails", f"GET {JOBS}/{{failing}}", until=("queued", "failed")),
    # chat
    Request("chat", f"POST {CHAT}", _chat(seed=1)),
    Request("chat, everything", f"POST {CHAT}",
            _chat(seed=2, n=2, logprobs=True, top_logprobs=2, stop=["night"], temperature=0,
                  top_p=0.5, presence_penalty=1, frequency_penalty=-1, logit_bias={"5": 1},
                  user="u", metadata={"a": "b"}, store=False)),
    Request("chat, streamed", f"POST {CHAT}",
            _chat(seed=1, n=2, stream=True, stream_options={"include_usage": True})),
    Request("chat, to its end", f"POST {CHAT}", _chat(max_completion_tokens=None, seed=3)),
    Request("chat, too hot", f"POST {CHAT}", _chat(temperature=2.1)),
    Request("chat, misspelt", f"POST {CHAT}", _chat(temprature=1)),
    Request("chat, with tools", f"POST {CHAT}", _chat(tools=[{"type": "function"}])),
    Request("chat, no message", f"POST {CHAT}", _chat(messages=[])),
    Request("chat, too long", f"POST {CHAT}",
            _chat(messages=[{"role": "user", "content": "hero " * 300}])),
    Request("chat, an unknown model", f"POST {CHAT}", _chat(model="gpt-4o-mini")),
    # completions
    Request("completion", f"POST {TEXT}", _text(seed=1)),
    Request("completion, everything", f"POST {TEXT}",
            _text(prompt=["One hero", "Two"], seed=2, n=2, logprobs=1, echo=True)),
    Request("completion, streamed", f"POST {TEXT}", _text(seed=4, stream=True, logprobs=1)),
    Request("completion of tokens", f"POST {TEXT}", _text(prompt=[[5, 6], [7]], seed=1)),
    Request("completion with a suffix", f"POST {TEXT}", _text(suffix="end")),
    Request("completion, a token too high", f"POST {TEXT}", _text(prompt=[99_999])),
    # embeddings
    Request("embeddings", f"POST {VECTORS}", _embed(input=["flight", "rain"])),
    Request("embeddings in base64", f"POST {VECTORS}",
            _embed(encoding_format="base64", dimensions=4)),
    Request("embeddings, too wide", f"POST {VECTORS}", _embed(dimensions=99)),
    Request("embeddings of a model that writes", f"POST {VECTORS}", _embed(model="tiny")),
    Request("embeddings of nothing", f"POST {VECTORS}", _embed(input="")),
    # responses
    Request("response", "POST /responses", {"model": "tiny", "input": "Who flies?"}, keep="said"),
    Request("response, streamed", "POST /responses",
            {"model": "tiny", "input": "And then?", "previous_response_id": "{said}",
             "stream": True}),
    Request("a response", "GET /responses/{said}"),
    Request("a response's input", "GET /responses/{said}/input_items"),
    Request("delete a response", "DELETE /responses/{said}"),
    Request("a response that is not there", "GET /responses/{said}"),
    Request("response, with tools", "POST /responses",
            {"model": "tiny", "input": "x", "tools": [{"type": "web_search"}]}),
    # batches
    Request("upload of a batch", "POST /files", upload=BATCH, keep="input"),
    Request("create a batch", "POST /batches", _batch_order("{input}", metadata={"a": "b"}),
            keep="batch"),
    Request("a batch", "GET /batches/{batch}", until=("completed", "failed"), keep="batch"),
    Request("a batch's answers", "GET /files/{batch.output_file_id}/content"),
    Request("a batch's errors", "GET /files/{batch.error_file_id}/content"),
    Request("batches", "GET /batches?limit=1"),
    Request("cancel a finished batch", "POST /batches/{batch}/cancel"),
    Request("upload of a wrong batch", "POST /files", upload=WRONG_BATCH, keep="wrong"),
    Request("a batch of it", "POST /batches", _batch_order("{wrong}"), keep="spoilt"),
    Request("a failed batch", "GET /batches/{spoilt}", until=("completed", "failed")),
    Request("a batch for an endpoint that is not offered", "POST /batches",
            _batch_order("{input}", endpoint="/v1/moderations")),
    Request("a batch that is not there", "GET /batches/batch_nothing"),
    # errors
    Request("an unknown address", "GET /engines"),
    Request("a wrong method", "PUT /files"),
    Request("a fault in a header", f"POST {CHAT}", _chat(), fault="rate_limit;retry_after=7"),
    Request("an unknown fault", f"POST {CHAT}", _chat(), fault="nonsense"),
    Request("set a fault", "POST /sandbox/faults", {"fault": "server_error", "times": 1}),
    Request("faults", "GET /sandbox/faults"),
    Request("the fault", f"POST {CHAT}", _chat()),
    Request("clear the faults", "DELETE /sandbox/faults"),
]  # fmt: skip
