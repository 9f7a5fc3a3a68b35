"""`heroes jobs` against a sandbox that really trains."""

from __future__ import annotations

import csv
import io
import json
import time
from pathlib import Path

import pytest
from openai import OpenAI

from helpers.jsonl import write_jsonl
from tests.support.heroes_command import HeroesInProcess
from tests.support.proxy import Proxy
from tests.support.server import chat_examples

pytestmark = pytest.mark.slow


@pytest.fixture
def train(tmp_path: Path) -> Path:
    return write_jsonl(tmp_path / "train.jsonl", chat_examples(60))


def test_a_job_from_two_paths_to_its_model(
    heroes: HeroesInProcess, train: Path, tmp_path: Path, live_model: str
) -> None:
    valid = write_jsonl(tmp_path / "valid.jsonl", chat_examples(12))
    options = ["--suffix", "Tiny", "--epochs", "2", "--batch-size", "30", "--seed", "7"]
    words = ["-m", live_model, "-t", str(train), "-v", str(valid), *options]
    done = heroes("jobs", "create", *words, "--metadata", "who=me")
    assert done.returncode == 0, done.stderr
    assert "Step 4/4" in done.stdout
    model = done.stdout.split()[-1]
    assert model.lower().startswith(f"ft:{live_model}:learner:tiny:")
    job = heroes.json("jobs", "list", "--limit", "1")[0]
    assert (job["fine_tuned_model"], job["seed"], job["metadata"]) == (model, 7, {"who": "me"})
    assert job["hyperparameters"]["batch_size"] == 30
    shown = heroes("jobs", "get", job["id"]).stdout
    for part in (model, "n_epochs=2", "who=me", job["validation_file"]):
        assert part in shown
    # Piped: nothing is cut off, nothing is coloured.
    listed = heroes("jobs", "list", COLUMNS="40").stdout
    assert job["id"] in listed and model in listed
    assert "\x1b" not in listed + shown + done.stdout + done.stderr

    events = heroes("jobs", "events", job["id"], "--all").stdout.splitlines()
    assert "Created fine-tuning job" in events[0]
    assert "successfully completed" in events[-1]
    assert heroes("jobs", "events", job["id"], "--limit", "2").stdout.splitlines() == events[-2:]
    found = heroes.json("jobs", "checkpoints", job["id"])
    assert [each["step_number"] for each in found] == [4, 2]
    assert model in heroes("jobs", "checkpoints", job["id"]).stdout
    rows = list(csv.DictReader(io.StringIO(heroes("jobs", "results", job["id"]).stdout)))
    assert [row["step"] for row in rows] == ["1", "2", "3", "4"]
    heroes("jobs", "results", job["id"], "-o", str(tmp_path / "losses.csv"))
    assert len((tmp_path / "losses.csv").read_text().splitlines()) == 5
    assert len(heroes.json("jobs", "results", job["id"])) == 4
    again = heroes("jobs", "follow", job["id"], "--json").stdout.splitlines()
    assert len(again) == len(events) + 1
    assert json.loads(again[-1])["status"] == "succeeded"

    # The name that was printed is the name that answers, and is there to be deleted.
    answer = heroes("chat", "-m", model, "40, woman, Healing ->", "--max-tokens", "8")
    assert answer.returncode == 0, answer.stderr
    assert model in heroes("models", "list", "--tuned").stdout
    assert heroes("models", "delete", model).returncode == 1
    assert heroes("models", "delete", model, "--yes").stdout == f"Deleted: {model}\n"


def test_pause_resume_and_cancel(
    heroes: HeroesInProcess, train: Path, live_client: OpenAI, live_model: str
) -> None:
    words = ["-m", live_model, "-t", str(train), "--epochs", "50", "--batch-size", "1"]
    job_id = heroes("jobs", "create", *words, "--no-follow").stdout.strip()
    while live_client.fine_tuning.jobs.retrieve(job_id).status != "running":
        time.sleep(0.1)
    assert heroes("jobs", "pause", job_id).returncode == 0
    paused = heroes("jobs", "follow", job_id, "--every", "0.2")
    assert (paused.returncode, f"heroes jobs resume {job_id}" in paused.stderr) == (3, True)
    unfinished = heroes("jobs", "results", job_id)
    assert (unfinished.returncode, "paused" in unfinished.stderr) == (3, True)
    assert job_id in heroes("jobs", "resume", job_id).stdout
    assert heroes.json("jobs", "cancel", job_id)["status"] == "cancelled"
    late = heroes("jobs", "cancel", job_id)
    assert (late.returncode, late.stderr.startswith("heroes: Refused (400)")) == (1, True)
    ended = heroes("jobs", "follow", job_id)
    assert (ended.returncode, ended.stderr) == (1, "heroes: The job was cancelled.\n")


def test_a_job_that_fails_says_why(
    heroes: HeroesInProcess, tmp_path: Path, live_model: str
) -> None:
    few = write_jsonl(tmp_path / "few.jsonl", chat_examples(5))
    failed = heroes("jobs", "create", "-m", live_model, "-t", str(few), "--no-check")
    assert failed.returncode == 1
    assert failed.stderr.splitlines()[-1].startswith("heroes: The job failed. invalid_n_examples")


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("nowhere.jsonl", "There is no file nowhere.jsonl here."),
        ("folder/file-abc", "There is no file folder/file-abc here."),
        ("file-abc", "`heroes files list` shows what there is."),
    ],
)
def test_a_training_file_that_is_not_there(heroes: HeroesInProcess, named: str, told: str) -> None:
    refused = heroes("jobs", "create", "-t", named, "-m", "tiny", "--no-follow")
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert told in refused.stderr


def test_a_model_that_cannot_be_tuned_is_refused_before_the_upload(
    heroes: HeroesInProcess, train: Path, live_model: str
) -> None:
    before = heroes.json("files", "list", "--all")
    refused = heroes("jobs", "create", "-t", str(train), "-m", "gpt-4o")
    assert refused.returncode == 1
    last = refused.stderr.splitlines()[-1]
    assert last.startswith("heroes: gpt-4o cannot be fine-tuned here. This sandbox has: ")
    assert live_model in last
    assert heroes.json("files", "list", "--all") == before


def test_a_lost_answer_does_not_make_a_second_job(
    heroes: HeroesInProcess, train: Path, live_client: OpenAI, live_model: str
) -> None:
    """The server makes the job, but its answer is lost: the command finds the job by itself."""
    file_id = heroes("files", "upload", str(train)).stdout.strip()
    words = ["jobs", "create", "-t", file_id, "-m", live_model, "--no-follow"]
    with Proxy(heroes.environment["OPENAI_BASE_URL"], loses={"/fine_tuning/jobs"}) as proxy:
        made = heroes(*words, OPENAI_BASE_URL=proxy.url)
    assert made.returncode == 0, made.stderr
    jobs = [job for job in live_client.fine_tuning.jobs.list() if job.training_file == file_id]
    assert [job.id for job in jobs] == [made.stdout.strip()]
    live_client.fine_tuning.jobs.cancel(jobs[0].id)
