"""The checks behind the kills can fail: a state that is damaged in each way has each way reported.

The jobs are copies of one healthy job; each gets a damage of its own.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from openai import OpenAI

from bench import clients, common
from bench.clients import Told
from bench.lost import lost, lost_in_state
from bench.undisturbed import Undisturbed, settle
from tests.support.tiny import kept_base

posix = pytest.mark.skipif(os.name == "nt", reason="the environment of processes is read")
pytestmark = [pytest.mark.slow, posix]

# What has become of a job, and what is said of it.
AGAIN = (
    "INSERT INTO events (id, job_id, created_at, level, type, message, data) "
    "SELECT id || 'x', job_id, created_at, level, type, message, data FROM events "
    "WHERE job_id = :job AND "
)
JOB_DAMAGES = {
    f"{AGAIN} message LIKE 'Checkpoint%50 %'": "events instead of",
    f"{AGAIN} step = 200": "events instead of",
    "UPDATE events SET message = (SELECT message FROM events WHERE job_id = :job AND step = 7) "
    "WHERE job_id = :job AND step = 8": "is 'Step 7/200",
    "DELETE FROM events WHERE job_id = :job AND step = 5": "is 'Step 6/200",
    "UPDATE events SET id = 'other' WHERE job_id = :job AND step = 9": "events that were listed",
    "DELETE FROM checkpoints WHERE job_id = :job AND step = 150": "checkpoint ftckpt",
    "DELETE FROM models WHERE job_id = :job AND step = 150": "does not answer",
    "DELETE FROM jobs WHERE id = :job": "is gone",
    "UPDATE jobs SET status = 'failed' WHERE id = :job": "it is failed",
    "UPDATE jobs SET status = 'cancelled' WHERE id = :job": "instead of 'The job has been canc",
    "UPDATE jobs SET result_files = '[]' WHERE id = :job": "its result file",
}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return Undisturbed(tmp_path_factory.mktemp("lost") / "own", kept_base())


def upload(client: OpenAI, told: Told, content: bytes, purpose: str = "user_data") -> str:
    file = client.files.create(file=("lost.jsonl", content), purpose=purpose)
    told.files[file.id] = content
    return file.id


OTHER_OUTPUT = json.dumps(
    [
        {
            "id": "msg_other",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "other", "annotations": []}],
        }
    ]
)


def use(client: OpenAI, model: str) -> Told:
    """Use everything once but jobs; return what the server has acknowledged."""
    told = Told()
    for content in (b"{}", b"[]", b"1", b"2"):
        upload(client, told, content)
    deleted = upload(client, told, b"3")
    client.files.delete(deleted)
    del told.files[deleted]
    told.deleted.add(deleted)
    lines = "".join(clients.batch_line(name, model) for name in clients.LINES).encode()
    batch = client.batches.create(
        input_file_id=upload(client, told, lines, "batch"),
        endpoint="/v1/completions",
        completion_window="24h",
    )
    told.batches.add(batch.id)
    for background in (False, False, True):
        response = clients.create_response(client, model, background)
        told.responses[response.id] = clients.end_of(response)
    return told


def copy_job(db: sqlite3.Connection, folder: Path, told: Told, job_id: str, number: int) -> str:
    """Copy all rows and folders of a job, and what was told of it; return the copy's id."""
    new_id = f"ftjob-{number:024}"
    told.jobs[new_id] = {}
    for table in ("jobs", "events", "checkpoints", "models"):
        key = "id" if table == "jobs" else "job_id"
        for row in db.execute(f"SELECT * FROM {table} WHERE {key} = ? ORDER BY n", [job_id]):
            values = dict(row) | {"n": None}
            for name in {"id", "name", "model", "fine_tuned_model"} & values.keys():
                if table != "jobs" or name == "fine_tuned_model":
                    values[name] += f"-{number}"
            values[key] = new_id
            if table == "events":
                told.jobs[new_id][values["id"]] = None
            elif table == "checkpoints":
                told.checkpoints[values["id"]] = new_id, values["step"]
            elif table == "models":
                values["path"] = f"{new_id}-{values['step']}"
                shutil.copytree(folder / row["path"], folder / values["path"])
            marks = ", ".join(f":{name}" for name in values)
            db.execute(f"INSERT INTO {table} VALUES ({marks})", values)
    return new_id


def damage_jobs(
    db: sqlite3.Connection, folder: Path, told: Told, job_id: str
) -> Iterator[tuple[str, str]]:
    """Copy and damage the job in one way after the other; yield what must be said of which."""
    for number, (query, said) in enumerate(JOB_DAMAGES.items()):
        copy = copy_job(db, folder, told, job_id, number)
        db.execute(query, {"job": copy})
        yield copy, said
    copy = copy_job(db, folder, told, job_id, 100)
    shutil.rmtree(folder / f"{copy}-200")
    yield copy, "does not answer"
    yield copy, "is recorded and not there"
    copy = copy_job(db, folder, told, job_id, 101)
    shutil.copytree(folder / f"{copy}-100", folder / f"{copy}-200", dirs_exist_ok=True)
    yield copy, "other weights"


def damage_files_and_more(
    db: sqlite3.Connection, folder: Path, told: Told
) -> Iterator[tuple[str, str]]:
    """Damage files, the batch and the response; yield what must be said of which."""
    gone, changed, missing, *_ = told.files
    [deleted], [batch] = told.deleted, told.batches
    db.execute("DELETE FROM files WHERE id = ?", [gone])
    yield gone, "is gone"
    (folder / changed).write_bytes(b"other")
    yield changed, "another content"
    (folder / missing).unlink()
    yield missing, "cannot be read"
    yield missing, "is recorded and not there"
    db.execute("UPDATE files SET deleted_at = NULL WHERE id = ?", [deleted])
    yield deleted, "was deleted and is there"
    db.execute("UPDATE batches SET completed = 41, output_tokens = output_tokens + 60")
    yield batch, "completed=41"
    yield batch, "2460 tokens instead of 2400"
    [output] = db.execute("SELECT output_file FROM batches").fetchone()
    lines = (folder / output).read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / output).write_text("".join([*lines, lines[0]]), encoding="utf-8")
    yield batch, "not each answered once"
    lost, other, failed = told.responses
    db.execute("DELETE FROM responses WHERE id = ?", [lost])
    yield lost, "is gone"
    change = "UPDATE responses SET answer = json_set(answer, '$.output', json(?)) WHERE id = ?"
    db.execute(change, [OTHER_OUTPUT, other])
    yield other, ": other' and was"
    change = "UPDATE responses SET answer = json_set(answer, '$.status', 'failed') WHERE id = ?"
    db.execute(change, [failed])
    yield failed, "failed: "  # in which quotes depends on the model's words


def test_whatever_is_lost_or_done_twice_is_reported(
    expected: Undisturbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = expected.server
    server.start()
    with clients.new_client(server.key) as client:
        settle(client, server)
        told = use(client, server.model)
        told.jobs[expected.job_id] = {}
        assert lost(client, server, told, expected) == []
        with closing(sqlite3.connect(server.state / "sandbox.db")) as db, db:
            db.row_factory = sqlite3.Row
            faults = list(damage_files_and_more(db, server.state / "files", told))
            faults += damage_jobs(db, server.state / "models", told, expected.job_id)
        server.start()
        monkeypatch.setattr(common, "ORPHAN_SECONDS", 1)  # this one stays
        sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
        with subprocess.Popen(sleep, env=os.environ | {common.MARK: server.mark}) as orphan:
            problems = lost(client, server, told, expected)
            orphan.kill()
    faults += [("an orphan", str(orphan.pid)), ("rows of events", "belong to nothing")]
    missed = [fault for fault in faults if not any(all(map(p.count, fault)) for p in problems)]
    assert not missed, "\n".join(problems)
    assert not any(expected.job_id in problem for problem in problems)


def test_what_is_left_behind_is_reported(expected: Undisturbed) -> None:
    leftovers = [Path("files/file-x"), Path("models/ftjob-x-3.part"), Path("jobs/ftjob-x")]
    for name in leftovers:
        (expected.server.state / name).mkdir()
    problems = list(lost_in_state(expected.server.state, Told(), expected))
    for name in leftovers:
        assert f"{name} is there and not recorded" in problems
