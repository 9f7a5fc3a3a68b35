"""Models through the SDK: bases, tuned ones, checkpoints."""

import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from openai import ConflictError, NotFoundError, OpenAI, PermissionDeniedError

from sandbox.bases import SHIPPED_BASE
from sandbox.engine.sampler.messages import Delta, Generate, Usage
from sandbox.store import files, ids, jobs, models
from sandbox.store.database import Store
from tests.support.api import Api, running_api
from tests.support.rows import new_job, new_model
from tests.support.scripted import ScriptedSampler
from tests.support.server import chat_lines
from tests.support.tiny import kept_base
from tests.support.tiny_embedder import NAME as EMBEDDER


@pytest.fixture
def tuned(api: Api, base_model: str) -> Callable[[], str]:
    """Put a model into the running server's store, as the trainer does; returns its name."""

    def make() -> str:
        name = ids.tuned_model_name(base_model, "learner", "SuperHero")
        with Store(api.state) as store:
            file = files.add_file(store, "learner", "a.jsonl", "fine-tune", chat_lines())
            job = jobs.create_job(store, new_job(file.id, model=base_model))
            jobs.request_cancel(store, job.id)
            folder = ids.random_text(8)
            shutil.copytree(SHIPPED_BASE, store.models_dir / folder)
            with store.write() as db:
                models.insert_model(db, new_model(name, job, path=folder))
        return name

    return make


def test_the_base_model_is_listed(client: OpenAI, base_model: str) -> None:
    listed = client.models.list().data
    assert listed[0].id == base_model
    model = client.models.retrieve(base_model)
    assert (model.object, model.owned_by) == ("model", "sandbox")
    assert model.created > 1_700_000_000


def test_an_unknown_model_gets_a_hint(
    client: OpenAI, base_model: str, tuned: Callable[[], str]
) -> None:
    tuned(), tuned()
    bases = [base_model, EMBEDDER]
    own = [model.id for model in client.models.list() if model.id not in bases]
    known = [*bases, *own[::-1]][:20]  # the newest of its own are the likeliest to be meant
    for call in (client.models.retrieve, client.models.delete):
        with pytest.raises(NotFoundError) as caught:
            call("gpt-4o-mini")
        assert caught.value.code == "model_not_found"
        assert caught.value.body["message"] == (
            "The model `gpt-4o-mini` does not exist or you do not have access to it. "
            f"This sandbox has: {', '.join(known)}."
        )


def test_a_tuned_model_is_its_projects_own(
    client: OpenAI, other_client: OpenAI, tuned: Callable[[], str]
) -> None:
    name = tuned()
    assert name in [model.id for model in client.models.list()]
    assert client.models.retrieve(name).owned_by == "learner"
    assert name not in [model.id for model in other_client.models.list()]
    for call in (other_client.models.retrieve, other_client.models.delete):
        with pytest.raises(NotFoundError) as caught:
            call(name)
        assert name not in caught.value.message.split("This sandbox has", 1)[1]
    with pytest.raises(NotFoundError):
        other_client.chat.completions.create(
            model=name, messages=[{"role": "user", "content": "x"}]
        )
    deleted = client.models.delete(name)
    assert (deleted.id, deleted.deleted, deleted.object) == (name, True, "model")
    with pytest.raises(NotFoundError):
        client.models.retrieve(name)


def test_base_models_stay(client: OpenAI, base_model: str) -> None:
    with pytest.raises(PermissionDeniedError, match="belongs to the sandbox"):
        client.models.delete(base_model)
    assert client.models.retrieve(base_model).id == base_model


def test_a_tuned_model_can_be_tuned_further(client: OpenAI, tuned: Callable[[], str]) -> None:
    name = tuned()
    file = client.files.create(file=("a.jsonl", chat_lines()), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(
        model=name, training_file=file.id, hyperparameters={"n_epochs": 50}
    )
    assert job.model == name
    with pytest.raises(ConflictError, match="is being tuned further"):
        client.models.delete(name)
    client.fine_tuning.jobs.cancel(job.id)
    client.models.delete(name)


def test_names_with_slashes_and_odd_characters_are_just_unknown(client: OpenAI) -> None:
    for name in ("org/model", "a b", "../../etc/passwd", "%2e%2e", "é", "x" * 5000):
        with pytest.raises(NotFoundError):
            client.models.retrieve(name)


class Recording(ScriptedSampler):
    """Keeps what it is asked."""

    def __init__(self) -> None:
        self.asked: list[Generate] = []

    async def generate(self, request: Generate) -> AsyncIterator[Delta | Usage]:
        self.asked.append(request)
        async for each in super().generate(request):
            yield each


def test_an_adapter_is_asked_for_on_its_base_and_a_whole_model_by_itself(
    tmp_path: Path, base_model: str
) -> None:
    sampler = Recording()
    with running_api(tmp_path / "state", sampler) as api, api.client() as client:
        with Store(api.state) as store:
            file = files.add_file(store, "learner", "a.jsonl", "fine-tune", chat_lines())
            job = jobs.create_job(store, new_job(file.id, model=base_model))
            with store.write() as db:
                for name, adapter in (("ft:adapter", "one"), ("ft:whole", None)):
                    models.insert_model(db, new_model(name, job, path="one", adapter=adapter))
        folder, base = str(store.models_dir / "one"), str(kept_base())
        expected = {base_model: (base, None), "ft:adapter": (base, folder)}
        for name, asked in {**expected, "ft:whole": (folder, None)}.items():
            sampler.asked.clear()
            client.chat.completions.create(model=name, messages=[{"role": "user", "content": "x"}])
            client.completions.create(model=name, prompt="x")
            client.responses.create(model=name, input="x")
            assert [(each.folder, each.adapter) for each in sampler.asked] == [asked] * 3
