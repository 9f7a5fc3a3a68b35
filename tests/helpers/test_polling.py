"""Following a job: to its end, through interrupts, pauses and a killed server."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from helpers import follow as polling
from helpers import live as live_view
from helpers.follow import ConnectionLost, all_events, follow, loss_frame, result_frame
from helpers.jobs import upload
from helpers.jsonl import write_jsonl
from helpers.live import LiveView
from tests.support.live_sandbox import (  # noqa: F401
    LiveSandbox,
    chat_examples,
    live_client,
    live_model,
    live_sandbox,
    own_sandbox,
)


def submit(
    client: OpenAI, model: str, folder: Path, epochs: int = 2, rows: int = 16
) -> FineTuningJob:
    """A small job with a validation file."""
    train = upload(client, write_jsonl(folder / "train.jsonl", chat_examples(rows)))
    valid = upload(client, write_jsonl(folder / "valid.jsonl", chat_examples(4)))
    numbers: dict[str, Any] = {"n_epochs": epochs, "batch_size": 2}
    return client.fine_tuning.jobs.create(
        model=model,
        training_file=train.id,
        validation_file=valid.id,
        suffix="SuperHero",
        seed=1,
        method={"type": "supervised", "supervised": {"hyperparameters": numbers}},
    )


def test_a_job_is_followed_to_its_end(
    live_client: OpenAI,  # noqa: F811
    live_model: str,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    job = follow(live_client, submit(live_client, live_model, tmp_path).id, every=0.1, timeout=600)
    assert job.status == "succeeded", job.error
    told = capsys.readouterr().out.splitlines()
    assert told[-1] == (
        f"The job succeeded after 16 steps. The model is called {job.fine_tuned_model}"
    )
    assert len(told) == len(set(told)), "a state is told once"

    events = all_events(live_client, job.id)
    assert len({event.id for event in events}) == len(events) > 20
    assert events[0].message.startswith("Created fine-tuning job")
    assert events[-1].message == "The job has successfully completed"
    assert all_events(live_client, job.id, after_id=events[5].id) == events[6:]

    losses = loss_frame(events)
    assert losses["step"].tolist() == list(range(1, 17))
    assert losses["train_loss"].notna().all()
    assert losses["valid_loss"].notna().any()
    result = result_frame(live_client, job)
    assert result["step"].tolist() == losses["step"].tolist()
    assert result["train_loss"].tolist() == pytest.approx(losses["train_loss"].tolist(), abs=1e-3)

    follow(live_client, job.id)
    assert capsys.readouterr().out.splitlines()[-1] == told[-1], "the same line when it is over"


def test_no_event_is_lost_between_pages(
    live_client: OpenAI,  # noqa: F811
    live_model: str,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("helpers.events.PAGE", 3)
    job = submit(live_client, live_model, tmp_path)
    seen: list[str] = []
    deadline = time.monotonic() + 600
    while live_client.fine_tuning.jobs.retrieve(job.id).status != "succeeded":
        seen += [e.id for e in all_events(live_client, job.id, after_id=seen[-1] if seen else None)]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    seen += [e.id for e in all_events(live_client, job.id, after_id=seen[-1] if seen else None)]
    assert seen == [event.id for event in all_events(live_client, job.id)]


def test_pause_cancel_and_timeout_are_told(
    live_client: OpenAI,  # noqa: F811
    live_model: str,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    job = submit(live_client, live_model, tmp_path, epochs=50, rows=64)
    left = follow(live_client, job.id, every=0.05, timeout=0.1)
    assert left.status not in ("succeeded", "failed", "cancelled")
    assert capsys.readouterr().out.splitlines()[-1].startswith("Time is up for following. The job")
    wait_for_step(live_client, job.id, 2)
    live_client.fine_tuning.jobs.pause(job.id)
    paused = follow(live_client, job.id, every=0.1, timeout=600)
    assert str(paused.status) == "paused"
    assert "jobs.resume(job.id) lets it go on" in capsys.readouterr().out
    live_client.fine_tuning.jobs.resume(job.id)
    live_client.fine_tuning.jobs.cancel(job.id)
    assert follow(live_client, job.id, every=0.1, timeout=600).status == "cancelled"
    assert "The job was cancelled at step" in capsys.readouterr().out


def wait_for_step(client: OpenAI, job_id: str, step: int) -> None:
    deadline = time.monotonic() + 600
    while len(loss_frame(all_events(client, job_id))) < step:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_an_interrupt_ends_the_following_only(
    live_client: OpenAI,  # noqa: F811
    live_model: str,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = submit(live_client, live_model, tmp_path)

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(polling.time, "sleep", interrupt)
        left = follow(live_client, job.id)
    assert left.id == job.id
    told = capsys.readouterr().out.splitlines()[-1]
    assert (
        told == "Stopped following. The job goes on without us: call follow(...) again to watch it."
    )
    assert follow(live_client, job.id, every=0.1, timeout=600).status == "succeeded"


def test_a_failed_job_says_why(
    live_client: OpenAI,  # noqa: F811
    live_model: str,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bad = upload(live_client, write_jsonl(tmp_path / "bad.jsonl", chat_examples(7)))
    job = live_client.fine_tuning.jobs.create(model=live_model, training_file=bad.id)
    assert follow(live_client, job.id, every=0.05, timeout=600).status == "failed"
    assert "invalid_n_examples: Training file has 7 example(s)" in capsys.readouterr().out
    with pytest.raises(ValueError, match="no result file: its status is failed"):
        result_frame(live_client, live_client.fine_tuning.jobs.retrieve(job.id))
    with pytest.raises(openai.NotFoundError):
        follow(live_client, "ftjob-000000000000000000000000")


def test_a_killed_server_is_waited_for(
    own_sandbox: LiveSandbox,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    client = own_sandbox.client()
    port = int(own_sandbox.url.rsplit(":", 1)[1].split("/")[0])
    job = submit(client, client.models.list().data[0].id, tmp_path, epochs=6)
    wait_for_step(client, job.id, 1)
    own_sandbox.kill()
    again = threading.Timer(1.5, own_sandbox.start, [port])
    again.start()
    done = follow(client, job.id, every=0.1, timeout=600)
    again.join()
    assert done.status == "succeeded"
    assert "no connection" in capsys.readouterr().out
    assert loss_frame(all_events(client, job.id))["step"].tolist() == list(range(1, 49))
    client.close()


def test_patience_has_an_end() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    again = r"call follow\(\.\.\.\) again"
    with (
        OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="k") as client,
        pytest.raises(ConnectionLost, match=again),
    ):
        follow(client, "ftjob-1", patience=0.2)


def test_in_a_notebook_it_draws_with_widgets(
    live_client: OpenAI,  # noqa: F811
    live_model: str,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[Any] = []
    views: list[LiveView] = []

    def keep(curve: bool = True) -> LiveView:
        views.append(LiveView(curve))
        return views[-1]

    monkeypatch.setattr(polling, "in_notebook", lambda: True)
    monkeypatch.setattr(polling, "LiveView", keep)
    monkeypatch.setattr(live_view, "show", lambda box, words: shown.append(box))
    job = submit(live_client, live_model, tmp_path)
    follow(live_client, job.id, every=0.1, timeout=600)
    assert shown == [views[0].box]
    assert (views[0].bar.value, views[0].bar.max) == (16, 16)
    assert views[0].state.value == "<span>succeeded</span>"
    assert views[0].curve is not None
    assert "<svg" in views[0].curve.value
    assert len(capsys.readouterr().out.splitlines()) == 1, "one plain line at the end"
    assert not live_view.in_notebook()
