"""Fine-tuning jobs through the SDK: what may be asked, what is answered, and one whole job."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
from openai import BadRequestError, NotFoundError, OpenAI
from openai.types.fine_tuning import FineTuningJob

from tests.support.api import Api
from tests.support.server import chat_lines, wait_for


@pytest.fixture
def file_id(client: OpenAI) -> str:
    return client.files.create(file=("a.jsonl", chat_lines()), purpose="fine-tune").id


@pytest.fixture
def create(client: OpenAI, base_model: str, file_id: str) -> Iterator[Callable[..., FineTuningJob]]:
    """Makes jobs that nobody will train; they are cancelled in the end."""
    made: list[str] = []

    def call(**fields: object) -> FineTuningJob:
        good = {"model": base_model, "training_file": file_id}
        job = client.fine_tuning.jobs.create(**{**good, **fields})
        made.append(job.id)
        return job

    yield call
    for job_id in made:
        with suppress(BadRequestError):  # it has ended already
            client.fine_tuning.jobs.cancel(job_id)


@pytest.fixture
def paused_job(client: OpenAI, create: Callable[..., FineTuningJob]) -> FineTuningJob:
    job = create(metadata={"course": "superheroes"})
    client.fine_tuning.jobs.pause(job.id)
    return wait_for(client, job.id, "paused")


def test_a_new_job_looks_as_in_the_hosted_api(create, base_model: str, file_id: str) -> None:
    job = create(suffix="SuperHero", seed=7)
    numbers = dict.fromkeys(("n_epochs", "batch_size", "learning_rate_multiplier"), "auto")
    known = {
        "object": "fine_tuning.job",
        "model": base_model,
        "training_file": file_id,
        "seed": 7,
        "status": "validating_files",
        "user_provided_suffix": "SuperHero",
        "hyperparameters": numbers,
        "method": {"type": "supervised", "supervised": {"hyperparameters": numbers}},
        "result_files": [],
        "integrations": [],
    }
    nothing = ("error", "fine_tuned_model", "finished_at", "trained_tokens", "estimated_finish")
    known |= dict.fromkeys(nothing)
    assert {name: job.to_dict()[name] for name in known} == known
    assert job.id.startswith("ftjob-") and job.organization_id.startswith("org-")


def test_a_job_without_a_seed_gets_one(paused_job: FineTuningJob) -> None:
    assert 0 <= paused_job.seed <= 2_147_483_647


def test_pause_resume_cancel(client: OpenAI, paused_job: FineTuningJob) -> None:
    jobs = client.fine_tuning.jobs
    assert paused_job.status == "paused"
    with pytest.raises(BadRequestError, match="is paused; it cannot be paused"):
        jobs.pause(paused_job.id)
    assert jobs.resume(paused_job.id).status in ("queued", "running")
    with pytest.raises(BadRequestError, match="takes no parameters"):
        jobs.cancel(paused_job.id, extra_body={"force": True})
    assert jobs.cancel(paused_job.id).status == "cancelled"
    for act, word in ((jobs.cancel, "cancelled"), (jobs.pause, "paused"), (jobs.resume, "resumed")):
        with pytest.raises(BadRequestError, match=f"is cancelled; it cannot be {word}") as caught:
            act(paused_job.id)
        assert caught.value.code == "invalid_job_state"
    job = jobs.retrieve(paused_job.id)
    assert job.finished_at is not None and job.error is None


def test_events_come_newest_first_and_page(client: OpenAI, paused_job: FineTuningJob) -> None:
    events = client.fine_tuning.jobs.list_events(paused_job.id, limit=1)
    assert events.has_more is True
    everything = list(events)
    assert [event.message for event in everything[::-1]] == [
        f"Created fine-tuning job: {paused_job.id}",
        f"Validating training file: {paused_job.training_file}",
        "Files validated, moving job to queued state",
        "The job has been paused",
    ]
    assert all(event.object == "fine_tuning.job.event" for event in everything)
    assert {(event.type, event.level) for event in everything} == {("message", "info")}
    assert client.fine_tuning.jobs.checkpoints.list(paused_job.id).data == []


def test_lists_newest_first_in_pages(client: OpenAI, create) -> None:
    mark = {"test": f"paging {time.time_ns()}"}
    made = [create(metadata={**mark, "i": str(i)}).id for i in range(3)]
    assert [job.id for job in client.fine_tuning.jobs.list(limit=1, metadata=mark)] == made[::-1]
    page = client.fine_tuning.jobs.list(limit=2, metadata=mark)
    assert page.has_more is True
    one = client.fine_tuning.jobs.list(metadata={**mark, "i": "1"})
    assert [job.id for job in one] == [made[1]]
    assert one.data[0].metadata == {**mark, "i": "1"}
    assert client.fine_tuning.jobs.list(metadata={"test": "other"}).data == []


def test_projects_are_apart(
    other_client: OpenAI, base_model: str, paused_job: FineTuningJob
) -> None:
    jobs = other_client.fine_tuning.jobs
    calls = (jobs.retrieve, jobs.cancel, jobs.pause, jobs.resume, jobs.list_events)
    for call in (*calls, jobs.checkpoints.list):
        with pytest.raises(NotFoundError) as caught:
            call(paused_job.id)
        assert caught.value.body["message"] == f"Could not find fine tune: {paused_job.id}"
        assert (caught.value.code, caught.value.param) == ("fine_tune_not_found", "fine_tune_id")
    assert paused_job.id not in [job.id for job in jobs.list()]
    with pytest.raises(NotFoundError) as caught:
        jobs.create(model=base_model, training_file=paused_job.training_file)
    assert caught.value.param == "training_file"


@pytest.mark.parametrize("name", ["gpt-4o-mini", "ft:superhero-mini:learner::00000000", "", "a/b"])
def test_an_unknown_model(client: OpenAI, base_model: str, file_id: str, name: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        client.fine_tuning.jobs.create(model=name, training_file=file_id)
    assert caught.value.code == "model_not_found"
    assert caught.value.body["message"].startswith(
        f"The model `{name}` does not exist or you do not have access to it."
    )
    assert base_model in caught.value.message


def test_files_must_exist_and_be_for_fine_tuning(client: OpenAI, create, file_id: str) -> None:
    batch = client.files.create(file=("a.jsonl", b"{}"), purpose="batch").id
    before = client.fine_tuning.jobs.list().data
    for names in (("training_file",), ("training_file", "validation_file")):
        good = dict.fromkeys(names, file_id)
        with pytest.raises(NotFoundError, match="No such File object: file-nothing") as caught:
            create(**{**good, names[-1]: "file-nothing"})
        assert caught.value.param == names[-1]
        with pytest.raises(BadRequestError, match="purpose 'batch'") as refused:
            create(**{**good, names[-1]: batch})
        assert refused.value.param == names[-1]
    assert client.fine_tuning.jobs.list().data == before


def test_hyperparameters_in_both_places(create) -> None:
    def ask(old: dict, new: dict) -> FineTuningJob:
        method = {"type": "supervised", "supervised": {"hyperparameters": new}}
        return create(method=method, hyperparameters=old)

    with pytest.raises(BadRequestError) as caught:
        ask({"n_epochs": 3}, {"n_epochs": 4})
    assert caught.value.param == "hyperparameters.n_epochs"
    job = ask({"n_epochs": 3, "batch_size": 2}, {"n_epochs": 3, "learning_rate_multiplier": 2})
    wanted = {"n_epochs": 3, "batch_size": 2, "learning_rate_multiplier": 2.0}
    assert job.hyperparameters.to_dict() == wanted
    assert job.method.supervised.hyperparameters.to_dict() == wanted


def test_nulls_mean_not_given(create) -> None:
    names = ("validation_file", "suffix", "seed", "metadata", "integrations", "method")
    assert create(**dict.fromkeys(names)).hyperparameters.n_epochs == "auto"


@pytest.mark.parametrize(
    ("lines", "validation", "code", "param", "text"),
    [
        (chat_lines(7), None, "invalid_n_examples", "training_file", "7 example"),
        (b'{"a": 1}\n' * 12, None, "invalid_training_file", "training_file", "Example 1"),
        (chat_lines() + b'{"messages": []}\n', None, "invalid_training_file", "training_file",
         "Example 13"),
        (chat_lines(), b'{"a": 1}\n', "invalid_training_file", "validation_file", "validation"),
    ],
)  # fmt: skip
def test_a_bad_file_fails_the_job(
    client: OpenAI, create, lines: bytes, validation: bytes | None, code: str, param: str, text: str
) -> None:
    contents = {"training_file": lines, "validation_file": validation}
    job = create(
        **{
            name: client.files.create(file=("a.jsonl", content), purpose="fine-tune").id
            for name, content in contents.items()
            if content is not None
        }
    )
    job = wait_for(client, job.id, "failed")
    assert (job.error.code, job.error.param) == (code, param)
    assert text in job.error.message
    assert job.finished_at is not None and job.fine_tuned_model is None
    last = client.fine_tuning.jobs.list_events(job.id, limit=1).data[0]
    assert (last.level, last.message) == ("error", job.error.message)


def test_job_objects_are_json_throughout(client: OpenAI, paused_job: FineTuningJob) -> None:
    raw = client.fine_tuning.jobs.with_raw_response.retrieve(paused_job.id)
    assert FineTuningJob.model_validate({**json.loads(raw.text), "status": "queued", "error": None})


@pytest.mark.slow
def test_a_job_from_upload_to_answer(live_client: OpenAI, live_model: str) -> None:
    file = live_client.files.create(file=("train.jsonl", chat_lines()), purpose="fine-tune")
    other = live_client.files.create(file=("valid.jsonl", chat_lines(4)), purpose="fine-tune")
    job = live_client.fine_tuning.jobs.create(
        model=live_model,
        training_file=file.id,
        validation_file=other.id,
        suffix="SuperHero",
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}},
    )
    job = wait_for(live_client, job.id, "succeeded", "failed")
    assert job.status == "succeeded"
    assert job.fine_tuned_model.startswith(f"ft:{live_model}:learner:superhero:")
    assert job.hyperparameters.n_epochs == 2 and isinstance(job.hyperparameters.batch_size, int)
    assert job.trained_tokens > 0 and job.finished_at >= job.created_at

    events = list(live_client.fine_tuning.jobs.list_events(job.id, limit=3))[::-1]
    texts = [event.message for event in events]
    assert texts[2:4] == ["Files validated, moving job to queued state", "Fine-tuning job started"]
    assert texts[-2:] == [
        f"New fine-tuned model created: {job.fine_tuned_model}",
        "The job has successfully completed",
    ]
    steps = [event.data["step"] for event in events if event.type == "metrics"]
    assert steps == list(range(1, len(steps) + 1)) and steps

    checkpoints = live_client.fine_tuning.jobs.checkpoints.list(job.id).data
    assert [one.step_number for one in checkpoints] == [steps[-1], steps[-1] // 2]
    assert checkpoints[0].fine_tuned_model_checkpoint == job.fine_tuned_model
    assert checkpoints[1].fine_tuned_model_checkpoint.endswith(f":ckpt-step-{steps[-1] // 2}")
    assert checkpoints[0].metrics.valid_loss > 0

    table = base64.b64decode(live_client.files.content(job.result_files[0]).read()).decode()
    assert table.splitlines()[0] == (
        "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"
    )
    assert len(table.splitlines()) == len(steps) + 1

    for name in [one.fine_tuned_model_checkpoint for one in checkpoints]:
        message = {"role": "user", "content": "40, woman, flight ->"}
        answer = live_client.chat.completions.create(model=name, messages=[message], max_tokens=4)
        assert answer.model == name and answer.usage.prompt_tokens > 5
        assert live_client.completions.create(model=name, prompt="x", max_tokens=2).model == name
        live_client.models.delete(name)


def test_any_number_of_metadata_filters_is_answered(api: Api) -> None:
    with api.http() as http:
        many = {f"metadata[key{n}]": "x" for n in range(1200)}
        assert http.get("fine_tuning/jobs", params=many).status_code == 400
        odd = http.get("fine_tuning/jobs?metadata[%ED%A0%80]=%ED%A0%80&metadata[\"'$.a]=%00")
        assert (odd.status_code, odd.json()["data"]) == (200, [])


def test_lists_say_where_they_begin_and_end(client: OpenAI, create) -> None:
    job = create()
    for page in (
        client.fine_tuning.jobs.list(limit=2),
        client.fine_tuning.jobs.list_events(job.id, limit=2),
    ):
        shown = page.to_dict()
        assert (shown["first_id"], shown["last_id"]) == (page.data[0].id, page.data[-1].id)
    empty = client.fine_tuning.jobs.checkpoints.list(job.id).to_dict()
    assert (empty["data"], empty["first_id"], empty["last_id"]) == ([], None, None)
    nothing = client.fine_tuning.jobs.list(limit=0, after="anything")
    assert (nothing.data, nothing.has_more) == ([], True)


def test_integrations_are_kept_and_nothing_is_sent(client: OpenAI, create) -> None:
    asked = [{"type": "wandb", "wandb": {"project": "heroes", "tags": ["a"]}}]
    job = create(integrations=asked)
    assert [each.to_dict() for each in job.integrations] == asked
    texts = [event.message for event in client.fine_tuning.jobs.list_events(job.id)]
    assert any("nothing is sent" in text for text in texts)
