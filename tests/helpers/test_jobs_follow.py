"""Jobs: created once, found again, and followed to their ends through interrupts and kills."""

from __future__ import annotations

import base64
import signal
import socket
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

from helpers import follow as following
from helpers.events import Progress, all_events, loss_frame, metrics_of, result_frame
from helpers.follow import ConnectionLost, follow, follow_all, watch
from helpers.jobs import (
    FILES,
    WIND_DOWN,
    JobLost,
    UploadError,
    create_once,
    ensure_job,
    find_job,
    labels_for,
    upload,
)
from helpers.jsonl import write_jsonl
from helpers.money import BudgetExceeded
from helpers.settings import Settings
from tests.support.provider import Answer, Provider
from tests.support.proxy import Proxy
from tests.support.server import Server, chat_examples, wait_for


def submit(
    client: OpenAI, model: str, folder: Path, epochs: int = 2, rows: int = 16, **more: Any
) -> FineTuningJob:
    """A small job with a validation file: a step for every two rows, in every epoch."""
    train = upload(client, write_jsonl(folder / "train.jsonl", chat_examples(rows)))
    valid = upload(client, write_jsonl(folder / "valid.jsonl", chat_examples(4)))
    numbers: dict[str, Any] = {"n_epochs": epochs, "batch_size": 2}
    return create_once(
        client,
        model=model,
        training_file=train.id,
        validation_file=valid.id,
        seed=1,
        method={"type": "supervised", "supervised": {"hyperparameters": numbers}},
        **more,
    )


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A learner's folder with small training files of both formats."""
    monkeypatch.setenv("HEROES_MY", str(tmp_path))
    pairs = [{"prompt": f"{n}, man ->", "completion": f" Hero {n} END"} for n in range(16)]
    for training, validation in FILES.values():
        rows = pairs if "completions" in training else chat_examples(16)
        write_jsonl(tmp_path / training, rows)
        write_jsonl(tmp_path / validation, rows[:4])
    return tmp_path


def settings_for(model: str) -> Settings:
    return Settings("sandbox", "sandbox", None, model, model)


# Creating and finding: on an API without trainers, where a job waits for good.


def test_a_job_is_created_once_and_then_found(
    client: OpenAI, base_model: str, course: Path
) -> None:
    unlabelled = submit(client, base_model, course)
    assert unlabelled.metadata is None, "as in an account with jobs of other programs"
    settings = settings_for(base_model)
    made = ensure_job(client, settings)
    assert made.metadata == {"course": "superheroes", "format": "chat"}
    assert made.seed == 42
    assert ensure_job(client, settings).id == made.id
    pairs = ensure_job(client, settings, "completion")
    assert pairs.metadata == {"course": "superheroes", "format": "completion"}
    assert find_job(client, {"course": "superheroes"}).id == pairs.id, "the newest"
    assert find_job(client, {"format": "chat"}, base_model="another-base") is None
    client.fine_tuning.jobs.cancel(made.id)
    assert find_job(client, {"format": "chat"}, base_model=base_model) is None
    client.fine_tuning.jobs.cancel(pairs.id)
    client.fine_tuning.jobs.cancel(unlabelled.id)


def test_pairs_train_the_generator_on_the_sandbox(
    client: OpenAI, base_model: str, course: Path
) -> None:
    settings = Settings("sandbox", "sandbox", None, base_model, "no-such-model")
    pairs = ensure_job(client, settings, "completion")
    assert pairs.model == base_model
    client.fine_tuning.jobs.cancel(pairs.id)


def test_a_job_may_bear_the_dated_name_of_its_base() -> None:
    jobs = [
        {"id": "a", "model": "m-mini", "status": "running", "metadata": {"x": "1"}},
        {"id": "b", "model": "m-2025-04-14", "status": "running", "metadata": {"x": "1"}},
    ]
    page = {"object": "list", "data": jobs, "has_more": False}
    with (
        Provider(lambda *_: (200, {}, page)) as provider,
        OpenAI(base_url=provider.url, api_key="k") as client,
    ):
        found = find_job(client, {"x": "1"}, base_model="m")
    assert found and found.id == "b"


def test_a_lost_answer_makes_no_second_job(api: Any, base_model: str, tmp_path: Path) -> None:
    path = "/v1/fine_tuning/jobs"
    with Proxy(api.url.removesuffix("/v1"), loses={path}) as proxy:
        with OpenAI(base_url=f"{proxy.url}/v1", api_key=api.key) as client:
            labels = {"name": "lost"}
            made = submit(client, base_model, tmp_path, metadata=labels)
            assert [job.id for job in client.fine_tuning.jobs.list(metadata=labels)] == [made.id]
            client.fine_tuning.jobs.cancel(made.id)
        assert proxy.calls.count(f"POST {path}") == 1


@pytest.mark.parametrize(("listed", "raised"), [(503, JobLost), (200, openai.InternalServerError)])
def test_whether_there_is_a_job_is_told(listed: int, raised: type[Exception]) -> None:
    def script(number: int, body: dict[str, Any]) -> Answer:
        empty = {"object": "list", "data": [], "has_more": False}
        return ((200, listed, listed)[min(number, 2)] if number != 1 else 503), {}, empty

    with Provider(script) as provider:
        client = OpenAI(base_url=provider.url, api_key="k", max_retries=0)
        with client, pytest.raises(raised):
            create_once(client, model="m", training_file="file-1")
        assert len(provider.calls) == 3


def test_what_is_refused_is_raised(
    client: OpenAI, base_model: str, course: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(openai.NotFoundError):
        ensure_job(client, settings_for("no-such-model"))
    closed = {"X-Sandbox-Fault": "training_not_available"}
    with pytest.raises(openai.PermissionDeniedError) as refusal:
        submit(client, base_model, course, extra_headers=closed)
    assert refusal.value.__notes__ == [WIND_DOWN]
    monkeypatch.setenv("HEROES_MAX_USD", "0.000001")
    files = len(list(client.files.list()))
    model = "gpt-4.1-mini-2025-04-14"
    with pytest.raises(BudgetExceeded):
        ensure_job(client, Settings("hosted", "openai", None, model, model))
    assert len(list(client.files.list())) == files, "nothing was uploaded"


def test_an_upload_is_looked_at(client: OpenAI, tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "small.jsonl", chat_examples())
    file = upload(client, str(path))
    assert (file.filename, file.purpose, file.status) == ("small.jsonl", "fine-tune", "processed")
    assert client.files.content(file.id).read() == path.read_bytes()
    bad = {"id": "f", "filename": "x.jsonl", "status": "error", "status_details": "Line 3."}
    with (
        Provider(lambda *_: (200, {}, bad)) as provider,
        OpenAI(base_url=provider.url, api_key="k") as other,
        pytest.raises(UploadError, match=r"x\.jsonl could not be processed: Line 3\."),
    ):
        upload(other, path)


def test_labels_tell_experiments_apart() -> None:
    rows = chat_examples(12)
    labels = labels_for(rows, 4, 5)
    assert (labels["rows"], labels["epochs"], labels["rate"]) == ("12", "4", "5")
    assert labels_for(rows, 4, 5.0) == labels, "the same recipe"
    others = labels_for(rows[:-1], 4, 5), labels_for(rows, 3, 5), labels_for(rows, 4, 1)
    assert labels not in (*others, labels_for(rows[::-1], 4, 5))


# Following: on a whole sandbox with a tiny model.


def test_jobs_are_followed_to_their_ends(
    live_client: OpenAI, live_model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = {"name": "short"}
    short = submit(live_client, live_model, tmp_path, 1, metadata=labels, suffix="SuperHero")
    names = {"short": short.id, "long": submit(live_client, live_model, tmp_path, 2).id}
    done = follow_all(live_client, names, every=0.05)
    assert {name: job.status for name, job in done.items()} == dict.fromkeys(names, "succeeded")
    assert capsys.readouterr().out.splitlines() == [
        "short: succeeded after 8 steps",
        "long: succeeded after 16 steps",
    ]
    model = done["short"].fine_tuned_model
    for _ in range(2):
        assert follow(live_client, short.id).fine_tuned_model == model
        last = f"The job succeeded after 8 steps. The model is called {model}"
        assert capsys.readouterr().out.splitlines() == ["succeeded", last]
    assert find_job(live_client, labels)
    live_client.models.delete(model)
    assert find_job(live_client, labels) is None, "its model is gone"
    assert follow_all(live_client, {}) == {}
    for lost in (follow, lambda client, job_id: follow_all(client, {"gone": job_id})):
        with pytest.raises(openai.NotFoundError):
            lost(live_client, "ftjob-000000000000000000000000")


def test_no_event_is_lost_between_looks_and_pages(
    live_client: OpenAI, live_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helpers.events.PAGE", 3)
    job = submit(live_client, live_model, tmp_path)
    looks = list(watch(live_client, job.id, every=0.05))
    seen = [event for _, events in looks for event in events]
    assert seen == all_events(live_client, job.id)
    assert seen[0].message.startswith("Created fine-tuning job")
    assert seen[-1].message == "The job has successfully completed"
    assert all_events(live_client, job.id, after_id=seen[5].id) == seen[6:]
    losses, result = loss_frame(seen), result_frame(live_client, looks[-1][0])
    assert losses["step"].tolist() == result["step"].tolist() == list(range(1, 17))
    assert losses["valid_loss"].notna().any()
    assert result["train_loss"].tolist() == pytest.approx(losses["train_loss"].tolist(), abs=1e-3)


def test_time_a_pause_an_interrupt_and_the_end(
    live_client: OpenAI,
    live_model: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = submit(live_client, live_model, tmp_path, 50, rows=400)
    assert follow(live_client, job.id, every=0.05, timeout=0.1).finished_at is None
    assert "Time is up for following. The job goes on" in capsys.readouterr().out
    wait_for(live_client, job.id, "running")
    with monkeypatch.context() as patched:
        # Ctrl-C while it waits for its next look.
        patched.setattr(following.time, "sleep", lambda _: signal.raise_signal(signal.SIGINT))
        assert follow(live_client, job.id).status == "running"
        assert "Stopped following. The job goes on without us" in capsys.readouterr().out
        assert follow_all(live_client, {"one": job.id})["one"].status == "running"
        assert "The jobs go on without us" in capsys.readouterr().out
    live_client.fine_tuning.jobs.pause(job.id)
    assert str(follow(live_client, job.id, every=0.05).status) == "paused"
    assert "jobs.resume(job.id) lets it go on" in capsys.readouterr().out
    live_client.fine_tuning.jobs.cancel(job.id)
    assert follow(live_client, job.id, every=0.05).status == "cancelled"
    assert "The job was cancelled at step" in capsys.readouterr().out


def test_a_failed_job_says_why(
    client: OpenAI, base_model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = upload(client, write_jsonl(tmp_path / "bad.jsonl", chat_examples(7)))
    job = create_once(client, model=base_model, training_file=bad.id)
    job = follow(client, job.id, every=0.05)
    assert "The job failed. invalid_n_examples: Training file has 7" in capsys.readouterr().out
    with pytest.raises(ValueError, match="no result file: its status is failed"):
        result_frame(client, job)


def test_a_lost_connection_is_waited_for(
    live_sandbox: Server,
    live_model: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The job goes on meanwhile. (That jobs outlive a killed server is tested with the server.)"""
    monkeypatch.setattr(following, "RETRY_SECONDS", 0.05)
    with (
        Proxy(live_sandbox.url.removesuffix("/v1")) as proxy,
        OpenAI(base_url=f"{proxy.url}/v1", api_key=live_sandbox.key, max_retries=0) as client,
    ):
        job = submit(client, live_model, tmp_path)
        looks = watch(client, job.id, every=0.05)
        seen = next(looks)[1]
        proxy.drops = 2
        seen += [event for _, events in looks for event in events]
        assert seen == all_events(client, job.id)
        assert loss_frame(seen)["step"].tolist() == list(range(1, 17))
        proxy.drops = 3
        assert follow(client, job.id, every=0.05).status == "succeeded"
        assert proxy.drops == 0
        assert capsys.readouterr().out.count("No connection: trying again") == 1


def test_patience_has_an_end() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    told: list[str] = []
    with (
        OpenAI(base_url=url, api_key="k", max_retries=0) as client,
        pytest.raises(ConnectionLost, match="follow it again when the server is back"),
    ):
        next(watch(client, "ftjob-1", patience=0.2, on_trouble=told.append))
    assert len(told) == 1


def test_in_a_notebook_one_line_is_printed(
    live_client: OpenAI,
    live_model: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(following, "in_notebook", lambda: True)
    monkeypatch.setattr("helpers.live.show", lambda box, words: shown.append(words))
    monkeypatch.setattr(following, "show", lambda box, words: shown.append(box.value + words))
    job = submit(live_client, live_model, tmp_path)
    follow(live_client, job.id, every=0.05)
    follow_all(live_client, {"<10> rows": job.id}, every=0.05)
    assert ["live view of the job" in shown[0], "live view of 1 jobs" in shown[1]] == [True] * 2
    assert len(capsys.readouterr().out.splitlines()) == 2


# Events and result files of servers that are not quite like ours.


def event(number: int, message: str = "", data: Any = None) -> FineTuningJobEvent:
    return FineTuningJobEvent.construct(id=f"ftevent-{number}", message=message, data=data)


def test_numbers_come_from_the_data_of_metrics_events() -> None:
    events = [
        event(1, "Created fine-tuning job: ftjob-1"),
        event(2, data={"step": 1, "train_loss": 2.5, "total_steps": 3}),
        event(3, data={"step": 2, "train_loss": 1.0, "full_valid_loss": 1.75}),
        event(4, data={"step": 2, "train_loss": 0.9}),  # once more, after a resume
        event(5, "Nothing was measured.", data={"step": 3}),
    ]
    assert metrics_of(events[1]) == {"step": 1, "total_steps": 3, "train_loss": 2.5}
    assert metrics_of(events[0]) is None
    frame = loss_frame(events)
    assert frame["step"].tolist() == [1, 2]
    assert frame["train_loss"].tolist() == [2.5, 0.9]
    assert loss_frame([]).dtypes["step"] == "int64"
    job = FineTuningJob.construct(status="running", finished_at=None, error=None)
    progress = Progress()
    progress.add(job, events)
    assert (str(progress), progress.at_rest) == ("running: step 2 of 3", False)
    job.status, job.finished_at = "ended_early", 1  # type: ignore[assignment]
    assert progress.at_rest, "whatever a provider calls it"


CSV = b"step,train_loss\n1,2.5\n"


@pytest.mark.parametrize(
    ("served", "rows"),
    [
        (CSV, 1),
        (base64.b64encode(CSV), 1),
        (base64.encodebytes(CSV), 1),
        (b"no table", 0),
        (base64.b64encode(b"no table"), 0),
    ],
)
def test_result_files_plain_and_in_base64(served: bytes, rows: int) -> None:
    job = FineTuningJob.construct(status="succeeded", result_files=["file-1"])
    with (
        Provider(lambda *_: (200, {}, served.decode())) as provider,
        OpenAI(base_url=provider.url, api_key="k") as client,
    ):
        if rows:
            assert result_frame(client, job)["train_loss"].tolist() == [2.5]
        else:
            with pytest.raises(ValueError, match="neither a CSV nor a CSV in base64"):
                result_frame(client, job)
