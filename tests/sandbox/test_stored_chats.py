"""Chats with store=true: listed, filtered, changed, deleted, and their messages in pages."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import BadRequestError, NotFoundError, OpenAI

from tests.support.api import Api, running_api

QUESTION = [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Who?"}]


@pytest.fixture(scope="module")
def own_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running_api(tmp_path_factory.mktemp("chats") / "state") as api:
        yield api


@pytest.fixture
def chats(own_api: Api) -> Iterator[OpenAI]:
    """A client of a project without chats."""
    with own_api.client() as client:
        yield client
        for chat in client.chat.completions.list():
            client.chat.completions.delete(chat.id)


def create(client: OpenAI, **fields: object):
    fields = {"model": "tiny", "messages": QUESTION, "store": True, **fields}
    return client.chat.completions.create(**fields)


def test_a_stored_chat_is_found_again(chats: OpenAI) -> None:
    chat = create(chats, metadata={"a": "b"}, n=2)
    kept = chats.chat.completions.retrieve(chat.id)
    assert kept.to_dict() == chat.to_dict() | {"metadata": {"a": "b"}}
    assert chats.chat.completions.delete(chat.id).deleted
    for call in (chats.chat.completions.retrieve, chats.chat.completions.delete):
        with pytest.raises(NotFoundError, match="not found"):
            call(chat.id)


def test_a_stream_is_stored_whole(chats: OpenAI) -> None:
    chunks = list(create(chats, stream=True, logprobs=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    choice = chats.chat.completions.retrieve(chunks[0].id).choices[0]
    assert choice.message.content == text and choice.finish_reason == "stop"
    assert "".join(token.token for token in choice.logprobs.content) == text


def test_what_is_not_to_be_stored_is_not(chats: OpenAI) -> None:
    create(chats, store=False)
    assert chats.chat.completions.list().data == []


def test_lists(chats: OpenAI) -> None:
    made = [create(chats, metadata={"n": str(n), "of": "five"}).id for n in range(5)]
    bare = create(chats).id
    listed = chats.chat.completions.list

    def ids(**query: object) -> list[str]:
        return [chat.id for chat in listed(**query)]

    assert ids(limit=2) == [*made, bare]
    assert ids(order="desc", after=made[2]) == [made[1], made[0]]
    assert ids(metadata={"of": "five", "n": "3"}) == [made[3]]
    assert ids(extra_query={"metadata": "null"}) == [bare]
    assert (len(ids(model="tiny")), ids(model="other")) == (6, [])
    page = listed(limit=2)
    assert page.has_more and page.to_dict()["last_id"] == made[1]
    for query, param in [({"after": "chatcmpl-x"}, "after"), ({"limit": 101}, "limit")]:
        with pytest.raises(BadRequestError) as caught:
            listed(**query)
        assert caught.value.param == param
    with pytest.raises(BadRequestError, match="Known here: after, limit, order, model, metadata"):
        listed(extra_query={"color": "red"})


def test_metadata_is_changed(chats: OpenAI) -> None:
    chat = create(chats, metadata={"a": "b"})
    assert chats.chat.completions.update(chat.id, metadata={"c": "d"}).metadata == {"c": "d"}
    assert [one.id for one in chats.chat.completions.list(metadata={"c": "d"})] == [chat.id]
    assert chats.chat.completions.update(chat.id, metadata=None).metadata == {}


def test_messages_in_pages(chats: OpenAI) -> None:
    chat = create(chats)
    messages = chats.chat.completions.messages.list(chat.id, limit=1)
    assert [(one.id, one.role, one.content) for one in messages] == [
        (f"{chat.id}-{n}", one["role"], one["content"]) for n, one in enumerate(QUESTION)
    ]
    newest = chats.chat.completions.messages.list(chat.id, order="desc").data[0]
    assert newest.content == "Who?"


def test_others_cannot_see_them(own_api: Api, chats: OpenAI) -> None:
    chat = create(chats)
    response = chats.responses.create(model="tiny", input="x")
    with own_api.client(own_api.other_key) as other:
        assert other.chat.completions.list().data == []
        with pytest.raises(NotFoundError):
            other.chat.completions.messages.list(chat.id)
    for call in (chats.responses.retrieve, chats.responses.delete):
        with pytest.raises(NotFoundError):
            call(chat.id)
    with pytest.raises(NotFoundError):
        chats.chat.completions.retrieve(response.id)


def test_lines_of_a_batch_are_stored(tmp_path: Path) -> None:
    body = {"model": "tiny", "messages": QUESTION, "store": True}
    line = {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", "body": body}
    with running_api(tmp_path) as api, api.client() as client:
        file = client.files.create(file=("b.jsonl", json.dumps(line).encode()), purpose="batch")
        batch = client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        while batch.status != "completed":
            batch = client.batches.retrieve(batch.id)
        assert len(client.chat.completions.list().data) == 1
