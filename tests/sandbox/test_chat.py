"""Chat completions through the SDK: every shape of a request and of an answer."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
from openai import APIError, BadRequestError, NotFoundError, OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from sandbox.engine.sampler.messages import Delta, EngineError, Generate, Usage
from tests.support.api import Api, NoSampler, running_api
from tests.support.server import PATIENCE

QUESTION = [{"role": "user", "content": "Tell me about a hero."}]


@pytest.fixture
def ask(client: OpenAI, base_model: str):
    """Ask the base model, with short answers unless the test says otherwise."""

    def call(**fields: object):
        return client.chat.completions.create(
            **{"model": base_model, "messages": QUESTION, "max_completion_tokens": 6, **fields}
        )

    return call


def test_an_answer_has_the_hosted_shape(ask, base_model: str) -> None:
    answer = ask(seed=1)
    assert isinstance(answer, ChatCompletion)
    assert answer.id.startswith("chatcmpl-") and len(answer.id) == 38
    assert (answer.object, answer.model) == ("chat.completion", base_model)
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 6
    assert answer.usage.prompt_tokens == 5
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + 6
    assert ChatCompletion.model_validate(answer.to_dict(), strict=True)


def test_the_seed_decides(ask) -> None:
    first, again, other = ask(seed=5, n=2), ask(seed=5, n=2), ask(seed=6, n=2)

    def texts(answer: ChatCompletion) -> list[str]:
        return [choice.message.content for choice in answer.choices]

    assert [choice.index for choice in first.choices] == [0, 1]
    assert texts(first) == texts(again) != texts(other)
    assert ask(seed=-5).choices[0].message.content == ask(seed=-5).choices[0].message.content


def test_a_stream_says_the_same(ask) -> None:
    whole = ask(seed=3, n=2, logprobs=True)
    texts, reasons, tokens = ["", ""], [None, None], [0, 0]
    for chunk in ask(seed=3, n=2, logprobs=True, stream=True):
        assert isinstance(chunk, ChatCompletionChunk)
        assert "usage" not in chunk.to_dict()
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            reasons[choice.index] = choice.finish_reason or reasons[choice.index]
            if choice.logprobs:
                tokens[choice.index] += len(choice.logprobs.content)
    assert texts == [choice.message.content for choice in whole.choices]
    assert reasons == [choice.finish_reason for choice in whole.choices]
    assert tokens == [len(choice.logprobs.content) for choice in whole.choices]


def test_the_shape_of_a_stream(api: Api, base_model: str) -> None:
    body = {
        "model": base_model,
        "messages": QUESTION,
        "max_tokens": 3,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    answer = httpx2.post(
        f"{api.url}/chat/completions",
        json=body,
        headers={"authorization": f"Bearer {api.key}"},
        timeout=180,
        trust_env=False,
    )
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["x-request-id"].startswith("req_")
    lines = answer.text.split("\n\n")
    assert all(line.startswith("data: ") for line in lines[:-1]) and lines[-1] == ""
    assert lines[-2] == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]
    assert chunks[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert chunks[-2]["choices"][0]["delta"] == {}
    assert chunks[-2]["choices"][0]["finish_reason"] == "length"
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == 3
    assert len({chunk["id"] for chunk in chunks}) == 1


def test_logprobs(ask) -> None:
    answer = ask(logprobs=True, top_logprobs=3, temperature=0)
    tokens = answer.choices[0].logprobs.content
    assert len(tokens) == 6
    for token in tokens:
        assert len(token.top_logprobs) == 3
        assert token.logprob <= 0 and token.top_logprobs[0].logprob == pytest.approx(token.logprob)
    spoken = b"".join(bytes(token.bytes) for token in tokens)
    assert spoken.decode(errors="replace") == answer.choices[0].message.content
    assert ask().choices[0].logprobs is None
    assert ask(logprobs=True).choices[0].logprobs.content[0].top_logprobs == []


def test_stop_sequences_end_the_text_and_stay_out_of_it(ask) -> None:
    text = ask(seed=2, max_completion_tokens=20).choices[0].message.content
    stop = text[len(text) // 2 :][:3]
    stopped = ask(seed=2, max_completion_tokens=20, stop=[stop, "never said"])
    assert stopped.choices[0].message.content == text[: text.index(stop)]
    assert stopped.choices[0].finish_reason == "stop"


def test_messages_in_all_their_shapes(ask) -> None:
    plain = ask(seed=1, messages=[{"role": "system", "content": "Be kind."}, *QUESTION])
    parts = [{"type": "text", "text": "Be "}, {"type": "text", "text": "kind."}]
    same = ask(seed=1, messages=[{"role": "developer", "content": parts, "name": "Ada"}, *QUESTION])
    assert same.choices[0].message.content == plain.choices[0].message.content
    # An answer goes back into the conversation just as it came.
    history = [*QUESTION, plain.choices[0].message, {"role": "user", "content": "More!"}]
    assert ask(messages=history).usage.prompt_tokens > plain.usage.prompt_tokens


def test_what_changes_nothing_is_allowed(ask) -> None:
    answer = ask(
        user="u",
        store=True,
        audio={"voice": "alloy", "format": "wav"},
        parallel_tool_calls=True,
        reasoning_effort="none",
        tools=[{"type": "function", "function": {"name": "f"}}],
        tool_choice="none",
        metadata={"a": "b"},
        service_tier="auto",
        response_format={"type": "text"},
        modalities=["text"],
        extra_body={"functions": None, "max_tokens": None, "seed": None},
    )
    assert answer.choices[0].message.content


def test_an_unknown_model(ask, base_model: str) -> None:
    with pytest.raises(NotFoundError) as caught:
        ask(model="gpt-4o-mini")
    assert caught.value.code == "model_not_found" and base_model in caught.value.message


@pytest.mark.parametrize("stream", [False, True])
def test_context_overflow(ask, stream: bool) -> None:
    with pytest.raises(BadRequestError) as caught:
        ask(messages=[{"role": "user", "content": "hero " * 600}], stream=stream)
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "messages")
    assert caught.value.body["message"].startswith(
        "This model's maximum context length is 192 tokens."
    )


class Endless:
    """A sampler that never comes to an end by itself and notes when it is closed."""

    def __init__(self) -> None:
        self.begun, self.closed = threading.Event(), threading.Event()

    async def generate(self, request: Generate) -> AsyncIterator[Delta | Usage]:
        try:
            while True:
                self.begun.set()
                if request.stream:
                    yield Delta(0, "on ", [], None)
                await asyncio.sleep(0.01)
        finally:
            self.closed.set()


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_hangs_up_ends_the_generation(tmp_path: Path, stream: bool) -> None:
    sampler = Endless()
    with running_api(tmp_path, sampler) as api:
        body = json.dumps({"model": "tiny", "messages": QUESTION, "stream": stream})
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {api.key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        url = urlsplit(api.url)
        address = (url.hostname, url.port)
        # A bare connection: it hangs up when the answer has begun, however long that takes.
        with socket.create_connection(address, timeout=PATIENCE) as connection:
            connection.sendall((head + body).encode())
            assert sampler.begun.wait(PATIENCE)
            if stream:
                assert connection.recv(1024).startswith(b"HTTP/1.1 200")
        assert sampler.closed.wait(PATIENCE)


class Failing:
    """A sampler that says something and then fails, foreseen or not."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def generate(self, request: Generate) -> AsyncIterator[Delta | Usage]:
        yield Delta(0, "Once", [], None)
        raise self.error


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (EngineError("engine_crashed", "It ended.\nTraceback: secret"), 503, "It ended."),
        (ZeroDivisionError("secret"), 500, "The sandbox had an error"),
    ],
)
def test_failures_in_both_shapes(tmp_path: Path, error: Exception, status: int, text: str) -> None:
    with running_api(tmp_path, Failing(error)) as api, api.client() as client:
        fields = {"model": "tiny", "messages": QUESTION}
        with pytest.raises(APIError) as caught:
            client.chat.completions.create(**fields)
        assert caught.value.status_code == status
        assert text in caught.value.message and "secret" not in caught.value.message
        with client.chat.completions.create(**fields, stream=True) as stream:
            with pytest.raises(APIError) as caught:
                list(stream)
            assert text in caught.value.message and "secret" not in caught.value.message


def test_a_model_that_cannot_be_loaded(tmp_path: Path) -> None:
    with (
        running_api(tmp_path, NoSampler()) as api,
        api.client() as client,
        pytest.raises(APIError) as caught,
    ):
        client.chat.completions.create(model="tiny", messages=QUESTION, stream=True)
    assert (caught.value.status_code, caught.value.code) == (503, "model_unavailable")
