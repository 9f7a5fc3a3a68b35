"""Keys, tuned models, names."""

import re

import pytest

from sandbox.store import ModelInUse, Store, files, ids, jobs, keys, models
from sandbox.store.jobs import NewJob
from sandbox.store.models import NewModel


@pytest.fixture
def job_id(store: Store) -> str:
    row = files.add_file(store, "p", "a", "fine-tune", b"x")
    return jobs.create_job(store, NewJob("p", "m", row.id, 1, {}, {})).id


def make_model(store: Store, job_id: str, name: str = "ft:m:p::abc") -> models.ModelRow:
    (store.models_dir / name[-3:]).mkdir()
    return models.add_model(store, NewModel(name, "p", "m", job_id, name[-3:], "chat", 4))


def test_a_key_is_found_by_its_secret_only(store: Store) -> None:
    row, secret = keys.create_key(store, "class-3", "Ada's laptop")
    assert re.fullmatch(r"sk-sandbox-[A-Za-z0-9]{40}", secret)
    assert keys.find_key(store, secret) == row
    assert keys.find_key(store, secret[:-1]) is None
    assert keys.find_key(store, "") is None
    assert row.last4 == secret[-4:]


def test_the_database_does_not_hold_the_secret(store: Store) -> None:
    _, secret = keys.create_key(store, "p", "")
    store.close()
    for path in store.state_dir.glob("sandbox.db*"):
        assert secret.encode() not in path.read_bytes()


def test_a_revoked_key_is_useless(store: Store) -> None:
    row, secret = keys.create_key(store, "p", "")
    assert keys.revoke_key(store, row.id) is True
    assert keys.find_key(store, secret) is None
    assert keys.revoke_key(store, row.id) is False
    assert keys.list_keys(store)[0].revoked_at is not None


@pytest.mark.parametrize("project", ["", "Class", "a b", "x" * 33, "a:b", "p\n"])
def test_a_bad_project_name_is_refused(store: Store, project: str) -> None:
    with pytest.raises(ValueError, match="project name"):
        keys.create_key(store, project, "")


def test_models_belong_to_their_project(store: Store, job_id: str) -> None:
    row = make_model(store, job_id)
    assert models.get_model(store, "p", row.name) == row
    assert models.get_model(store, "q", row.name) is None
    assert models.list_models(store, "q") == []
    assert models.delete_model(store, "q", row.name) is False
    assert models.list_models(store, "p") == models.list_models_of_job(store, job_id) == [row]


def test_recording_a_model_again_changes_nothing(store: Store, job_id: str) -> None:
    row = make_model(store, job_id)
    again = models.add_model(store, NewModel(row.name, "p", "m", job_id, "elsewhere", "chat", 9))
    assert again == row


def test_deleting_removes_the_folder(store: Store, job_id: str) -> None:
    row = make_model(store, job_id)
    assert models.delete_model(store, "p", row.name) is True
    assert not models.model_path(store, row).exists()
    assert models.delete_model(store, "p", row.name) is False


def test_a_model_that_is_tuned_further_is_not_deleted(store: Store, job_id: str) -> None:
    row = make_model(store, job_id)
    file = files.add_file(store, "p", "a", "fine-tune", b"x")
    job = jobs.create_job(store, NewJob("p", row.name, file.id, 1, {}, {}))
    with pytest.raises(ModelInUse):
        models.delete_model(store, "p", row.name)
    jobs.request_cancel(store, job.id)
    assert models.delete_model(store, "p", row.name) is True


def test_sweep_keeps_recorded_folders_only(store: Store, job_id: str) -> None:
    row = make_model(store, job_id)
    (store.models_dir / "half-written").mkdir()
    models.sweep(store)
    assert [path.name for path in store.models_dir.iterdir()] == [row.path]


def test_names_have_the_hosted_shape() -> None:
    name = ids.tuned_model_name("superhero-mini", "learner", "Super Hero_1")
    assert re.fullmatch(r"ft:superhero-mini:learner:super-hero-1:[A-Za-z0-9]{8}", name)
    assert ids.tuned_model_name("b", "p", None).startswith("ft:b:p::")
    checkpoint = ids.checkpoint_model_name("b", "p", "s", 37)
    assert re.fullmatch(r"ft:b:p:s:[A-Za-z0-9]{8}:ckpt-step-37", checkpoint)
