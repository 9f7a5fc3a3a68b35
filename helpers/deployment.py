"""What each provider wants before a tuned model answers."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from helpers.providers import Provider


class NotDeployed(RuntimeError):
    """The model is trained, but it does not answer yet; the message says what is left to do."""


def model_to_call(
    provider: Provider,
    client: OpenAI,
    job: FineTuningJob,
    name: str = "superhero",
    *,
    every: float = 5.0,
    patience: float = 1800.0,
) -> str:
    """What to write behind `model=` once the job has succeeded; deploys the model if needed.

    Raises NotDeployed where that has to be done by hand, or where it failed.
    """
    if job.status != "succeeded":
        raise NotDeployed(f"The job is {job.status}: there is nothing to call yet.")
    if provider.deploy == "in its portal":
        raise NotDeployed(
            f"{provider.title} answers only through a deployment. Make one of "
            f"{job.fine_tuned_model or 'the model'} in its portal (it is billed by the hour), and "
            "write the deployment's name behind model=."
        )
    if provider.deploy == "one more call":
        return _deploy(client, job, name, every, patience)
    if not job.fine_tuned_model:
        raise NotDeployed("The job names no model. Ask for the job once more.")
    return job.fine_tuned_model


def stages_to_call(provider: Provider, client: OpenAI, job: FineTuningJob) -> dict[int, str]:
    """The models that a finished job saved on its way, by the step at which each was saved.

    Only the last one where a model answers no request before it is deployed. Raises as
    `model_to_call`, which deploys it.
    """
    saved = client.fine_tuning.jobs.checkpoints.list(job.id).data
    if provider.deploy == "nothing" and saved:
        return {each.step_number: each.fine_tuned_model_checkpoint for each in saved[::-1]}
    last = max((each.step_number for each in saved), default=1)
    return {last: model_to_call(provider, client, job)}


def _deploy(client: OpenAI, job: FineTuningJob, name: str, every: float, patience: float) -> str:
    """Ask for a deployment of the newest checkpoint and wait until it answers."""
    newest = client.fine_tuning.jobs.checkpoints.list(job.id).data[0]
    parts = urlsplit(str(client.base_url))
    models = f"{parts.scheme}://{parts.netloc}/v0/models"
    request = {"source": f"{job.id}:{newest.id}", "base_model": job.model, "name": name}
    # The SDK has no method for this call, but it can send any: with our key, retries and errors.
    model: Any = client.post(models, cast_to=object, body=request)
    deadline = time.monotonic() + patience
    while (state := model.get("status")) not in ("active", "ready"):
        if state in ("error", "failed"):
            raise NotDeployed(f"The deployment failed: {model.get('status_reason')}.")
        if time.monotonic() > deadline:
            raise NotDeployed(f"The deployment is still {state} after {patience:.0f} s.")
        time.sleep(every)
        model = client.get(f"{models}/{model['name']}", cast_to=object)
    return str(model["name"])
