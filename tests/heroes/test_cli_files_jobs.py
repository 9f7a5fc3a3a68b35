"""`heroes files`, `heroes jobs`, `heroes models`: against a real sandbox that really trains."""

from __future__ import annotations

import csv
import io
import json
import sys
import time
from pathlib import Path

import pytest
from openai import NotFoundError, OpenAI

from helpers.jsonl import write_jsonl
from tests.support.heroes_command import Heroes, Terminal, heroes, interrupt
from tests.support.live_sandbox import (
    LiveSandbox,
    chat_examples,
    live_client,
    live_model,
    live_sandbox,
)
from tests.support.proxy import Proxy

__all__ = ["heroes", "live_client", "live_model", "live_sandbox"]


@pytest.fixture
def train(tmp_path: Path) -> Path:
    return write_jsonl(tmp_path / "train.jsonl", chat_examples(60))


@pytest.fixture
def long_job(heroes: Heroes, train: Path) -> str:
    """A job that would train for minutes."""
    made = heroes("jobs", "create", "-t", str(train), "--epochs", "50", "--no-follow")
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def test_a_file_from_upload_to_delete(heroes: Heroes, train: Path, tmp_path: Path) -> None:
    up = heroes("files", "upload", str(train))
    file_id = up.stdout.strip()
    assert up.returncode == 0
    assert file_id.startswith("file-")
    assert "60 examples, chat format, no problems" in up.stderr
    row = next(line for line in heroes("files", "list").stdout.splitlines() if file_id in line)
    assert row.split()[1:3] == ["train.jsonl", "fine-tune"]
    assert heroes.json("files", "get", file_id)["bytes"] == train.stat().st_size
    assert "train.jsonl" in heroes("files", "get", file_id).stdout
    assert heroes("files", "content", file_id).stdout == train.read_text(encoding="utf-8")
    copy = tmp_path / "copy.jsonl"
    heroes("files", "content", file_id, "-o", str(copy))
    assert copy.read_bytes() == train.read_bytes()
    unsure = heroes("files", "delete", file_id)
    assert (unsure.returncode, "--yes" in unsure.stderr) == (1, True)
    assert heroes.json("files", "delete", file_id, "--yes")[0]["deleted"] is True
    gone = heroes("files", "get", file_id)
    assert gone.returncode == 1
    assert gone.stderr.startswith("heroes: Not found (404)")
    assert "heroes files list" in gone.stderr
    assert gone.stderr.count("\n") == 1


def test_a_bad_file_is_not_uploaded(heroes: Heroes, tmp_path: Path) -> None:
    bad = write_jsonl(tmp_path / "bad.jsonl", [{"messages": []}] * 12)
    before = len(heroes.json("files", "list", "--all"))
    for command in (["files", "upload", str(bad)], ["jobs", "create", "-t", str(bad)]):
        refused = heroes(*command)
        assert refused.returncode == 1
        assert refused.stdout == ""
        assert "line 1, messages" in refused.stderr
        assert "heroes prepare" in refused.stderr.splitlines()[-1]
    assert len(heroes.json("files", "list", "--all")) == before


def test_lists_are_cut_only_with_a_word(heroes: Heroes, train: Path) -> None:
    heroes("files", "upload", str(train), str(train), str(train))
    cut = heroes("files", "list", "--limit", "2")
    assert len(cut.stdout.splitlines()) == 3
    assert "--all" in cut.stderr
    assert len(heroes.json("files", "list", "--all")) >= 3


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("columns", [40, 80, 200])
def test_no_window_breaks_an_id(heroes: Heroes, train: Path, columns: int) -> None:
    file_id = heroes("files", "upload", str(train)).stdout.strip()
    with Terminal(heroes, "files", "list", columns=columns) as terminal:
        shown = terminal.read_all()
        assert terminal.wait() == 0
    assert file_id in shown
    assert ("─" in shown) == (columns == 200)  # drawn where there is room


def test_a_job_from_two_paths_to_its_model(
    heroes: Heroes, train: Path, tmp_path: Path, live_client: OpenAI
) -> None:
    exam = write_jsonl(tmp_path / "exam.jsonl", chat_examples(12))
    options = ["--suffix", "Tiny", "--epochs", "2", "--batch-size", "30", "--seed", "7"]
    words = ["-t", str(train), "-v", str(exam), *options, "--metadata", "who=me"]
    done = heroes("jobs", "create", *words)
    assert done.returncode == 0, done.stderr
    assert "Step 4/4" in done.stdout
    model = done.stdout.split()[-1]
    assert model.startswith("ft:superhero-mini:learner:tiny:")
    job = heroes.json("jobs", "list", "--limit", "1")[0]
    assert (job["fine_tuned_model"], job["seed"]) == (model, 7)
    assert (job["metadata"], job["hyperparameters"]["batch_size"]) == ({"who": "me"}, 30)
    shown = heroes("jobs", "get", job["id"]).stdout
    for part in (model, "n_epochs 2", "who=me", job["validation_file"]):
        assert part in shown
    # Piped: nothing is cut off, nothing is coloured.
    listed = heroes("jobs", "list", COLUMNS="40").stdout
    assert job["id"] in listed
    assert model in listed
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
    assert len(heroes.json("jobs", "results", job["id"])) == 4

    again = heroes("jobs", "follow", job["id"], "--json").stdout.splitlines()
    assert len(again) == len(events) + 1
    assert json.loads(again[-1])["status"] == "succeeded"
    assert model in heroes("models", "list", "--tuned").stdout
    assert heroes("models", "delete", model).returncode == 1
    assert heroes("models", "delete", model, "--yes").stdout == f"Deleted: {model}\n"
    with pytest.raises(NotFoundError):
        live_client.models.retrieve(model)


def test_ctrl_c_ends_the_following_and_not_the_job(
    heroes: Heroes, train: Path, live_client: OpenAI
) -> None:
    following = heroes.start("jobs", "create", "-t", str(train), "--epochs", "50")
    assert following.stdout is not None
    first = following.stdout.readline()
    code, _, err = interrupt(following)
    job_id = first.split()[-1]
    assert code == 130
    assert f"heroes jobs follow {job_id}" in err
    assert f"heroes jobs cancel {job_id}" in err
    assert "Traceback" not in err
    time.sleep(0.5)
    assert live_client.fine_tuning.jobs.retrieve(job_id).status in ("queued", "running")
    assert "is cancelled" in heroes("jobs", "cancel", job_id).stdout
    ended = heroes("jobs", "follow", job_id)
    assert (ended.returncode, ended.stderr) == (1, "heroes: The job was cancelled.\n")


def test_pause_and_resume(heroes: Heroes, long_job: str, live_client: OpenAI) -> None:
    while live_client.fine_tuning.jobs.retrieve(long_job).status != "running":
        time.sleep(0.1)
    assert heroes("jobs", "pause", long_job).returncode == 0
    paused = heroes("jobs", "follow", long_job, "--every", "0.2")
    assert paused.returncode == 3
    assert f"heroes jobs resume {long_job}" in paused.stderr
    unfinished = heroes("jobs", "results", long_job)
    assert (unfinished.returncode, "paused" in unfinished.stderr) == (3, True)
    assert "queued" in heroes("jobs", "resume", long_job).stdout
    assert heroes.json("jobs", "cancel", long_job)["status"] == "cancelled"
    late = heroes("jobs", "cancel", long_job)
    assert late.returncode == 1
    assert late.stderr.startswith("heroes: Refused (400)")


def test_a_job_that_fails_says_why(heroes: Heroes, tmp_path: Path) -> None:
    few = write_jsonl(tmp_path / "few.jsonl", chat_examples(5))
    failed = heroes("jobs", "create", "-t", str(few), "--no-check")
    assert failed.returncode == 1
    assert "heroes: The job failed. invalid_n_examples" in failed.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("nowhere.jsonl", "There is no file nowhere.jsonl here."),
        ("folder/file-abc", "There is no file folder/file-abc here."),
        ("file-abc", "`heroes files list` shows what there is."),
    ],
)
def test_a_training_file_that_is_not_there(heroes: Heroes, named: str, told: str) -> None:
    refused = heroes("jobs", "create", "-t", named, "--no-follow")
    assert refused.returncode == 1
    assert told in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_lost_answer_does_not_make_a_second_job(
    heroes: Heroes, train: Path, live_client: OpenAI
) -> None:
    """The server makes the job, but its answer is lost: the command finds the job by itself."""
    file_id = heroes("files", "upload", str(train)).stdout.strip()
    real = heroes.environment["OPENAI_BASE_URL"]
    with Proxy(real, loses={"/fine_tuning/jobs"}) as proxy:
        made = heroes("jobs", "create", "-t", file_id, "--no-follow", OPENAI_BASE_URL=proxy.url)
    assert made.returncode == 0, made.stderr
    jobs = [job for job in live_client.fine_tuning.jobs.list() if job.training_file == file_id]
    assert [job.id for job in jobs] == [made.stdout.strip()]
    live_client.fine_tuning.jobs.cancel(jobs[0].id)


def test_a_key_is_never_shown(heroes: Heroes, live_sandbox: LiveSandbox) -> None:
    wrong = live_sandbox.key[:-4] + "none"
    for words in (("files", "list"), ("jobs", "get", "x"), ("chat", "hi"), ("jobs", "list")):
        good, bad = heroes(*words), heroes(*words, OPENAI_API_KEY=wrong)
        assert live_sandbox.key not in good.stdout + good.stderr
        assert wrong not in bad.stdout + bad.stderr
        assert bad.returncode == 1
        assert "heroes keys create" in bad.stderr
