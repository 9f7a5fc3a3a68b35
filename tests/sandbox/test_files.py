"""Files through the SDK."""

import io
import time
from pathlib import Path

import httpx2
import pytest
from openai import APIStatusError, BadRequestError, ConflictError, NotFoundError, OpenAI

from sandbox.config import Settings
from tests.support.api import Api, running
from tests.support.server import chat_lines, wait_for


def test_a_file_through_its_life(client: OpenAI, tmp_path: Path) -> None:
    path = tmp_path / "heroes.jsonl"
    path.write_bytes(chat_lines())
    with path.open("rb") as handle:
        file = client.files.create(file=handle, purpose="fine-tune")
    assert file.to_dict().keys() == {
        "id",
        "object",
        "bytes",
        "created_at",
        "filename",
        "purpose",
        "status",
    }
    assert (file.filename, file.bytes, file.purpose, file.object) == (
        "heroes.jsonl",
        path.stat().st_size,
        "fine-tune",
        "file",
    )
    assert file.id.startswith("file-") and abs(file.created_at - time.time()) < 60
    assert client.files.wait_for_processing(file.id, max_wait_seconds=300).status == "processed"
    assert client.files.retrieve(file.id) == file
    assert client.files.content(file.id).read() == path.read_bytes()
    deleted = client.files.delete(file.id)
    assert (deleted.id, deleted.deleted, deleted.object) == (file.id, True, "file")
    for gone in (client.files.retrieve, client.files.content, client.files.delete):
        with pytest.raises(NotFoundError) as caught:
            gone(file.id)
        assert caught.value.body["message"] == f"No such File object: {file.id}"
        assert caught.value.param == "id"


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "C:\\tmp\\a.jsonl", "héros 🦸.jsonl", "x" * 400, "a\nb"]
)
def test_file_names_are_made_harmless(client: OpenAI, name: str) -> None:
    file = client.files.create(file=(name, b"x"), purpose="user_data")
    assert "/" not in file.filename and "\\" not in file.filename and len(file.filename) <= 255
    assert file.filename.isprintable()
    assert client.files.content(file.id).read() == b"x"


def test_projects_are_apart(client: OpenAI, other_client: OpenAI) -> None:
    file = client.files.create(file=b"mine", purpose="user_data")
    for gone in (
        other_client.files.retrieve,
        other_client.files.content,
        other_client.files.delete,
    ):
        with pytest.raises(NotFoundError):
            gone(file.id)
    assert file.id not in [one.id for one in other_client.files.list()]
    assert client.files.content(file.id).read() == b"mine"


def test_lists_page_by_themselves(api: Api, client: OpenAI) -> None:
    made = [client.files.create(file=b"x", purpose="vision").id for _ in range(5)]
    newest = [file.id for file in client.files.list(limit=2, purpose="vision")]
    assert newest == made[::-1]
    oldest = client.files.list(limit=3, purpose="vision", order="asc")
    assert [file.id for file in oldest.data] == made[:3]
    assert oldest.has_more is True
    assert (oldest.first_id, oldest.last_id) == (made[0], made[2])
    # Deleting while walking: the cursor is a file that is gone by then.
    for file in client.files.list(limit=2, purpose="vision"):
        client.files.delete(file.id)
    assert client.files.list(purpose="vision").data == []


def test_a_wrong_purpose_gets_the_hosted_message(client: OpenAI) -> None:
    with pytest.raises(BadRequestError) as caught:
        client.files.create(file=b"x", purpose="fun")
    assert caught.value.body["message"] == (
        "'fun' is not one of ['fine-tune', 'assistants', 'batch', 'user_data', 'vision', "
        "'evals'] - 'purpose'"
    )
    assert caught.value.param == "purpose"


@pytest.mark.parametrize("purpose", ["assistants", "batch", "user_data", "vision", "evals"])
def test_every_purpose_is_taken(client: OpenAI, purpose: str) -> None:
    file = client.files.create(file=("a.jsonl", b"anything \x00\xff"), purpose=purpose)
    assert (file.purpose, file.status) == (purpose, "processed")
    client.files.delete(file.id)


GOOD = b'{"prompt": "a", "completion": "b"}\n'


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "The file is empty"),
        (b"\n\n", "The file is empty"),
        (b"[1, 2]\n", 'Line 1 is not a dictionary (HINT: line starts with: "[1, 2]")'),
        (GOOD + b"hello\n", 'Line 2 is not a dictionary (HINT: line starts with: "hello")'),
        (GOOD + b"\n" + GOOD, "Line 2 is not a dictionary (it is empty)"),
        (GOOD + b'{"a": \x00}', "Line 2 is not a dictionary (it contains a NUL byte"),
        (GOOD + b'{"a": "\xff"}', "Line 2 is not a dictionary (it is not valid UTF-8 (byte 8"),
        (b"\xef\xbb\xbf" + GOOD, "byte order mark"),
        (GOOD.decode().encode("utf-16"), "UTF-16"),
        (b'{"a": NaN}', "Line 1 is not a dictionary"),
        (b"{\n  1\n}", 'Line 1 is not a dictionary (HINT: line starts with: "{")'),
        (b"[" * 10_000, "Line 1 is not a dictionary"),
    ],
)
def test_a_training_file_must_be_jsonl(client: OpenAI, content: bytes, text: str) -> None:
    before = client.files.list(purpose="fine-tune").data
    with pytest.raises(BadRequestError) as caught:
        client.files.create(file=("a.jsonl", content), purpose="fine-tune")
    assert text in caught.value.message
    assert client.files.list(purpose="fine-tune").data == before


@pytest.mark.parametrize("wanted", ["bytes=0-3", "bytes=99999999-", "lines=1", "bytes="])
def test_a_range_of_a_file_is_the_whole_file(client: OpenAI, wanted: str) -> None:
    file = client.files.create(file=("a.bin", b"whole"), purpose="user_data")
    answer = client.files.with_raw_response.content(file.id, extra_headers={"range": wanted})
    assert (answer.status_code, answer.content) == (200, b"whole")


@pytest.mark.parametrize(
    "content", [GOOD, GOOD.strip(), GOOD + b"\n\n", GOOD.replace(b"\n", b"\r\n")]
)
def test_line_ends_do_not_matter(client: OpenAI, content: bytes) -> None:
    file = client.files.create(file=("a.jsonl", io.BytesIO(content)), purpose="fine-tune")
    assert client.files.content(file.id).read() == content


@pytest.mark.parametrize(("purpose", "reader"), [("fine-tune", "Fine-Tuning"), ("batch", "Batch")])
def test_the_name_must_say_jsonl(client: OpenAI, purpose: str, reader: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        client.files.create(file=("heroes.txt", GOOD), purpose=purpose)
    assert caught.value.body["message"] == f"Invalid file format for {reader} API. Must be .jsonl"
    assert client.files.create(file=("HEROES.JSONL", GOOD), purpose=purpose).id


def test_a_limit_of_none_gives_an_empty_page(client: OpenAI) -> None:
    client.files.create(file=b"x", purpose="assistants")
    page = client.files.list(limit=0, after="file-unknown", purpose="assistants")
    assert (page.data, page.has_more, page.first_id, page.last_id) == ([], True, None, None)


def test_a_list_of_an_unknown_purpose_is_empty(client: OpenAI) -> None:
    assert client.files.list(purpose="fun").data == []


def test_refused_uploads_leave_nothing_on_disk(api: Api, client: OpenAI) -> None:
    with pytest.raises(BadRequestError):
        client.files.create(file=("a.jsonl", b"no json"), purpose="fine-tune")
    assert list((api.state / "files").glob("*.part")) == []


def test_expiry(client: OpenAI) -> None:
    file = client.files.create(
        file=("a.jsonl", b"x"),
        purpose="batch",
        expires_after={"anchor": "created_at", "seconds": 3600},
    )
    assert file.expires_at == pytest.approx(file.created_at + 3600, abs=60)
    for after in (
        {"anchor": "created_at", "seconds": 3599},
        {"anchor": "created_at", "seconds": 2_592_001},
        {"anchor": "last_active_at", "seconds": 3600},
    ):
        with pytest.raises(BadRequestError) as caught:
            client.files.create(file=("a.jsonl", b"x"), purpose="batch", expires_after=after)
        assert caught.value.param == "expires_after"


@pytest.mark.parametrize(
    ("form", "files", "text"),
    [
        ({"purpose": "batch"}, None, "'file'"),
        ({}, {"file": b"x"}, "'purpose'"),
        ({"purpose": "batch", "colour": "red"}, {"file": b"x"}, "colour"),
        ({"purpose": ["batch", "batch"]}, {"file": b"x"}, "more than once"),
        ({"purpose": "batch", "file": "text"}, None, "'file'"),
    ],
)
def test_bad_forms(api: Api, form: dict, files: dict | None, text: str) -> None:
    answer = httpx2.post(
        f"{api.url}/files",
        data=form,
        files=files,
        headers={"authorization": f"Bearer {api.key}"},
        trust_env=False,
    )
    assert answer.status_code == 400
    assert text in answer.json()["error"]["message"]


def test_a_file_in_use_stays(client: OpenAI, base_model: str) -> None:
    file = client.files.create(file=("a.jsonl", chat_lines()), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(model=base_model, training_file=file.id)
    with pytest.raises(ConflictError) as caught:
        client.files.delete(file.id)
    assert job.id in caught.value.message
    client.fine_tuning.jobs.cancel(job.id)
    wait_for(client, job.id, "cancelled")
    assert client.files.delete(file.id).deleted is True


def test_too_large_a_file(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path, max_file_bytes=1000)
    with (
        running(settings) as (url, key),
        OpenAI(base_url=url, api_key=key, max_retries=0) as small,
    ):
        small.files.create(file=("a.jsonl", b"x" * 1000), purpose="batch")
        for size in (1001, 3_000_000):
            with pytest.raises(APIStatusError) as caught:
                small.files.create(file=("a.jsonl", b"x" * size), purpose="batch")
            assert caught.value.status_code == 413
            assert "larger than 1000 bytes" in caught.value.message
        assert [file.bytes for file in small.files.list()] == [1000]
