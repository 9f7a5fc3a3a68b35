"""Responses through the SDK: every shape of a request and of an answer, and conversations."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from openai import APIError, BadRequestError, NotFoundError, OpenAI
from openai.types.responses import Response

from sandbox.engine.sampler.messages import Delta, EngineError, Generate, Usage
from tests.support.api import Api, running_api
from tests.support.scripted import ScriptedSampler

QUESTION = "Tell me about a hero."


@pytest.fixture
def ask(client: OpenAI, base_model: str):
    """Ask the base model, unless the test says otherwise."""

    def call(**fields: object):
        return client.responses.create(**{"model": base_model, "input": QUESTION, **fields})

    return call


def test_an_answer_has_the_hosted_shape(ask, base_model: str) -> None:
    answer = ask(metadata={"step": "1"}, instructions="Be kind.", user="u")
    assert answer.id.startswith("resp_") and len(answer.id) == 53
    assert (answer.object, answer.model, answer.status) == ("response", base_model, "completed")
    [message] = answer.output
    assert (message.type, message.role, message.status) == ("message", "assistant", "completed")
    assert message.id.startswith("msg_") and answer.output_text == message.content[0].text != ""
    assert (answer.error, answer.incomplete_details) == (None, None)
    assert (answer.instructions, answer.metadata, answer.user) == ("Be kind.", {"step": "1"}, "u")
    usage = answer.usage
    assert (usage.input_tokens, usage.output_tokens) == (7, 13)
    assert usage.total_tokens == 20 and usage.input_tokens_details.cached_tokens == 0
    assert answer.to_dict()["store"] is True
    assert Response.model_validate(answer.to_dict())


def test_an_answer_that_is_cut_is_incomplete(client: OpenAI, base_model: str, tmp_path) -> None:
    class Long(ScriptedSampler):
        async def generate(self, request: Generate) -> AsyncIterator[Delta | Usage]:
            assert request.sampling.max_tokens == 16
            yield Delta(0, "on and on", [], "length")
            yield Usage(1, 16)

    with running_api(tmp_path, Long()) as api, api.client() as made:
        fields = {"model": base_model, "input": "x", "max_output_tokens": 16}
        answer = made.responses.create(**fields)
        assert (answer.status, answer.output[0].status) == ("incomplete", "incomplete")
        assert answer.incomplete_details.reason == "max_output_tokens"
        *_, last = made.responses.create(**fields, stream=True)
        assert last.type == "response.incomplete"


def test_the_events_of_a_stream_in_order(ask) -> None:
    events = list(ask(stream=True, include=["message.output_text.logprobs"], top_logprobs=2))
    kinds = [event.type.removeprefix("response.") for event in events]
    words = kinds.count("output_text.delta")
    assert words > 3
    assert kinds == [
        "created", "in_progress", "output_item.added", "content_part.added",
        *["output_text.delta"] * words,
        "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    assert [event.sequence_number for event in events] == list(range(len(events)))
    deltas = [event for event in events if event.type == "response.output_text.delta"]
    text = "".join(event.delta for event in deltas)
    final = events[-1].response
    assert text == events[-4].text == final.output_text
    assert (events[0].response.status, events[0].response.output) == ("in_progress", [])
    assert {event.item_id for event in deltas} == {final.output[0].id}
    assert all(len(event.logprobs[0].top_logprobs) == 2 for event in deltas)
    assert len(final.output[0].content[0].logprobs) == words


def test_the_stream_helper_of_the_sdk(client: OpenAI, base_model: str) -> None:
    with client.responses.stream(model=base_model, input=QUESTION) as stream:
        said = "".join(e.delta for e in stream if e.type == "response.output_text.delta")
        assert stream.get_final_response().output_text == said


def test_a_stream_on_the_wire(api: Api, base_model: str) -> None:
    body = {"model": base_model, "input": QUESTION, "stream": True}
    with api.http() as http:
        text = http.post("/responses", json=body).text
    first, *_, last = text.removesuffix("\n\n").split("\n\n")
    name, data = first.split("\n")
    assert name == "event: response.created"
    assert json.loads(data.removeprefix("data: "))["type"] == "response.created"
    assert last.startswith("event: response.completed\n") and "[DONE]" not in text


def test_a_conversation_goes_on(ask, client: OpenAI) -> None:
    first = ask(instructions="Be kind.")
    second = ask(input="And then?", previous_response_id=first.id)
    assert second.previous_response_id == first.id and second.instructions is None
    # The question, its answer, the new question; the first instructions are left out.
    assert second.usage.input_tokens == 5 + 13 + 2
    items = client.responses.input_items.list(second.id, order="asc").data
    assert [item.role for item in items] == ["user", "assistant", "user"]
    assert items[1].id == first.output[0].id and items[2].content[0].text == "And then?"
    client.responses.delete(first.id)
    assert ask(previous_response_id=second.id).usage.input_tokens == 5 + 13 + 2 + 13 + 5


def test_the_same_conversation_by_hand(ask) -> None:
    first = ask()
    turn = [{"role": "user", "content": [{"type": "input_text", "text": QUESTION}]}]
    turn += [item.to_dict() for item in first.output]
    turn += [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": "More!"}]
    assert ask(input=turn).usage.input_tokens == 5 + 13 + 2 + 1


def test_stored_answers(ask, client: OpenAI, other_client: OpenAI) -> None:
    answer = ask()
    assert client.responses.retrieve(answer.id).to_dict() == answer.to_dict()
    assert client.responses.retrieve(answer.id, include=["message.output_text.logprobs"])
    streamed = list(ask(stream=True))[-1].response
    assert client.responses.retrieve(streamed.id).output_text == streamed.output_text
    for call in (other_client.responses.retrieve, other_client.responses.delete):
        with pytest.raises(NotFoundError, match="not found"):
            call(answer.id)
    with pytest.raises(NotFoundError, match="previous_response_id|not found"):
        other_client.responses.create(model="tiny", input="x", previous_response_id=answer.id)
    with pytest.raises(BadRequestError, match="cannot be streamed"):
        client.responses.retrieve(answer.id, stream=True)
    with pytest.raises(BadRequestError, match="synchronous"):
        client.responses.cancel(answer.id)
    client.responses.delete(answer.id)
    with pytest.raises(NotFoundError):
        client.responses.retrieve(answer.id)


def test_an_answer_that_is_not_to_be_stored(ask, client: OpenAI) -> None:
    answer = ask(store=False)
    assert answer.to_dict()["store"] is False
    with pytest.raises(NotFoundError):
        client.responses.retrieve(answer.id)


def test_stored_answers_outlive_a_restart(tmp_path: Path) -> None:
    with running_api(tmp_path) as api, api.client() as client:
        first = client.responses.create(model="tiny", input="Hi")
    with running_api(tmp_path) as api, api.client() as client:
        with pytest.raises(NotFoundError):  # the key is another one, of the same project
            client.responses.retrieve("resp_nothing")
        assert client.responses.retrieve(first.id).to_dict() == first.to_dict()


def test_input_items_in_pages(ask, client: OpenAI) -> None:
    messages = [{"role": "user", "content": str(number)} for number in range(5)]
    answer = ask(input=messages)
    pages = client.responses.input_items.list(answer.id, limit=2)
    assert [item.content[0].text for item in pages] == list("43210")
    assert pages.has_more and len(pages.data) == 2
    with pytest.raises(BadRequestError) as caught:
        client.responses.input_items.list(answer.id, after="msg_nothing")
    assert caught.value.param == "after"


def test_the_input_is_counted(ask, client: OpenAI) -> None:
    first = ask()
    fields = {"input": "And then?", "instructions": "Be kind.", "previous_response_id": first.id}
    counted = client.responses.input_tokens.count(model="tiny", tool_choice="none", **fields)
    assert counted.object == "response.input_tokens"
    assert counted.input_tokens == ask(**fields).usage.input_tokens == 5 + 13 + 2 + 2
    with pytest.raises(BadRequestError) as caught:
        client.responses.input_tokens.count(model="tiny", input="x", reasoning={"effort": "high"})
    assert caught.value.param == "reasoning"


def test_a_conversation_is_not_compacted(ask, client: OpenAI) -> None:
    with pytest.raises(BadRequestError, match="no compaction"):
        client.responses.compact(model="tiny", input="x")
    with pytest.raises(BadRequestError, match="cannot summarize") as caught:
        ask(context_management=[{"type": "compaction", "compact_threshold": 1000}])
    assert caught.value.param == "context_management"


def test_the_same_question_gets_the_same_seed(tmp_path: Path) -> None:
    """With a server that was started with one: the conversation counts, not its ids."""
    said = []
    for name in ("one", "two"):
        with running_api(tmp_path / name, seed=5) as api, api.client() as client:
            first = client.responses.create(model="tiny", input="Hi")
            second = client.responses.create(
                model="tiny", input="More", previous_response_id=first.id
            )
            said.append((first.output_text, second.output_text))
    assert said[0] == said[1]


def test_what_changes_nothing_is_allowed(ask) -> None:
    assert ask(
        text={"format": {"type": "text"}},
        tools=[{"type": "function", "name": "f", "parameters": {}, "strict": True}],
        tool_choice="none",
        reasoning={"effort": "none"},
        truncation="disabled",
        service_tier="auto",
        background=False,
        parallel_tool_calls=True,
        prompt_cache_key="k",
        safety_identifier="s",
    ).output_text


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"temperature": 2.1}, "temperature"),
        ({"top_p": -1}, "top_p"),
        ({"max_output_tokens": 15}, "max_output_tokens"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"input": []}, "input"),
        ({"input": 5}, "input"),
        ({"input": None}, "input"),
        ({"model": None}, "model"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "hero", "content": "x"}]}, "input[0].role"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
        ({"include": ["everything"]}, "include[0]"),
        ({"extra_body": {"seed": 1}}, "seed"),
        ({"extra_body": {"messages": []}}, "messages"),
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"reasoning": {"effort": "high"}}, "reasoning"),
        ({"text": {"format": {"type": "json_object"}}}, "text"),
        ({"truncation": "auto"}, "truncation"),
    ],
)
def test_bad_parameters_are_named(ask, fields: dict[str, object], param: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        ask(**fields)
    assert caught.value.param is not None and caught.value.param.startswith(param)
    assert caught.value.type == "invalid_request_error"


def test_an_unknown_model(ask) -> None:
    with pytest.raises(NotFoundError) as caught:
        ask(model="gpt-6")
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize("stream", [False, True])
def test_context_overflow(ask, stream: bool) -> None:
    with pytest.raises(BadRequestError) as caught:
        ask(input="hero " * 600, stream=stream)
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "input")


class Failing:
    """A sampler that says something and then fails."""

    async def generate(self, request: Generate) -> AsyncIterator[Delta | Usage]:
        yield Delta(0, "Once", [], None)
        raise EngineError("engine_crashed", "It ended.\nTraceback: secret")


def test_a_failure_within_a_stream(tmp_path: Path) -> None:
    with running_api(tmp_path, Failing()) as api, api.client() as client:
        stream = client.responses.create(model="tiny", input="x", stream=True)
        with pytest.raises(APIError, match="It ended"):
            list(stream)
        with pytest.raises(APIError) as caught:
            client.responses.create(model="tiny", input="x")
        assert caught.value.status_code == 503


class Stuck:
    """A sampler that says one word and never the next."""

    async def generate(self, request: Generate) -> AsyncIterator[Delta | Usage]:
        assert request.background
        yield Delta(0, "Once", [], None)
        await asyncio.Event().wait()


def wait_until(client: OpenAI, response_id: str, *states: str) -> Response:
    """Return the response once it is in one of these states."""
    for _ in range(6000):
        response = client.responses.retrieve(response_id)
        if response.status in states:
            return response
        time.sleep(0.01)
    raise AssertionError(f"{response_id} is {response.status}")


def test_a_response_in_the_background(ask, client: OpenAI) -> None:
    queued = ask(background=True, metadata={"a": "b"})
    assert (queued.status, queued.background, queued.output) == ("queued", True, [])
    response = wait_until(client, queued.id, "completed")
    assert response.output_text and response.usage.output_tokens == 13
    assert (response.metadata, response.created_at) == ({"a": "b"}, queued.created_at)
    assert client.responses.cancel(queued.id).to_dict() == response.to_dict()
    assert ask(previous_response_id=queued.id).usage.input_tokens == 5 + 13 + 5


def test_a_stream_of_the_background_can_be_read_again(ask, client: OpenAI) -> None:
    events = list(ask(background=True, stream=True))
    kinds = [event.type.removeprefix("response.") for event in events]
    assert kinds[:4] == ["created", "queued", "in_progress", "output_item.added"]
    assert kinds[-1] == "completed"
    assert [event.sequence_number for event in events] == list(range(len(events)))
    response = events[-1].response
    assert client.responses.retrieve(response.id).to_dict() == response.to_dict()
    assert list(client.responses.retrieve(response.id, stream=True)) == events
    rest = client.responses.retrieve(response.id, stream=True, starting_after=5)
    assert list(rest) == events[6:]
    after_all = client.responses.retrieve(response.id, stream=True, starting_after=len(events))
    assert list(after_all) == []


def test_a_response_in_the_background_is_cancelled(tmp_path: Path) -> None:
    with running_api(tmp_path, Stuck()) as api, api.client() as client:
        stream = client.responses.create(model="tiny", input="x", background=True, stream=True)
        events = [next(stream) for _ in range(6)]
        assert events[-1].delta == "Once"
        response = client.responses.retrieve(events[0].response.id)
        assert response.status == "in_progress"
        with pytest.raises(BadRequestError, match="is in_progress"):
            client.responses.create(model="tiny", input="y", previous_response_id=response.id)
        cancelled = client.responses.cancel(response.id)
        assert (cancelled.status, cancelled.output) == ("cancelled", [])
        assert list(stream) == []  # it ends for its readers
        assert client.responses.cancel(response.id).status == "cancelled"
        other = client.responses.create(model="tiny", input="x", background=True)
        client.responses.delete(other.id)
        with pytest.raises(NotFoundError):
            client.responses.retrieve(other.id)


def test_a_response_in_the_background_outlives_a_restart(tmp_path: Path) -> None:
    with running_api(tmp_path, Stuck()) as api, api.client() as client:
        fields = {"instructions": "Be kind.", "max_output_tokens": 16}
        left = client.responses.create(model="tiny", input="Hi", background=True, **fields)
        gone = client.responses.create(model="tiny", input="x " * 300, background=True)
    with running_api(tmp_path) as api, api.client() as client:
        response = wait_until(client, left.id, "completed")
        assert response.created_at == left.created_at and response.usage.input_tokens == 3
        assert wait_until(client, gone.id, "failed").error.code == "invalid_prompt"


def test_a_failure_in_the_background(tmp_path: Path) -> None:
    with running_api(tmp_path, Failing()) as api, api.client() as client:
        queued = client.responses.create(model="tiny", input="x", background=True)
        response = wait_until(client, queued.id, "failed")
        assert (response.error.code, response.error.message) == ("server_error", "It ended.")
        with pytest.raises(NotFoundError):
            client.responses.create(model="nothing", input="x", background=True)
        with pytest.raises(BadRequestError, match="needs 'store'"):
            client.responses.create(model="tiny", input="x", background=True, store=False)


def test_half_a_character_is_refused(api: Api) -> None:
    with api.http() as http:
        answer: httpx2.Response = http.post(
            "/responses", content=b'{"model": "tiny", "input": "\\ud800"}'
        )
    assert answer.status_code == 400
