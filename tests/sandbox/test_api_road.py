"""The main road through the SDK: upload, tune, ask."""

import base64

from openai import OpenAI

from tests.support.server import chat_lines, wait_for


def test_a_job_from_upload_to_answer(client: OpenAI, base_model: str) -> None:
    file = client.files.create(file=("train.jsonl", chat_lines()), purpose="fine-tune")
    other = client.files.create(file=("valid.jsonl", chat_lines(4)), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(
        model=base_model,
        training_file=file.id,
        validation_file=other.id,
        suffix="SuperHero",
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}},
    )
    job = wait_for(client, job.id, "succeeded", "failed")
    assert job.status == "succeeded"
    assert job.fine_tuned_model.startswith(f"ft:{base_model}:learner:superhero:")
    assert job.hyperparameters.n_epochs == 2 and isinstance(job.hyperparameters.batch_size, int)
    assert job.trained_tokens > 0 and job.finished_at >= job.created_at

    events = list(client.fine_tuning.jobs.list_events(job.id, limit=3))[::-1]
    texts = [event.message for event in events]
    assert texts[2:4] == ["Files validated, moving job to queued state", "Fine-tuning job started"]
    assert texts[-2:] == [
        f"New fine-tuned model created: {job.fine_tuned_model}",
        "The job has successfully completed",
    ]
    steps = [event.data["step"] for event in events if event.type == "metrics"]
    assert steps == list(range(1, len(steps) + 1)) and steps

    checkpoints = client.fine_tuning.jobs.checkpoints.list(job.id).data
    assert [one.step_number for one in checkpoints] == [steps[-1], steps[-1] // 2]
    assert checkpoints[0].fine_tuned_model_checkpoint == job.fine_tuned_model
    assert checkpoints[1].fine_tuned_model_checkpoint.endswith(f":ckpt-step-{steps[-1] // 2}")
    assert checkpoints[0].metrics.valid_loss > 0

    table = base64.b64decode(client.files.content(job.result_files[0]).read()).decode()
    assert table.splitlines()[0] == (
        "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"
    )
    assert len(table.splitlines()) == len(steps) + 1

    for name in [one.fine_tuned_model_checkpoint for one in checkpoints]:
        message = {"role": "user", "content": "40, woman, flight ->"}
        answer = client.chat.completions.create(model=name, messages=[message], max_tokens=4)
        assert answer.model == name and answer.choices[0].message.content
        assert client.completions.create(model=name, prompt="x", max_tokens=2).choices[0].text
        client.models.delete(name)
