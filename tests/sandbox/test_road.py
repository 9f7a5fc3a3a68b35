"""The main road through the SDK: upload, tune, ask."""

import base64

from openai import OpenAI

from tests.support.server import chat_lines, wait_for


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
