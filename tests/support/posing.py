"""A sandbox that poses as a hosted provider, in front of a real one, and notebooks run against it.

What each pose does is read from the providers' documents, or is what an unknown provider might
lack. Nothing is made up: jobs really train, and answers are the sandbox's own.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from openai import OpenAI

from helpers.sandbox import run_keys, sandbox_status
from sandbox.bases import SHIPPED_BASE
from tests.support.provider import Handler, error
from tests.support.proxy import Proxy
from tests.support.server import chat_lines, wait_for
from tests.support.tiny_embedder import kept_embedder
from tools.conditions import at_kernel_start, conditions
from tools.notebooks import code_cells, execute, read, tags

KEY = "sk-hosted-1234"
CONTEXT = 4096  # tokens that its models read; the small one was trained on an eighth of that
PATIENCE = 900.0  # seconds for a cell: a busy machine is slow
CHATS, COMPLETIONS = "POST /v1/chat/completions", "POST /v1/completions"
# Runs in each kernel: what is answered where `agree` asks.
ANSWER = """
import sys
import helpers.agree

sys.modules["helpers.agree"].input = lambda question: "{answer}"
"""
RATES = re.compile(rb'"learning_rate(_multiplier)?": *[-\d.e]+,? *')


class Pose(NamedTuple):
    """How a provider is recognised, its models, and what is special about it."""

    host: str
    generator: str
    base: str
    embeds: str | None = None
    ceiling: str | None = None  # HEROES_MAX_USD, which needs known prices


POSES = {
    # A tuned model answers only when it is deployed; no file status; the learning rate itself.
    "deploys": Pose(
        "api.tokenfactory.nebius.com",
        "meta-llama/Llama-3.3-70B-Instruct",
        "meta-llama/Llama-3.1-8B-Instruct",
    ),
    # Nobody knows it: no pause, metrics, result file, multiplier or prompt/completion pairs.
    "plain": Pose("models.example", "plain-large", "plain-small"),
    # The account is used by others, too: jobs without metadata, their files, models and batches.
    # Its generator reasons, which goes with no temperature.
    "shared": Pose(
        "api.openai.com",
        "gpt-6-luna",
        "gpt-4.1-mini-2025-04-14",
        "text-embedding-3-small",
        ceiling="1000",
    ),
}


@dataclass
class Posing(Proxy):
    """Passes calls on, and changes them and their answers as the pose would."""

    client: OpenAI | None = None  # of the sandbox itself, with the account's key
    pose: str = ""
    deployed: dict[str, str] = field(default_factory=dict)  # by its name: what the sandbox calls it

    def answer(self, request: Handler, sent: bytes) -> tuple[int, dict[str, str], bytes] | None:
        """What the target answers, changed as the pose wants it."""
        request.path = request.path.removeprefix(f"http://{POSES[self.pose].host}")
        call = f"{request.command} {urlsplit(request.path).path}"
        del request.headers["X-Sandbox-Fault"]
        if "/sandbox/" in call or (refused := getattr(self, f"_{self.pose}")(call, sent)):
            status, body = (404, error(None)) if "/sandbox/" in call else refused
            return status, {"content-type": "application/json"}, json.dumps(body).encode()
        status, headers, data = super().answer(request, self._asked(sent)) or (502, {}, b"{}")
        if headers["content-type"].startswith("application/json"):
            data = json.dumps(self._told(json.loads(data))).encode()
        return status, headers, data

    def _asked(self, sent: bytes) -> bytes:
        """The request as the sandbox understands it."""
        if self.pose != "deploys" or not sent.startswith(b"{"):
            return sent
        for name, model in self.deployed.items():
            sent = sent.replace(json.dumps(name).encode(), json.dumps(model).encode())
        return RATES.sub(b"", sent)

    def _told(self, data: Any) -> Any:
        """The sandbox's answer as the provider gives it; lists are changed item by item."""
        if not isinstance(data, dict):
            return data
        kind = data.get("object")
        if kind == "list":
            items = [self._told(item) for item in data["data"]]
            data["data"] = [item for item in items if item is not None]
        elif self.pose == "deploys" and kind == "file":
            data["status"] = None
        elif self.pose == "deploys" and kind == "fine_tuning.job":
            data["fine_tuned_model"] = None
            if data["status"] in ("validating_files", "queued"):
                data["status"] = "running"
        elif self.pose == "deploys" and kind == "fine_tuning.job.checkpoint":
            data["fine_tuned_model_checkpoint"] = None
        elif self.pose == "plain" and kind == "fine_tuning.job":
            data |= {"result_files": [], "trained_tokens": None}
        elif self.pose == "plain" and data.get("type") == "metrics":
            return None
        return data

    def _deploys(self, call: str, sent: bytes) -> tuple[int, Any] | None:
        if call == "POST /v0/models":
            asked = json.loads(sent)
            job, checkpoint = asked["source"].split(":")
            found = {each.id: each for each in self.client.fine_tuning.jobs.checkpoints.list(job)}
            name = f"{asked['base_model']}-LoRa:{asked['name']}-{checkpoint[-4:]}"
            self.deployed[name] = found[checkpoint].fine_tuned_model_checkpoint
            return 200, {"name": name, "status": "validating"}
        if call.startswith("GET /v0/models/"):
            return 200, {"name": call.removeprefix("GET /v0/models/"), "status": "active"}
        named = b'"model": "ft:' in sent or b'"model":"ft:' in sent or "/v1/models/ft:" in call
        return (404, error("model_not_found")) if named else self._no_multiplier(call, sent)

    def _plain(self, call: str, sent: bytes) -> tuple[int, Any] | None:
        if call.endswith(("/pause", "/resume")) or call == COMPLETIONS:
            return 404, error(None, "Not found")
        if call == "POST /v1/fine_tuning/jobs":
            file = json.loads(sent)["training_file"]
            if b'"completion"' in self.client.files.content(file).read():
                return 400, error("invalid_file_format", "Only chats are trained on.")
        return self._no_multiplier(call, sent)

    def _shared(self, call: str, sent: bytes) -> tuple[int, Any] | None:
        if call == COMPLETIONS:
            return 404, error(None, "Not a completion model")
        if call != CHATS:
            return None
        body = json.loads(sent)
        effort = body.get("reasoning_effort")
        if not body["model"].startswith(POSES["shared"].generator):
            return (400, error("unsupported_parameter", "It does not reason.")) if effort else None
        if "max_tokens" in body:
            return 400, error("unsupported_parameter", "Use max_completion_tokens.")
        if "temperature" in body and effort != "none":
            return 400, error("unsupported_value", "No temperature while it reasons.")
        return None

    def _no_multiplier(self, call: str, sent: bytes) -> tuple[int, Any] | None:
        if call == "POST /v1/fine_tuning/jobs" and b"learning_rate_multiplier" in sent:
            return 400, error("unknown_parameter", "There is no learning_rate_multiplier here.")
        return None

    def paid(self) -> list[str]:
        """The jobs and batches that cost something: what each does, alike for two that do the same.

        Those of others have no labels.
        """
        client, found = self.client, []
        for job in client.fine_tuning.jobs.list(limit=100):
            if job.status not in ("failed", "cancelled") and (
                self.pose != "shared" or job.metadata
            ):
                content = client.files.content(job.training_file).read()
                numbers = job.method.supervised.hyperparameters if job.method else None
                digest = hashlib.sha256(content).hexdigest()[:12]
                found.append(f"job {job.model} {digest} {numbers} {job.seed} {job.metadata}")
        return found + [f"batch {each.metadata}" for each in client.batches.list() if each.metadata]


@contextmanager
def hosted(pose: str, answer: str = "yes") -> Iterator[Posing]:
    """The environment of a learner with an account at this provider, for as many notebooks as
    you like. With `answer` "no" they agree to nothing, neither in advance nor when asked."""
    known, before = POSES[pose], os.environ.get("SANDBOX_MODELS")
    with tempfile.TemporaryDirectory() as name:
        models = [f"--base-model={folder}" for folder in _named_models(known, Path(name))]
        os.environ["SANDBOX_MODELS"] = name  # so notebook 11, always at home, has the small one
        try:
            with conditions(None, *models):
                key = run_keys("create", "--project", "hosted")["key"]
                target = str(sandbox_status().url).removesuffix("/v1")
                with (
                    OpenAI(base_url=f"{target}/v1", api_key=key, max_retries=0) as client,
                    Posing(target, key, client=client, pose=pose) as posing,
                ):
                    if pose == "shared":
                        _used_by_others(client, known.generator)
                    _configure(known, posing.url, answer)
                    yield posing
        finally:
            os.environ.pop("SANDBOX_MODELS")
            os.environ |= {"SANDBOX_MODELS": before} if before else {}


def _named_models(pose: Pose, folder: Path) -> Iterator[Path]:
    """The small model under the provider's names, so that all the calls can use them."""
    named = {pose.generator: SHIPPED_BASE, pose.base: SHIPPED_BASE}
    if pose.embeds:
        named[pose.embeds] = kept_embedder(CONTEXT)
    for number, (name, source) in enumerate(named.items()):
        made = shutil.copytree(source, folder / f"m{number}")
        _write_json(made / "sandbox.json", name=name)
        if source == SHIPPED_BASE:
            _write_json(made / "config.json", max_position_embeddings=CONTEXT)
        yield made


def _write_json(path: Path, **values: Any) -> None:
    """Set some values in a file, which need not be there."""
    before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    path.write_text(json.dumps({**before, **values}), encoding="utf-8")


def _configure(pose: Pose, proxy: str, answer: str) -> None:
    """Write the learner's `.env`, and have each kernel answer what `agree` asks."""
    lines = [f"OPENAI_API_KEY={KEY}", f"OPENAI_BASE_URL=http://{pose.host}/v1"]
    lines += [f"HEROES_GENERATOR_MODEL={pose.generator}", f"HEROES_BASE_MODEL={pose.base}"]
    if pose.ceiling and answer == "yes":
        lines.append(f"HEROES_MAX_USD={pose.ceiling}")
    Path(os.environ["HEROES_ENV_FILE"]).write_text("\n".join(lines) + "\n", encoding="utf-8")
    at_kernel_start(ANSWER.format(answer=answer))
    os.environ |= {"HTTP_PROXY": proxy, "NO_PROXY": "127.0.0.1,localhost"}


def _used_by_others(client: OpenAI, model: str) -> None:
    """Files, jobs of every ending, a model and a batch of somebody else: without labels."""
    jobs = client.fine_tuning.jobs
    client.files.create(file=("notes.jsonl", b'{"a": 1}\n'), purpose="batch")
    file = client.files.create(file=("theirs.jsonl", chat_lines()), purpose="fine-tune")
    one = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1}}}
    wait_for(client, jobs.create(model=model, training_file=file.id, method=one).id, "succeeded")
    jobs.cancel(jobs.create(model=model, training_file=file.id, suffix="theirs").id)
    bad = client.files.create(file=("bad.jsonl", b'{"messages": []}\n' * 12), purpose="fine-tune")
    wait_for(client, jobs.create(model=model, training_file=bad.id).id, "failed")
    body = {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}
    line = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": body}
    lines = client.files.create(file=("b.jsonl", json.dumps(line).encode()), purpose="batch")
    client.batches.create(
        input_file_id=lines.id, endpoint="/v1/chat/completions", completion_window="24h"
    )


def failures(path: Path) -> list[str]:
    """Run all cells of a notebook, whatever happens, and tell which ones should not have failed."""
    notebook = read(path)
    cells = code_cells(notebook)
    may_fail = {cell.id for cell in cells if "raises-exception" in tags(cell)}
    for cell in cells:
        cell.metadata["tags"] = [*tags(cell), "raises-exception"]  # go on after each
    execute(notebook, path, cell_seconds=PATIENCE)
    return [
        f"{path.name} {cell.id}: {output.ename}: {output.evalue[:200]}"
        for cell in cells
        if cell.id not in may_fail
        for output in cell.outputs
        if output.output_type == "error"
    ]
