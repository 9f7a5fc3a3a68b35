"""Fine-tuning jobs, run in this process: their life, their traces, resuming, failing."""

from __future__ import annotations

import csv
import io
import json
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch.utils.data import Subset
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments

from sandbox.bases import find_base
from sandbox.engine.load import load_model
from sandbox.engine.parent.records import CSV_COLUMNS, JobRecord
from sandbox.engine.text import hyperparameters
from sandbox.engine.text.encoder import Encoder
from sandbox.engine.text.examples import TrainingExample
from sandbox.engine.text.hyperparameters import Hyperparameters
from sandbox.engine.trainer import checkpoint, job, loop
from sandbox.engine.trainer.checkpoint import STATE_FOLDER, write_folder
from sandbox.engine.trainer.data import IGNORED, ExampleSet, collate, epoch_batches
from sandbox.engine.trainer.loop import TrainingRun
from sandbox.engine.trainer.messages import Done, Failed, Stop, Stopped, Train
from sandbox.store import checkpoints, events, files, jobs, models
from sandbox.store.database import Store
from sandbox.store.tables import JobRow
from tests.support.inline_job import Server, run_job, tiny_bases
from tests.support.rows import new_job

pytestmark = [
    pytest.mark.slow,
    # peft asks transformers by an old name.
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning"),
]

EXAMPLES, BATCH, EPOCHS = 22, 4, 4
PER_EPOCH = 6  # steps: 22 / 4, rounded up


@pytest.fixture(scope="module")
def base(tiny: Path) -> Path:
    return tiny


def chat_line(number: int) -> str:
    answer = f" She is hero {number}" + " and she flies" * (number % 5) + "."
    user = {"role": "user", "content": f"{number}, woman ->"}
    return json.dumps({"messages": [user, {"role": "assistant", "content": answer}]})


def pair_line(number: int) -> str:
    return json.dumps({"prompt": f"{number} ->", "completion": f" Hero {number}. END"})


def submit(
    store: Store,
    line: Callable[[int], str] = chat_line,
    *,
    model: str = "tiny",
    validation: bool = False,
    seed: int = 7,
    examples: int = EXAMPLES,
    **asked: Any,
) -> JobRow:
    """Create a job and put it into the queue."""
    content = "\n".join(line(number) for number in range(examples)).encode()
    training_file = files.add_file(store, "learner", "t.jsonl", "fine-tune", content)
    validation_file = None
    if validation:
        content = "\n".join(line(number) for number in range(100, 109)).encode()
        validation_file = files.add_file(store, "learner", "v.jsonl", "fine-tune", content).id
    new = new_job(
        training_file.id,
        model=model,
        validation_file=validation_file,
        seed=seed,
        hyperparameters={"n_epochs": EPOCHS, "batch_size": BATCH, **asked},
        suffix="Super Hero",
    )
    job = jobs.create_job(store, new)
    return jobs.mark_queued(store, job.id)


def finished(store: Store, base: Path) -> JobRow:
    done = run_job(store, base)
    assert done is not None
    return done


def weights_of(store: Store, job: JobRow) -> dict[str, torch.Tensor]:
    assert job.fine_tuned_model is not None
    row = models.get_model(store, "learner", job.fine_tuned_model)
    assert row is not None
    return load_file(models.model_path(store, row) / "model.safetensors")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


def messages(store: Store, job: JobRow) -> list[str]:
    return [event.message for event in events.list_events(store, job.id, limit=500).rows][::-1]


def test_a_job_with_validation_from_queue_to_model(store: Store, base: Path) -> None:
    submitted = submit(store, validation=True)
    job = finished(store, base)
    assert (job.status, job.error, job.requested, job.estimated_finish) == (
        "succeeded",
        None,
        None,
        None,
    )
    assert job.hyperparameters == {
        "n_epochs": EPOCHS,
        "batch_size": BATCH,
        "learning_rate_multiplier": 1.0,
    }
    assert job.fine_tuned_model is not None
    assert job.fine_tuned_model.startswith("ft:tiny:learner:super-hero:")
    check_events(store, submitted)
    check_checkpoints(store, job)
    check_result_file(store, job)
    assert not (store.jobs_dir / job.id).exists()


def check_events(store: Store, job: JobRow) -> None:
    said = messages(store, job)
    total = PER_EPOCH * EPOCHS
    assert said[2:4] == ["Files validated, moving job to queued state", "Fine-tuning job started"]
    assert said[-1] == "The job has successfully completed"
    assert said[-2].startswith("New fine-tuned model created: ft:tiny:learner:super-hero:")
    steps = [text for text in said if text.startswith("Step ")]
    assert [text.split(":")[0] for text in steps] == [
        f"Step {k}/{total}" for k in range(1, total + 1)
    ]
    assert ", full validation loss=" in steps[PER_EPOCH - 1]
    made = [text for text in said if text.startswith("Checkpoint created at step ")]
    assert [int(text.split()[4]) for text in made] == [6, 12, 18]
    metrics = [event.data or {} for event in events.list_metrics(store, job.id)]
    assert set(metrics[-1]) == {
        "step",
        "train_loss",
        "train_mean_token_accuracy",
        "valid_loss",
        "valid_mean_token_accuracy",
        "full_valid_loss",
        "full_valid_mean_token_accuracy",
        "total_steps",
    }
    assert "full_valid_loss" not in metrics[0]
    assert metrics[-1]["train_loss"] < metrics[0]["train_loss"] / 2


def check_checkpoints(store: Store, job: JobRow) -> None:
    rows = checkpoints.list_checkpoints(store, job.id).rows
    assert [row.step for row in rows] == [24, 18, 12]
    assert rows[0].model == job.fine_tuned_model
    assert rows[1].model.endswith(":ckpt-step-18")
    assert rows[0].metrics["full_valid_loss"] > 0
    for row in rows:
        model = models.get_model(store, "learner", row.model)
        assert model is not None
        folder = models.model_path(store, model)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        loaded = AutoModelForCausalLM.from_pretrained(folder)
        assert loaded.config.vocab_size == len(tokenizer)
        assert Encoder(folder).encode_chat([{"role": "user", "content": "x"}])[-1] == 3
        assert row.model in (folder / "README.md").read_text(encoding="utf-8")
    assert len(list(store.models_dir.iterdir())) == 3


def check_result_file(store: Store, job: JobRow) -> None:
    [file_id] = job.result_files
    row = files.get_file(store, "learner", file_id)
    assert row is not None
    assert row.purpose == "fine-tune-results"
    text = b64decode(files.file_path(store, file_id).read_bytes()).decode()
    table = list(csv.DictReader(io.StringIO(text)))
    assert list(table[0]) == list(CSV_COLUMNS)
    assert [int(line["step"]) for line in table] == list(range(1, 25))
    assert table[0]["valid_loss"] == "" or float(table[0]["valid_loss"])
    assert float(table[-1]["valid_loss"]) > 0


def test_prompt_completion_pairs_train_too(store: Store, base: Path) -> None:
    submit(store, pair_line, n_epochs=1)
    job = finished(store, base)
    assert job.status == "succeeded"
    [model] = models.list_models(store, "learner")
    assert (model.format, model.step, model.base) == ("completion", PER_EPOCH, "tiny")
    encoder = Encoder(base)
    tokens = sum(
        len(encoder.encode_completion_example(pair["prompt"], pair["completion"])[0])
        for pair in (json.loads(pair_line(number)) for number in range(EXAMPLES))
    )
    assert job.trained_tokens == tokens


def test_a_tuned_model_can_be_tuned_further(store: Store, base: Path) -> None:
    submit(store, n_epochs=1)
    first = finished(store, base)
    assert first.fine_tuned_model is not None
    submit(store, n_epochs=1, model=first.fine_tuned_model)
    second = finished(store, base)
    assert second.status == "succeeded"
    assert str(second.fine_tuned_model).startswith("ft:tiny:learner:")
    losses = [events.list_metrics(store, job.id)[0].data for job in (first, second)]
    assert losses[1]["train_loss"] < losses[0]["train_loss"]


def test_the_same_seed_gives_the_same_weights_and_another_does_not(
    store: Store, base: Path
) -> None:
    weights = []
    for seed in (3, 3, 4):
        submit(store, n_epochs=2, seed=seed)
        weights.append(weights_of(store, finished(store, base)))
    assert same(weights[0], weights[1])
    assert not same(weights[0], weights[2])


@pytest.fixture(scope="module")
def undisturbed(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store in which a job has run in one go."""
    with Store(tmp_path_factory.mktemp("undisturbed")) as made:
        submit(made)
        finished(made, base)
        yield made


@pytest.mark.parametrize("step", [3, 6, 7, 20, 24])
def test_a_job_that_goes_on_later_ends_exactly_as_one_in_one_go(
    store: Store, base: Path, undisturbed: Store, step: int
) -> None:
    [expected] = jobs.list_jobs_in(undisturbed, "succeeded")
    check_resumed(store, base, step, weights_of(undisturbed, expected))
    [job] = jobs.list_jobs_in(store, "succeeded")
    assert steps_of(store, job) == steps_of(undisturbed, expected)


def test_a_job_with_accumulated_batches_goes_on_exactly_too(
    store: Store, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "MICRO_BATCH", 2)  # a batch in two halves
    submit(store)
    check_resumed(store, base, 7, weights_of(store, finished(store, base)))


def check_resumed(store: Store, base: Path, step: int, expected: dict[str, torch.Tensor]) -> None:
    """Stop a job at a step and go on; its weights must be the expected ones, to the bit."""
    submit(store)
    halfway = run_job(store, base, {step: Stop(save=True)})
    assert halfway is not None
    if step < 24:
        assert (halfway.status, len(events.list_metrics(store, halfway.id))) == ("running", step)
        halfway = finished(store, base)
    assert halfway.status == "succeeded"
    assert same(expected, weights_of(store, halfway))


def steps_of(store: Store, job: JobRow) -> list[str]:
    return [text for text in messages(store, job) if text.startswith("Step ")]


def test_pause_and_resume(store: Store, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    submitted = submit(store)
    ask_at_step(8, jobs.request_pause, monkeypatch)
    paused = run_job(store, base, {8: Stop(save=True)})
    assert paused is not None
    assert (paused.status, paused.requested) == ("paused", None)
    assert len(events.list_metrics(store, paused.id)) == 8
    assert (store.jobs_dir / paused.id / STATE_FOLDER).is_dir()
    assert run_job(store, base) is None
    jobs.resume_job(store, submitted.id)
    done = finished(store, base)
    assert done.status == "succeeded"
    assert [int(text.split()[1].split("/")[0]) for text in steps_of(store, done)] == list(
        range(1, 25)
    )


def test_cancel_stops_within_a_step(
    store: Store, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(store)
    ask_at_step(8, jobs.request_cancel, monkeypatch)
    cancelled = run_job(store, base, {8: Stop(save=False)})
    assert cancelled is not None
    assert (cancelled.status, cancelled.fine_tuned_model) == ("cancelled", None)
    assert len(events.list_metrics(store, cancelled.id)) == 8
    assert messages(store, cancelled)[-1] == "The job has been cancelled"
    assert not (store.jobs_dir / cancelled.id).exists()


def ask_at_step(
    step: int, ask: Callable[[Store, str], JobRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Store a request when this step is recorded, as a client of the API might."""
    append = events.append_metrics

    def asks(store: Store, job_id: str, number: int, *rest: Any) -> bool:
        if number == step:
            ask(store, job_id)
        return append(store, job_id, number, *rest)

    monkeypatch.setattr(events, "append_metrics", asks)


def test_a_run_that_diverges_fails_and_says_what_to_do(store: Store, base: Path) -> None:
    submit(store, learning_rate_multiplier=1e30)
    job = finished(store, base)
    assert job.status == "failed"
    assert job.error is not None
    assert job.error["code"] == "training_diverged"
    assert "lower learning_rate_multiplier" in str(job.error["message"])
    assert messages(store, job)[-1] == job.error["message"]


def test_files_and_models_that_are_gone(store: Store, base: Path) -> None:
    job = submit(store)
    files.file_path(store, job.training_file).unlink()
    failed = finished(store, base)
    assert failed.error is not None
    assert (failed.status, failed.error["code"]) == ("failed", "storage_error")
    submit(store, model="ft:tiny:learner::gone")
    failed = finished(store, base)
    assert failed.error is not None
    assert failed.error["code"] == "model_not_found"


def test_a_job_that_kills_its_trainer_again_and_again_is_given_up(store: Store) -> None:
    submitted = submit(store)
    record = JobRecord(store, submitted, {})
    for _ in range(3):
        record.crashed(4)
        assert jobs.get_job(store, None, submitted.id).status == "queued"
    record.crashed(4)
    failed = jobs.get_job(store, None, submitted.id)
    assert (failed.status, failed.error["code"]) == ("failed", "training_crashed")


@pytest.mark.parametrize(
    ("examples", "epochs", "batch"), [(10, 10, 4), (3, 25, 3), (50, 2, 4), (20_000, 1, 4)]
)
def test_auto_numbers(base: Path, examples: int, epochs: int, batch: int) -> None:
    asked = {"n_epochs": "auto", "batch_size": "auto", "learning_rate_multiplier": "auto"}
    advice = find_base(str(base)).advice
    numbers = hyperparameters.resolve(asked, advice, examples, lora=False)
    assert numbers.public() == {
        "n_epochs": epochs,
        "batch_size": batch,
        "learning_rate_multiplier": 1.0,
    }
    assert numbers.learning_rate == 5e-3
    doubled = hyperparameters.resolve({"learning_rate_multiplier": 2}, advice, examples, lora=False)
    assert doubled.learning_rate == 1e-2


@pytest.mark.parametrize(
    ("examples", "epochs", "kept"), [(10, 14, 1), (60, 3, 1), (100, 2, 1), (294, 1, 3)]
)
def test_few_examples_are_seen_in_more_epochs(examples: int, epochs: int, kept: int) -> None:
    advice = {"n_epochs": 1, "batch_size": 4, "checkpoints_per_epoch": 3, "least_steps": 40}
    numbers = hyperparameters.resolve({}, advice, examples, lora=True)
    assert (numbers.n_epochs, numbers.batch_size) == (epochs, 4)
    assert numbers.checkpoints_per_epoch == kept
    asked = hyperparameters.resolve({"batch_size": 8, "n_epochs": 1}, advice, examples, lora=True)
    assert (asked.n_epochs, asked.batch_size) == (1, 8)


def test_the_order_covers_every_example_once_and_groups_by_length() -> None:
    lengths = [number * 7 % 50 for number in range(203)]
    one, two, again = (epoch_batches(lengths, 8, 1, epoch) for epoch in (0, 1, 0))
    assert sorted(index for batch in one for index in batch) == list(range(203))
    assert [len(batch) for batch in one] == [8] * 25 + [3]
    assert one != two
    assert one == again
    padding = sum(8 * max(lengths[i] for i in b) - sum(lengths[i] for i in b) for b in one[:-1])
    assert padding < 0.1 * sum(lengths)


def test_padding_is_never_learned() -> None:
    ids, labels = collate(
        [TrainingExample([0, 5, 6, 0], [0, 0, 1, 1]), TrainingExample([0, 7], [0, 1])]
    )
    assert labels.tolist() == [[IGNORED, IGNORED, 6, 0], [IGNORED, 7, IGNORED, IGNORED]]
    assert ids.tolist() == [[0, 5, 6, 0], [0, 7, 0, 0]]


def test_a_folder_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    write_folder(folder, lambda path: (path / "a").write_text("old") and None)

    def breaks(path: Path) -> None:
        (path / "a").write_text("new")
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_folder(folder, breaks)
    assert (folder / "a").read_text() == "old"
    write_folder(folder, lambda path: (path / "b").write_text("new") and None)
    assert [path.name for path in folder.iterdir()] == ["b"]
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def train_with_fault(store: Store, base: Path, fault: dict[str, Any] | None) -> JobRow:
    """Run a job of two epochs of three steps with this fault."""
    lines = [json.dumps({"prompt": f"{i} ->", "completion": f" Hero {i}."}) for i in range(12)]
    row = files.add_file(store, "learner", "t.jsonl", "fine-tune", "\n".join(lines).encode())
    numbers = {"n_epochs": 2, "batch_size": 4}
    made = jobs.create_job(store, new_job(row.id, hyperparameters=numbers, fault=fault))
    jobs.mark_queued(store, made.id)
    return finished(store, base)


def test_it_fails_at_the_step_that_was_asked_for(store: Store, base: Path) -> None:
    job = train_with_fault(store, base, {"name": "job_fails_after_5_steps", "steps": 5})
    assert (job.status, job.fine_tuned_model) == ("failed", None)
    assert job.error is not None and job.error["code"] == "server_error"
    assert "after step 5 of 6" in job.error["message"]
    assert [event.data["step"] for event in events.list_metrics(store, job.id)] == [1, 2, 3, 4, 5]
    # The checkpoint of the first epoch is there, and is a model like any other.
    assert [model.step for model in models.list_models_of_job(store, job.id)] == [3]


def test_a_fault_beyond_the_end_is_told(store: Store, base: Path) -> None:
    job = train_with_fault(store, base, {"name": "job_fails_after_7_steps", "steps": 7})
    assert job.status == "succeeded"
    warned = [e.message for e in events.list_events(store, job.id).rows if e.level == "warn"]
    assert warned == ["The fault job_fails_after_7_steps did not happen: the job has only 6 steps"]


def run_of(base: Path, n_examples: int = 24, epochs: int = 3) -> TrainingRun:
    """A run of the loop by itself, as a job would make it."""
    encoder = Encoder(base)
    examples = []
    for number in range(n_examples):
        ids, mask = encoder.encode_completion_example(f"{number} ->", " Hero" * (1 + number % 5))
        examples.append(TrainingExample(ids, mask))
    numbers = Hyperparameters(epochs, 4, 1.0, 5e-3)
    return TrainingRun(load_model(base), ExampleSet(examples, "completion"), None, numbers, 7)


def test_the_loop_does_what_the_trainer_of_transformers_does(base: Path, tmp_path: Path) -> None:
    """The weights are the same to 1e-6 when it gets the same examples in the same order."""
    run = run_of(base)
    losses = [result.metrics["train_loss"] for result in run.steps()]
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        num_train_epochs=1,  # the order has all of them
        per_device_train_batch_size=4,
        learning_rate=5e-3,
        lr_scheduler_type="linear",
        warmup_steps=1,
        optim="adamw_torch",
        max_grad_norm=1.0,
        train_sampling_strategy="sequential",
        use_cpu=True,
        save_strategy="no",
        logging_steps=1,
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=False,
        remove_unused_columns=False,
    )
    examples = run.examples
    lengths = [len(example.ids) for example in examples]
    order = [
        i for epoch in range(3) for batch in epoch_batches(lengths, 4, 7, epoch) for i in batch
    ]
    trainer = Trainer(
        load_model(base),
        arguments,
        train_dataset=Subset(run.examples, order),
        data_collator=lambda rows: dict(zip(("input_ids", "labels"), collate(rows), strict=True)),
    )
    trainer.train()
    logged = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses == pytest.approx(logged, abs=1e-4)
    theirs = dict(trainer.model.named_parameters())
    for name, weight in run.model.named_parameters():
        assert torch.allclose(weight, theirs[name], rtol=0, atol=1e-6), name


def test_a_learning_rate_that_is_no_number_is_a_divergence(store: Store, base: Path) -> None:
    submit(store, learning_rate_multiplier=1e300)
    failed = finished(store, base)
    assert failed.error is not None
    assert failed.error["code"] == "training_diverged"


@pytest.mark.parametrize("place", ["save_state", "save_model"])
def test_a_full_disk_fails_the_job_and_names_storage(
    store: Store, base: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    submit(store)
    monkeypatch.setattr(checkpoint, place, full)
    failed = finished(store, base)
    assert failed.error is not None
    assert (failed.status, failed.error["code"]) == ("failed", "storage_error")
    assert "No space left on device" in str(failed.error["message"])
    assert not (store.jobs_dir / failed.id).exists()


def test_a_full_disk_inside_safetensors_is_named_too(
    store: Store, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise SafetensorError("IoError(Os { code: 28, message: No space left on device })")

    submit(store)
    monkeypatch.setattr(checkpoint, "save_file", full)
    failed = finished(store, base)
    assert failed.error is not None
    assert failed.error["code"] == "storage_error"


def test_a_write_that_failed_can_be_repeated(
    store: Store, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each message is recorded twice, as after an error behind the first time: nothing doubles."""
    write = JobRecord.write

    def twice(record: JobRecord, message: Any) -> None:
        write(record, message)
        if not isinstance(message, Done | Failed):
            write(record, message)

    monkeypatch.setattr(JobRecord, "write", twice)
    submit(store)
    done = finished(store, base)
    said = messages(store, done)
    assert len(set(said)) == len(said)
    assert [row.step for row in checkpoints.list_checkpoints(store, done.id).rows] == [24, 18, 12]


def test_two_processes_never_train_a_job_in_one_folder(store: Store, base: Path) -> None:
    submitted = submit(store)
    folder = store.jobs_dir / submitted.id
    folder.mkdir()
    with FileLock(folder / job.LOCK):  # an orphan of a server that was killed
        server = Server(JobRecord(store, submitted, tiny_bases(base)), {})
        server.inbox.put(Stop(save=True))
        server.inbox.put(Stop(save=False))
        order = JobRecord(store, submitted, tiny_bases(base)).train_message()
        assert isinstance(order, Train)
        assert isinstance(job.train(order, job.Conversation(server, server.inbox)), Stopped)
    assert events.list_metrics(store, submitted.id) == []
    assert finished(store, base).status == "succeeded"
