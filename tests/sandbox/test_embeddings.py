"""Embeddings through the SDK: every shape of a request and of an answer."""

import base64
import json
import re
import struct
from pathlib import Path

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai import APIError, BadRequestError, NotFoundError, OpenAI, PermissionDeniedError
from openai.types import CreateEmbeddingResponse

from tests.support.api import Api, NoSampler, running_api
from tests.support.scripted import WIDTH
from tests.support.tiny_embedder import NAME as EMBEDDER


def dot(one: list[float], two: list[float]) -> float:
    return sum(a * b for a, b in zip(one, two, strict=True))


@pytest.fixture
def embed(client: OpenAI):
    def call(texts: object, **fields: object) -> CreateEmbeddingResponse:
        return client.embeddings.create(**{"model": EMBEDDER, "input": texts, **fields})

    return call


@pytest.fixture
def raw(api: Api):
    """The body of an answer as it is on the wire."""

    def call(**fields: object) -> httpx2.Response:
        return httpx2.post(
            f"{api.url}/embeddings",
            json={"model": EMBEDDER, "input": "x", **fields},
            headers={"authorization": f"Bearer {api.key}"},
            timeout=180,
            trust_env=False,
        )

    return call


def test_an_answer_has_the_hosted_shape(embed) -> None:
    answer = embed(["A healer", "A storm"])
    assert (answer.object, answer.model) == ("list", EMBEDDER)
    assert [item.index for item in answer.data] == [0, 1]
    assert {item.object for item in answer.data} == {"embedding"}
    assert all(len(item.embedding) == WIDTH for item in answer.data)
    assert all(dot(v.embedding, v.embedding) == pytest.approx(1, abs=1e-5) for v in answer.data)
    assert answer.usage.prompt_tokens == answer.usage.total_tokens > 2
    assert CreateEmbeddingResponse.model_validate(answer.to_dict(), strict=True)


def test_both_encodings_are_the_same_numbers(embed, raw) -> None:
    """The SDK asks for base64 by itself; a list of numbers comes when it is asked for."""
    plain = embed("flight", encoding_format="float").data[0].embedding
    assert embed("flight").data[0].embedding == plain
    packed = raw(input="flight", encoding_format="base64").json()["data"][0]["embedding"]
    assert list(struct.unpack(f"<{WIDTH}f", base64.b64decode(packed))) == plain
    assert isinstance(raw(input="flight").json()["data"][0]["embedding"], list)


def test_the_four_shapes_of_input(embed) -> None:
    one = embed("flight").data[0].embedding
    assert embed(["flight"]).data[0].embedding == one
    tokens, lists = embed([300, 301]), embed([[300, 301], [302]])
    assert len(tokens.data) == 1 and len(lists.data) == 2
    assert lists.data[0].embedding == pytest.approx(tokens.data[0].embedding, abs=1e-6)
    assert tokens.usage.prompt_tokens == 2 and lists.usage.prompt_tokens == 3


def test_the_same_text_gives_the_same_vector(embed) -> None:
    assert embed("A hero of 40").data == embed("A hero of 40").data


def test_fewer_dimensions(embed) -> None:
    whole, short = embed("flight").data[0].embedding, embed("flight", dimensions=4).data[0]
    length = dot(whole[:4], whole[:4]) ** 0.5
    assert short.embedding == pytest.approx([number / length for number in whole[:4]], abs=1e-6)


def test_two_thousand_texts_and_one_too_many(embed) -> None:
    answer = embed(["x"] * 2048)
    assert len(answer.data) == 2048 and answer.data[-1].index == 2047
    with pytest.raises(BadRequestError, match="maximum length 2048, but got .* 2049") as caught:
        embed(["x"] * 2049)
    assert caught.value.param == "input"


@pytest.mark.parametrize(
    ("fields", "param", "text"),
    [
        ({"input": ""}, "input", "cannot be an empty string"),
        ({"input": []}, "input", "cannot be an empty array"),
        ({"input": ["good", ""]}, "input", r"input\[1\] cannot be empty"),
        ({"input": [[1], []]}, "input", r"input\[1\] cannot be empty"),
        ({"input": 7}, "input", "string, a list of strings"),
        ({"input": ["a", [1]]}, "input", "string, a list of strings"),
        ({"input": [-1]}, "input", "string, a list of strings"),
        ({"input": None}, "input", "Missing required parameter"),
        ({"dimensions": 0}, "dimensions", "greater than or equal to 1"),
        ({"dimensions": WIDTH + 1}, "dimensions", f"less than or equal to {WIDTH}"),
        ({"encoding_format": "hex"}, "encoding_format", "'float' or 'base64'"),
        ({"temperature": 1}, "temperature", "Unrecognized request argument"),
        ({"model": None}, "model", "Missing required parameter"),
    ],
)
def test_bad_requests_name_the_parameter(raw, fields: dict, param: str, text: str) -> None:
    answer = raw(**fields)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == param
    assert re.search(text, error["message"]), error


def test_too_long_a_text(embed) -> None:
    with pytest.raises(BadRequestError, match="maximum context length") as caught:
        embed(["short", "hero " * 600])
    assert caught.value.code == "context_length_exceeded"


def test_an_unknown_model(embed) -> None:
    with pytest.raises(NotFoundError) as caught:
        embed("x", model="text-embedding-3-small")
    assert caught.value.code == "model_not_found"


def test_each_model_does_its_own_work(client: OpenAI, base_model: str, embed) -> None:
    with pytest.raises(PermissionDeniedError, match="not allowed to generate embeddings") as caught:
        embed("x", model=base_model)
    assert f"Ask {EMBEDDER}" in caught.value.message
    with pytest.raises(PermissionDeniedError, match="not allowed to sample"):
        client.completions.create(model=EMBEDDER, prompt="x")
    message = {"role": "user", "content": "x"}
    with pytest.raises(PermissionDeniedError, match="not allowed to sample"):
        client.chat.completions.create(model=EMBEDDER, messages=[message])
    with pytest.raises(BadRequestError, match="not available for fine-tuning") as refused:
        client.fine_tuning.jobs.create(model=EMBEDDER, training_file="file-x")
    assert refused.value.param == "model"


def test_a_model_that_is_not_fetched_says_how_to_get_it(embed) -> None:
    with pytest.raises(NotFoundError, match="heroes models fetch all-minilm-l6-v2") as caught:
        embed("x", model="all-minilm-l6-v2")
    assert caught.value.code == "model_not_found"


def test_a_dead_engine_is_told(tmp_path: Path) -> None:
    with (
        running_api(tmp_path, NoSampler()) as api,
        api.client() as client,
        pytest.raises(APIError, match="cannot be loaded"),
    ):
        client.embeddings.create(model=EMBEDDER, input="x")


texts = st.text(max_size=40) | st.sampled_from(["\ud83d", "<|end|>", " ", "\n", "é" * 30])
inputs = texts | st.lists(texts, max_size=4) | st.lists(st.integers(-5, 5000), max_size=6)
odd = inputs | st.none() | st.dictionaries(st.text(max_size=3), st.integers()) | st.floats()


@given(value=odd, dimensions=st.none() | st.integers(-2, 400))
def test_whatever_comes_in(api: Api, value, dimensions) -> None:
    body = {"model": EMBEDDER, "input": value, "dimensions": dimensions}
    answer = httpx2.post(
        f"{api.url}/embeddings",
        content=json.dumps(body),
        headers={"authorization": f"Bearer {api.key}"},
        timeout=180,
        trust_env=False,
    )
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 400:
        assert answer.json()["error"]["message"]
        return
    for item in answer.json()["data"]:
        assert len(item["embedding"]) == (dimensions or WIDTH)
        assert dot(item["embedding"], item["embedding"]) == pytest.approx(1, abs=1e-4)
