"""A server that dies at any point of its writing loses nothing and leaves nothing behind.

Each case is run in a forked process that ends, as after kill -9, right before its n-th call that
may change the disk, for every n there is. Then the state is opened as at the next start, what was
acknowledged is looked for, and the work is done to its end.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from bench.lost import mismatch
from bench.undisturbed import OWN_NAMES
from sandbox.bases import Base
from sandbox.engine.parent.records import JobRecord
from sandbox.engine.trainer.messages import Checkpoint, Done, Started, Step
from sandbox.store import answers, batches, checkpoints, events, files, jobs, models
from sandbox.store.batches import LineResult
from sandbox.store.database import Store
from sandbox.store.sweep import sweep
from tests.support.rows import new_batch, new_job

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

CALLS = {"execute", "replace", "rename", "unlink", "rmdir", "mkdir", "fsync", "write", "link"}
STEPS, EPOCH = 10, 2  # of the job; five checkpoints, of which three are kept
LINES = 3
BASE = Base("base", Path("base"), created=0, context=64, vocab_size=330, advice={})
Told = Callable[[str], None]


def die_before(number: int) -> Callable[[FrameType, str, Any], None]:
    """A profiler that ends the process before the n-th call that may change the disk."""
    left = number

    def look(frame: FrameType, event: str, function: Any) -> None:
        nonlocal left
        if event == "c_call" and function.__name__ in CALLS:
            left -= 1
            if left < 0:
                os._exit(9)

    return look


def run_until(number: int, state: Path, work: Callable[[Store, Told], None]) -> tuple[bool, str]:
    """Work in a process that dies; return whether it came to its end, and what it was told."""
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        code = 1
        try:
            with Store(state) as store:
                sys.setprofile(die_before(number))
                work(store, lambda text: os.write(writing, f"{text}\n".encode()) and None)
                sys.setprofile(None)
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        told = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, 9), "the work has failed"
    return code == 0, told


def open_again(state: Path) -> Store:
    """What the next start of a server does."""
    store = Store(state)
    sweep(store)
    return store


def check_folders(store: Store) -> None:
    """Every file and model has its row, and every row what it names."""
    kept_files = {row.id for row in files.list_files(store, "p").rows}
    kept_models = {row.path for row in models.list_models(store, "p")}
    assert list(mismatch(store.files_dir, kept_files)) == []
    assert list(mismatch(store.models_dir, kept_models)) == []


def use_files(store: Store, told: Told) -> None:
    for name in ("one", "two"):
        file = files.add_file(store, "p", name, "user_data", name.encode())
        told(f"kept {file.id} {name}")
    told(f"deleting {file.id}")
    files.delete_file(store, "p", file.id)
    told(f"deleted {file.id}")
    answers.add_answer(store, "p", [], {"id": "resp_1"})
    told("answered resp_1")


def test_files_and_responses(tmp_path: Path) -> None:
    ended, number = False, 0
    while not ended:
        state = tmp_path / str(number)
        Store(state).close()
        ended, told = run_until(number, state, use_files)
        with open_again(state) as store:
            check_folders(store)
            there = {row.id for row in files.list_files(store, "p").rows}
            words = [line.split() for line in told.splitlines()]
            unsure = {word[1] for word in words if word[0] == "deleting"}
            for verb, name, *content in words:
                if verb == "kept" and name not in unsure:
                    assert files.file_path(store, name).read_text("utf-8") == content[0]
                    assert name in there
                elif verb == "deleted":
                    assert name not in there
                elif verb == "answered":
                    assert answers.get_answer(store, "p", name, answers.RESPONSE)
        number += 1
    assert number > 25


def queue_job(state: Path) -> None:
    """A state with a job in the queue."""
    with Store(state) as store:
        file = files.add_file(store, "p", "rows.jsonl", "fine-tune", b"{}")
        job = jobs.create_job(store, new_job(file.id, project="p", model="base"))
        jobs.mark_queued(store, job.id)


def train(store: Store, told: Told) -> None:
    """Be the server and the trainer of the job, from its saved state to its end."""
    job = jobs.next_job(store, [])
    if job is None:
        return
    record = JobRecord(store, job, {"base": BASE})
    saved = store.jobs_dir / job.id / "state"
    saved.parent.mkdir(exist_ok=True)
    step = int(saved.read_text()) if saved.exists() else 0
    record.write(Started({"n_epochs": 5, "batch_size": 1}, 1e-3, "cpu", "float32", None))
    while step < STEPS:
        step += 1
        metrics = {"step": step, "train_loss": 1 / step, "train_mean_token_accuracy": 0.5}
        record.write(Step(step, STEPS, step / STEPS, metrics))
        told(f"step {step}")
        if step % EPOCH == 0:
            write_model(store.models_dir / f"{job.id}-{step}", step)
            if step == STEPS:
                record.write(Done(step, metrics, "chat", 100))
            else:
                record.write(Checkpoint(step, metrics, "chat"))
                part = saved.with_name("part")
                part.write_text(str(step))
                part.rename(saved)
            told(f"checkpoint {step}")
    record.tidy()


def write_model(folder: Path, step: int) -> None:
    """As a trainer does it: whole or not at all; one that is there already is replaced."""
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    (part / "model.safetensors").write_text(str(step))
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


def outcome(store: Store) -> dict[str, Any]:
    """Everything that a client sees of the job, without the names that differ from run to run."""
    [job] = jobs.list_jobs(store, "p").rows
    found = events.list_events(store, job.id, limit=1000).rows
    rows = models.list_models_of_job(store, job.id)
    return {
        "status": job.status,
        "events": [OWN_NAMES.sub("…", event.message) for event in found],
        "checkpoints": [row.step for row in checkpoints.list_checkpoints(store, job.id).rows],
        "models": [
            (models.model_path(store, row) / "model.safetensors").read_text() for row in rows
        ],
        "results": [files.file_path(store, name).read_bytes() for name in job.result_files],
    }


def test_a_job(tmp_path: Path) -> None:
    template = tmp_path / "template"
    queue_job(template)
    whole = tmp_path / "whole"
    shutil.copytree(template, whole)
    assert run_until(1_000_000, whole, train)[0]
    with open_again(whole) as store:
        expected = outcome(store)
    assert (expected["status"], expected["checkpoints"]) == ("succeeded", [10, 8, 6])
    ended, number = False, 0
    while not ended:
        state = tmp_path / str(number)
        shutil.copytree(template, state)
        ended, told = run_until(number, state, train)
        with open_again(state) as store:
            check_folders(store)
            [job] = jobs.list_jobs(store, "p").rows
            known = {event.data["step"] for event in events.list_metrics(store, job.id)}
            assert known >= {int(x.split()[1]) for x in told.splitlines() if "step" in x}
            train(store, lambda _: None)
            assert outcome(store) == expected, f"after a death at point {number}"
            check_folders(store)
            assert list(store.jobs_dir.iterdir()) == []
        shutil.rmtree(state)
        number += 1
    assert number > 100


def answer_batch(store: Store, told: Told) -> None:
    """Be the server of the batch: from where it stands to its end."""
    for row in batches.list_unfinished(store):
        if row.status == "validating":
            batches.start(store, row.id, LINES, "base")
        answered = batches.answered_lines(store, row.id)
        for line in range(1, LINES + 1):
            if line not in answered:
                content = json.dumps({"line": line})
                batches.add_result(store, row.id, LineResult(line, line != 2, content, 1, 10))
                told(f"line {line}")
        batches.mark_finalizing(store, row.id)
        batches.finish(store, row.id, "completed")


def test_a_batch(tmp_path: Path) -> None:
    ended, number = False, 0
    while not ended:
        state = tmp_path / str(number)
        with Store(state) as store:
            file = files.add_file(store, "p", "lines.jsonl", "batch", b"{}")
            batch = batches.create_batch(store, new_batch(file.id, project="p"))
        ended, told = run_until(number, state, answer_batch)
        with open_again(state) as store:
            check_folders(store)
            if not (row := batches.get_batch(store, "p", batch.id)).output_file:
                known = batches.answered_lines(store, batch.id)
                assert known >= {int(line.split()[1]) for line in told.splitlines()}
            answer_batch(store, lambda _: None)
            row = batches.get_batch(store, "p", batch.id)
            assert (row.status, row.completed, row.failed) == ("completed", 2, 1)
            assert (row.input_tokens, row.output_tokens) == (3, 30)
            texts = [
                files.file_path(store, name).read_text("utf-8")
                for name in (row.output_file, row.error_file)
            ]
            assert texts == ['{"line": 1}\n{"line": 3}\n', '{"line": 2}\n']
            check_folders(store)
        number += 1
    assert number > 30
