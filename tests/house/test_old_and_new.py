"""Every pair of docs/old_and_new.toml: the old call is gone, and today's call runs.

What the page shows is what is run, word for word: Python in a namespace that holds the usual names,
commands with their words filled in, both against a real sandbox.
"""

from __future__ import annotations

import ast
import asyncio
import importlib
import importlib.metadata
import inspect
import shlex
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import openai
import pandas as pd
import pytest
from dotenv import load_dotenv
from openai import AsyncOpenAI, OpenAI
from typer.testing import CliRunner

from course.judge import score
from helpers.charts_training import loss_curve
from helpers.check_file import check_file
from helpers.events import result_frame
from helpers.follow import follow
from helpers.jsonl import read_jsonl, to_chat, to_completions, write_jsonl
from heroes.app import app
from sandbox.bases import SHIPPED_BASE
from tests.support.server import ROOT, Server, chat_examples
from tests.support.tiny_embedder import NAME as EMBEDDER
from tools import pages
from tools.pages import OldCall

ROWS = pages.old_calls()
NOTE = "40, woman, Healing ->"
ENDED = ("succeeded", "failed", "cancelled")
PAIRS = [
    {"prompt": f"{20 + n}, man, flight ->", "completion": f" Hero {n} flies over the town. END"}
    for n in range(12)
]
AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
JOB_SECONDS = 240


class World:
    """What the page's calls are about: files, a finished job, models. Each is made when needed."""

    def __init__(self, sandbox: Server, folder: Path) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.client = OpenAI(base_url=sandbox.url, api_key=sandbox.key, max_retries=0)
        self.model = "tiny"
        self.made: dict[str, Any] = {}
        self.path = write_jsonl(folder / "train.jsonl", chat_examples(12))
        self.pairs = write_jsonl(folder / "pairs.jsonl", PAIRS)
        self.heroes = pd.read_csv(ROOT / "data" / "superheroes.csv").head(40)
        self.table = folder / "table.csv"
        columns = {"sub_prompt": "prompt", "response_txt": "completion"}
        frame = self.heroes[[*columns, "power"]].rename(columns=columns)
        frame.to_csv(self.table, index=False)
        (folder / ".env").write_text(f"OPENAI_API_KEY={sandbox.key}\n", encoding="utf-8")

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What is made once and serves all rows."""
        if name not in self.made:
            self.made[name] = make()
        return self.made[name]

    def upload(self, path: Path) -> str:
        return self.client.files.create(file=path, purpose="fine-tune").id

    def submit(self, file_id: str, epochs: int = 1) -> str:
        hyperparameters = {"n_epochs": epochs, "batch_size": 6}
        return self.client.fine_tuning.jobs.create(
            model=self.model,
            training_file=file_id,
            seed=1,  # the same model in every run
            method={"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
        ).id

    def finished(self, path: Path) -> Any:
        """A job of a second or two, carried to its end before those that other rows have sent."""
        job_id = self.submit(self.upload(path))
        deadline = time.monotonic() + JOB_SECONDS
        while (job := self.client.fine_tuning.jobs.retrieve(job_id)).status not in ENDED:
            for other in self.client.fine_tuning.jobs.list(limit=100):
                if other.id != job_id and other.status not in ENDED:
                    with suppress(openai.BadRequestError):  # it has ended at this moment
                        self.client.fine_tuning.jobs.cancel(other.id)
            assert time.monotonic() < deadline, job
            time.sleep(0.2)
        assert job.status == "succeeded", job.error
        return job

    def stream(self) -> Any:
        """Chunks of eight tokens: the two that end a text are never chosen."""
        return self.client.chat.completions.create(
            model=self.model,
            messages=self.messages(),
            max_completion_tokens=8,
            logit_bias={"0": -100, "4": -100},
            stream=True,
        )

    def messages(self) -> list[Any]:
        return [{"role": "user", "content": "What can you do?"}]

    def vectors(self) -> list[Any]:
        reply = self.client.embeddings.create(model=EMBEDDER, input=["flight", "flying"])
        return [np.array(each.embedding) for each in reply.data]

    def weighted(self) -> list[dict[str, Any]]:
        examples = chat_examples(12)
        for example in examples:
            example["messages"] += [
                {"role": "assistant", "content": "A slip.", "weight": 0},
                {"role": "user", "content": "Again, please."},
                {"role": "assistant", "content": "Up she goes.", "weight": 1},
            ]
        return examples

    def things(self) -> dict[str, Callable[[], Any]]:
        """name -> how it is made, for all names that a row may use."""
        job = lambda: self.once("job", lambda: self.finished(self.path))  # noqa: E731
        pairs = lambda: self.once("pairs", lambda: self.finished(self.pairs))  # noqa: E731
        file_id = lambda: self.once("file", lambda: self.upload(self.path))  # noqa: E731
        url = self.sandbox.url
        return {
            **{name: partial(imported, *place) for name, place in HEAVY.items()},
            "a": lambda: self.once("vectors", self.vectors)[0],
            "b": lambda: self.once("vectors", self.vectors)[1],
            "async_client": lambda: AsyncOpenAI(base_url=url, api_key=self.sandbox.key),
            "base_folder": lambda: str(SHIPPED_BASE),
            "base_url": lambda: url,
            "client": lambda: self.client,
            "error_of": lambda: error_of,
            "examples": lambda: chat_examples(1)[0]["messages"],
            "file_id": file_id,
            "folder": lambda: self.folder,
            "heroes": lambda: self.heroes,
            "job": job,
            "job_id": lambda: job().id,
            "messages": self.messages,
            "model": lambda: self.model,
            "embedding_model": lambda: EMBEDDER,
            "nobody": lambda: OpenAI(base_url="http://127.0.0.1:9/v1", api_key="x", max_retries=0),
            "pairs_model": lambda: pairs().fine_tuned_model,
            "path": lambda: self.path,
            "prompt": lambda: NOTE,
            "reply": lambda: self.once("reply", self.reply),
            "spare_file_id": lambda: self.upload(self.path),
            "spare_job_id": lambda: self.submit(file_id(), epochs=40),
            "spare_model": lambda: self.finished(self.path).fine_tuned_model,
            "stranger": lambda: OpenAI(base_url=url, api_key="sk-no-such-key", max_retries=0),
            "stream": self.stream,
            "table": lambda: self.table,
            "texts": lambda: list(self.heroes["response_txt"]),
            "valid_id": lambda: self.upload(self.path),
            "wanted": lambda: self.heroes,
            "weighted": self.weighted,
        }

    def reply(self) -> Any:
        return self.client.chat.completions.create(
            model=self.model, messages=self.messages(), max_completion_tokens=20
        )

    def words(self) -> dict[str, Callable[[], Any]]:
        """The words in capitals that a command may use."""
        known = {name.upper(): make for name, make in self.things().items()}
        return {**known, "FILE": known["PATH"], "PAIRS": lambda: self.pairs}


# Packages that take seconds to import: only if a row needs them.
HEAVY = {
    "AutoModelForCausalLM": ("transformers", "AutoModelForCausalLM"),
    "AutoTokenizer": ("transformers", "AutoTokenizer"),
    "LoraConfig": ("peft", "LoraConfig"),
    "TrainingArguments": ("transformers", "TrainingArguments"),
    "get_peft_model": ("peft", "get_peft_model"),
}


def imported(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)


def error_of(call: Callable[..., Any], *args: Any, **options: Any) -> Exception:
    """The error that a call ends in."""
    try:
        call(*args, **options)
    except openai.OpenAIError as error:
        return error
    raise AssertionError("the call should have failed")


@pytest.fixture(scope="module")
def world(live_sandbox: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(live_sandbox, tmp_path_factory.mktemp("old_and_new"))
    with made.client:
        yield made
        for job in made.client.fine_tuning.jobs.list(limit=100):
            if job.status not in ENDED:
                with suppress(openai.BadRequestError):
                    made.client.fine_tuning.jobs.cancel(job.id)


@pytest.fixture
def at_work(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """In the folder with the files, with the key and the address that `OpenAI()` looks for."""
    monkeypatch.chdir(world.folder)
    monkeypatch.setenv("OPENAI_API_KEY", world.sandbox.key)
    monkeypatch.setenv("OPENAI_BASE_URL", world.sandbox.url)
    monkeypatch.setenv("HEROES_MY", str(world.folder / "my"))
    return world


MODULES = {
    "asyncio": asyncio,
    "OpenAI": OpenAI,
    "check_file": check_file,
    "follow": follow,
    "load_dotenv": load_dotenv,
    "loss_curve": loss_curve,
    "np": np,
    "openai": openai,
    "pd": pd,
    "read_jsonl": read_jsonl,
    "result_frame": result_frame,
    "score": score,
    "to_chat": to_chat,
    "to_completions": to_completions,
    "write_jsonl": write_jsonl,
}


def names_in(source: str) -> set[str]:
    tree = compile(source, "<row>", "exec", flags=ast.PyCF_ONLY_AST | AWAIT)
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def namespace(row: OldCall, world: World) -> dict[str, Any]:
    """The names that a row uses, and no others: what is not needed is not made."""
    wanted = names_in(row.check) | (set() if row.is_command else names_in(row.new))
    made = {name: make() for name, make in world.things().items() if name in wanted}
    return {**MODULES, **made}


def run_python(source: str, names: dict[str, Any]) -> Any:
    """Run the statements; the value of the last one comes back if it is an expression."""
    tree = compile(source, "<row>", "exec", flags=ast.PyCF_ONLY_AST | AWAIT)
    last = tree.body[-1]
    if isinstance(last, ast.Expr):
        target = ast.copy_location(ast.Name("result", ast.Store()), last)
        tree.body[-1] = ast.copy_location(ast.Assign([target], last.value), last)
    code = compile(tree, "<row>", "exec", flags=AWAIT)
    names["result"] = None
    done = eval(code, names)
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(closing(done, names["async_client"]))
    return names["result"]


async def closing(done: Awaitable[Any], client: AsyncOpenAI) -> None:
    async with client:
        await done


def run_command(line: str, world: World) -> str:
    """Run a command; what it prints comes back. (Others test it as a program of its own.)"""
    known = world.words()
    words = [str(known[word]()) if word in known else word for word in shlex.split(line)[1:]]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0, f"{line}\n{done.output}"
    return done.stdout


# peft still asks transformers by an old name.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.old[:40]}")
def test_todays_call_runs(row: OldCall, at_work: World) -> None:
    names = namespace(row, at_work)
    if row.is_command:
        names["out"] = run_command(row.new, at_work)
    else:
        names["result"] = run_python(row.new, names)
    assert eval(row.check, names), f"{row.new}: not {row.check}"


# The classes of the package before version 1, as far as guides about fine-tuning use them.
OLD_CLASSES = (
    "ChatCompletion Completion Edit Embedding Engine File FineTune FineTuningJob Model".split()
)


@pytest.mark.parametrize("name", OLD_CLASSES)
def test_the_old_classes_say_that_they_are_gone(name: str) -> None:
    assert any(f"openai.{name}." in row.old or f"openai.{name}." in row.note for row in ROWS)
    with pytest.raises((AttributeError, openai.OpenAIError)):
        getattr(openai, name).create()


@pytest.mark.parametrize("name", ["error", "embeddings_utils"])
def test_the_old_modules_are_gone(name: str) -> None:
    assert not hasattr(openai, name)


def test_the_package_has_no_command_line() -> None:
    scripts = importlib.metadata.distribution("openai").entry_points
    assert not [each.name for each in scripts if each.group == "console_scripts"]


def test_every_pair_is_there_once() -> None:
    assert len({row.old for row in ROWS}) == len(ROWS)


def test_named_notebooks_exist() -> None:
    have = {path.name[:2] for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert {row.notebook for row in ROWS if row.notebook} <= have
