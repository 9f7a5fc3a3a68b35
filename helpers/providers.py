"""Step 11: the providers on which the course's road can be walked, and how they differ.

What stands here was read in the providers' own documents in 2026 (`source`, `checked`); nothing
of it was tried against their servers. Prices, models and rules change: look before you pay.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import pandas as pd
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

# What learning_rate_multiplier=1 stands for, where a provider wants the rate itself. A usual
# starting value for LoRA on models of 8 billion parameters; try others on a held-out set.
USUAL_RATE = 1e-4


class NotDeployed(RuntimeError):
    """The model is trained, but it does not answer yet; the message says what is left to do."""


@dataclass(frozen=True)
class Provider:
    """One provider: where it is, and what it does in its own way."""

    name: str
    title: str
    base_url: str
    base_model: str  # one that may be tuned there
    who: str  # may train
    file_status: bool  # does it tell whether an uploaded file is ready
    learning_rate: Literal["multiplier", "absolute"]
    deploy: Literal["nothing", "one more call", "in its portal"]
    job_extra: dict[str, Any]
    source: str
    checked: str

    def order(
        self,
        training_file: str,
        validation_file: str | None = None,
        *,
        n_epochs: int = 3,
        rate: float = 1.0,
        suffix: str | None = None,
        model: str | None = None,
    ) -> dict[str, Any]:
        """The arguments of `client.fine_tuning.jobs.create` as this provider wants them.

        `rate` is the multiplier: 1 for the usual learning rate, 2 for twice as much.
        """
        numbers: dict[str, int | float] = {"n_epochs": n_epochs}
        if self.learning_rate == "absolute":
            numbers["learning_rate"] = rate * USUAL_RATE
        else:
            numbers["learning_rate_multiplier"] = rate
        request: dict[str, Any] = {
            "model": model or self.base_model,
            "training_file": training_file,
            "method": {"type": "supervised", "supervised": {"hyperparameters": numbers}},
        }
        optional = {"validation_file": validation_file, "suffix": suffix}
        request |= {name: value for name, value in optional.items() if value is not None}
        return request | ({"extra_body": self.job_extra} if self.job_extra else {})


PROVIDERS: dict[str, Provider] = {
    provider.name: provider
    for provider in (
        Provider(
            name="sandbox",
            title="the sandbox",
            base_url="http://127.0.0.1:8765/v1",
            base_model="superhero-mini",
            who="everybody",
            file_status=True,
            learning_rate="multiplier",
            deploy="nothing",
            job_extra={},
            source="this course",
            checked="2026-11",
        ),
        Provider(
            name="openai",
            title="OpenAI",
            base_url="https://api.openai.com/v1",
            base_model="gpt-4.1-mini-2025-04-14",
            who="old customers, until 2027-01-06",
            file_status=True,
            learning_rate="multiplier",
            deploy="nothing",
            job_extra={},
            source="developers.openai.com/api/docs/deprecations",
            checked="2026-11",
        ),
        Provider(
            name="nebius",
            title="Nebius Token Factory",
            base_url="https://api.tokenfactory.nebius.com/v1",
            base_model="meta-llama/Llama-3.1-8B-Instruct",
            who="everybody",
            file_status=False,
            learning_rate="absolute",
            deploy="one more call",
            job_extra={},
            source="docs.tokenfactory.nebius.com",
            checked="2026-08",
        ),
        Provider(
            name="azure",
            title="Microsoft Foundry",
            base_url="https://YOUR-RESOURCE.openai.azure.com/openai/v1",
            base_model="gpt-oss-20b",
            who="everybody (open models, preview)",
            file_status=True,
            learning_rate="multiplier",
            deploy="in its portal",
            # Open-weight models are trained under its global standard only.
            job_extra={"trainingType": "globalStandard"},
            source="MicrosoftDocs/azure-ai-docs",
            checked="2026-08",
        ),
    )
}
COLUMNS = {
    "title": "provider",
    "who": "who may train",
    "file_status": "tells a file's status",
    "learning_rate": "learning rate",
    "deploy": "before it answers",
}


def provider_frame() -> pd.DataFrame:
    """The differences as a table, a row for each provider."""
    rows = [
        {heading: getattr(provider, name) for name, heading in COLUMNS.items()}
        for provider in PROVIDERS.values()
    ]
    frame = pd.DataFrame(rows).set_index("provider")
    frame["tells a file's status"] = frame["tells a file's status"].map({True: "yes", False: "no"})
    return frame


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


def _deploy(client: OpenAI, job: FineTuningJob, name: str, every: float, patience: float) -> str:
    """Ask for a deployment of the newest checkpoint and wait until it answers."""
    newest = client.fine_tuning.jobs.checkpoints.list(job.id).data[0]
    parts = urlsplit(str(client.base_url))
    models = f"{parts.scheme}://{parts.netloc}/v0/models"
    order = {"source": f"{job.id}:{newest.id}", "base_model": job.model, "name": name}
    # The package knows no such call, but it can send any: with our key, our repeats and our errors.
    deployed = client.post(models, cast_to=object, body=order)
    deadline = time.monotonic() + patience
    while (state := _field(deployed, "status")) not in ("active", "ready", None):
        if state in ("error", "failed"):
            raise NotDeployed(f"The deployment failed: {_field(deployed, 'status_reason')}.")
        if time.monotonic() > deadline:
            raise NotDeployed(f"The deployment is still {state} after {patience:.0f} s.")
        time.sleep(every)
        deployed = client.get(f"{models}/{_field(deployed, 'name')}", cast_to=object)
    called = _field(deployed, "name") or _field(deployed, "id")
    if not called:
        raise NotDeployed("The deployment has no name. Look for it in the provider's portal.")
    return called


def _field(answer: object, name: str) -> str | None:
    value = answer.get(name) if isinstance(answer, dict) else None
    return None if value is None else str(value)
