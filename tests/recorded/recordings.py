"""How each recording is made. Ids and times are masked: they differ with every run."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import platform
import re
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import httpx2
import typer
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from helpers.connect import connect
from helpers.settings import ROOT
from heroes.app import app
from sandbox.config import DEFAULT_BASE, Settings
from tests.recorded.requests import REQUESTS, Request
from tests.support.api import both_bases, running
from tests.support.scripted import ScriptedSampler
from tools.conditions import conditions
from tools.trained import train

FOLDER = Path(__file__).parent
PATIENCE = 300.0  # seconds until a state is reached
IDS = re.compile(
    r"\b(file-|ftjob-|ftevent-|ftckpt_|batch_req_|batch_|chatcmpl-|cmpl-|req_|resp_|msg_)[A-Za-z0-9]{16,}"
)
TIMES = {"created", "created_at", "estimated_finish"} | {
    f"{event}_at"
    for event in (
        "finished", "expires", "in_progress", "finalizing", "completed", "failed", "cancelling",
        "cancelled",
    )
}  # fmt: skip
HEADERS = ("content-type", "retry-after")
WEIGHTS = "model.safetensors"
TEXTS, TOKENS = 20, 60


def answers() -> list[dict[str, Any]]:
    """Every request with its answer, from the API with a scripted sampler."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Settings(state_dir=Path(folder)), ScriptedSampler(), both_bases()) as (url, key),
        httpx2.Client(
            headers={"authorization": f"Bearer {key}"}, timeout=PATIENCE, trust_env=False
        ) as http,
    ):
        mask, known = Mask(), {}
        return [_answer(http, url, request, known, mask) for request in REQUESTS]


def _answer(
    http: httpx2.Client, url: str, request: Request, known: dict[str, Any], mask: Mask
) -> dict[str, Any]:
    method, path = request.call.split()
    body = json.loads(_filled(json.dumps(request.body), known))
    options: dict[str, Any] = {} if body is None else {"json": body}
    if request.upload:
        purpose, name, content = request.upload
        options = {"data": {"purpose": purpose}, "files": {"file": (name, content)}}
    if request.fault:
        options["headers"] = {"X-Sandbox-Fault": request.fault}
    deadline = time.monotonic() + PATIENCE
    while True:
        answer = http.request(method, url + _filled(path, known), **options)
        if not request.until or answer.json()["status"] in request.until:
            break
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.01)
    if request.keep:
        made = answer.json()
        known |= {request.keep: made["id"]}
        known |= {f"{request.keep}.{name}": value for name, value in made.items()}
    return {
        "name": request.name,
        "call": request.call,
        "status": answer.status_code,
        "headers": {name: answer.headers[name] for name in HEADERS if name in answer.headers},
        "answer": mask(_content(answer)),
    }


def _filled(text: str, known: dict[str, Any]) -> str:
    """The text with `{name}` replaced by what is known under that name."""
    return re.sub(r"\{([a-z_.]+)\}", lambda found: str(known[found[1]]), text)


def _content(answer: httpx2.Response) -> Any:
    """An answer as JSON: a stream as a list of its events, JSON Lines as a list of lines."""
    text = answer.text
    if answer.headers["content-type"].startswith("text/event-stream"):
        events = [event.partition("data: ")[2] for event in text.split("\n\n") if event]
        return [event if event == "[DONE]" else json.loads(event) for event in events]
    if answer.headers["content-type"].startswith("application/json"):
        return answer.json()
    return [json.loads(line) for line in text.splitlines()]


class Mask:
    """Replaces times, and ids by their kind and order: the same id always gets the same name."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def __call__(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._field(key, inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [self(inner) for inner in value]
        return IDS.sub(self._name, value) if isinstance(value, str) else value

    def _field(self, key: str, value: Any) -> Any:
        return "TIME" if key in TIMES and isinstance(value, int | float) else self(value)

    def _name(self, found: re.Match[str]) -> str:
        kind = found[1]
        if found[0] not in self._names:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._names[found[0]] = f"{kind}{self._counts[kind]}"
        return self._names[found[0]]


def openapi() -> dict[str, Any]:
    """The document at /openapi.json, without the descriptions, which are prose."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Settings(state_dir=Path(folder))) as (url, _),
    ):
        address = url.removesuffix("/v1") + "/openapi.json"
        return _without_prose(httpx2.get(address, timeout=PATIENCE, trust_env=False).json())


def _without_prose(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {k: _without_prose(v) for k, v in value.items()}
        return {k: v for k, v in kept.items() if k != "description" or isinstance(v, dict)}
    return [_without_prose(inner) for inner in value] if isinstance(value, list) else value


def commands() -> dict[str, list[str]]:
    """Every command of `heroes` with its arguments and options."""
    found: dict[str, list[str]] = {}
    _walk("heroes", typer.main.get_command(app), found)
    return found


def _walk(name: str, command: click.Command, found: dict[str, list[str]]) -> None:
    options = [
        " ".join([*parameter.opts, *parameter.secondary_opts]) for parameter in command.params
    ]
    found[name] = sorted(options)
    for word, inner in getattr(command, "commands", {}).items():
        _walk(f"{name} {word}", inner, found)


def course_job() -> dict[str, Any]:
    """The course's two finished jobs on the shipped model, and what the tuned models say.

    Losses and greedy texts hold everywhere. `weights` hold where `machine` is the same, and the
    `sampled` texts where the weights are.
    """
    import torch  # only here: the other recordings need none

    with conditions(), ThreadPoolExecutor(8) as pool:
        os.environ["HEROES_BASE_MODEL"] = DEFAULT_BASE
        train()
        state = Path(os.environ["HEROES_SANDBOX_STATE"])
        with connect(announce=False) as client:
            jobs = {job.metadata["format"]: job for job in client.fine_tuning.jobs.list()}
            chat, pairs = _Finished(client, jobs["chat"]), _Finished(client, jobs["completion"])
            return {
                "machine": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
                "chat": chat.numbers() | {"weights": _weights(state, chat)},
                "pairs": pairs.numbers() | {"weights": _weights(state, pairs)},
                "greedy": list(pool.map(chat.say, _rows("validation"))),
                "sampled": list(pool.map(chat.say, _rows("validation"), range(TEXTS))),
                "greedy_pairs": list(pool.map(pairs.go_on, _rows("validation_completions")))[:5],
            }


def _rows(name: str, count: int = TEXTS) -> list[dict[str, Any]]:
    """The first rows of a file in data/."""
    lines = (ROOT / "data" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines[:count]]


@dataclass(frozen=True)
class _Finished:
    """A job that has succeeded, and its model."""

    client: OpenAI
    job: FineTuningJob

    def numbers(self) -> dict[str, Any]:
        """The loss curve and what else the job says about its training."""
        content = self.client.files.content(self.job.result_files[0]).read()
        columns, *rows = csv.reader(base64.b64decode(content).decode().splitlines())
        checkpoints = self.client.fine_tuning.jobs.checkpoints.list(self.job.id).data
        return {
            "hyperparameters": self.job.hyperparameters.to_dict(),
            "trained_tokens": self.job.trained_tokens,
            "losses": [",".join(columns), *(",".join(map(_rounded, row)) for row in rows)],
            "checkpoints": [
                {"step": one.step_number, "full_valid_loss": round(one.metrics.full_valid_loss, 4)}
                for one in checkpoints
            ],
        }

    def say(self, row: dict[str, Any], seed: int | None = None) -> str:
        """The model's answer to a row's question: greedy, or sampled with a seed."""
        answer = self.client.chat.completions.create(
            model=self.job.fine_tuned_model,
            messages=row["messages"][:-1],
            temperature=0 if seed is None else 1,
            seed=seed,
            max_completion_tokens=TOKENS,
        )
        return answer.choices[0].message.content

    def go_on(self, row: dict[str, Any]) -> str:
        """How the model goes on after a row's prompt, greedy."""
        answer = self.client.completions.create(
            model=self.job.fine_tuned_model, prompt=row["prompt"], temperature=0, max_tokens=TOKENS
        )
        return answer.choices[0].text


def _weights(state: Path, finished: _Finished) -> str:
    """A hash of the numbers in the job's final weights."""
    from safetensors.torch import load_file

    last = finished.client.fine_tuning.jobs.checkpoints.list(finished.job.id, limit=1).data[0]
    tensors = load_file(state / "models" / f"{finished.job.id}-{last.step_number}" / WEIGHTS)
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].contiguous().numpy().tobytes())
    return digest.hexdigest()


def _rounded(cell: str) -> str:
    """A number of the result file to four decimals; what is finer differs between processors."""
    return f"{float(cell):.4f}".rstrip("0").rstrip(".") if cell else ""


RECORDINGS: dict[str, Callable[[], Any]] = {
    "openapi": openapi,
    "answers": answers,
    "commands": commands,
    "course_job": course_job,
}


def path_of(name: str) -> Path:
    """Where a recording is kept."""
    return FOLDER / f"{name}.json"


def read(name: str) -> Any:
    """A recording."""
    return json.loads(path_of(name).read_text(encoding="utf-8"))


def write(name: str) -> Path:
    """Make a recording anew and store it."""
    text = json.dumps(RECORDINGS[name](), indent=1, ensure_ascii=False)
    path_of(name).write_text(text + "\n", encoding="utf-8")
    return path_of(name)
