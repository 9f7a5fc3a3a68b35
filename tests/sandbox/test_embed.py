"""Vectors from a model: their length and direction, in portions, and what is refused."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import numpy as np
import pytest

from sandbox.engine.load import load_model
from sandbox.engine.sampler.embed import EmbedLoop
from sandbox.engine.sampler.forward import GeneralForward, make_forward
from sandbox.engine.sampler.messages import Embed, EngineError, Output
from sandbox.engine.sampler.models import ModelCache
from sandbox.engine.text.encoder import Encoder
from tests.support.tiny import CONTEXT, make_base

# Torch takes seconds to import.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def loop(folder: Path) -> EmbedLoop:
    return ModelCache().embedder(str(folder))


def run(loop: EmbedLoop, *inputs: object, **options: object) -> Output:
    """The output of one request, run to its end."""
    loop.add(1, Embed("", list(inputs), **options))
    found: list[Output] = []
    while loop.busy:
        found += loop.step()
    assert len(found) == 1
    return found[0]


def vectors(output: Output) -> np.ndarray:
    assert output.error is None
    return np.stack([np.frombuffer(base64.b64decode(v), "<f4") for v in output.vectors or []])


def test_vectors_have_unit_length_and_the_model_width(loop: EmbedLoop) -> None:
    output = run(loop, "a healer in the city", "rain")
    made = vectors(output)
    assert made.shape == (2, 64)
    assert np.linalg.norm(made, axis=1) == pytest.approx(1, abs=1e-6)
    assert output.usage and output.usage.prompt_tokens > 2 and output.usage.completion_tokens == 0


def test_the_company_of_other_texts_changes_nothing(loop: EmbedLoop) -> None:
    texts = ["He flies over the harbour", "rain", "She is a healer who calms every storm"]
    together = vectors(run(loop, *texts))
    alone = np.concatenate([vectors(run(loop, text)) for text in texts])
    assert np.allclose(together, alone, atol=1e-6)


def test_shared_words_make_texts_alike(loop: EmbedLoop) -> None:
    texts = ["the healer calms the storm", "a healer and a storm", "invisibility, quietly"]
    made = vectors(run(loop, *texts))
    near = made @ made.T
    assert near[0, 1] > near[0, 2] + 0.2 and near[0, 1] > near[1, 2] + 0.2


def test_a_word_is_the_same_at_the_start(loop: EmbedLoop) -> None:
    first, second = vectors(run(loop, "healer", " healer"))
    assert np.array_equal(first, second)


def test_token_ids_are_taken_as_they_are(loop: EmbedLoop, folder: Path) -> None:
    ids = Encoder(folder).encode_text(" rain in the city")
    assert np.array_equal(vectors(run(loop, ids)), vectors(run(loop, "rain in the city")))


def test_special_tokens_in_a_text_stay_text(loop: EmbedLoop) -> None:
    text, marker = vectors(run(loop, "<|end|>"))[0], vectors(run(loop, [4]))[0]
    assert not np.allclose(text, marker, atol=0.1)


def test_fewer_dimensions_are_cut_and_made_long_again(loop: EmbedLoop) -> None:
    whole, short = vectors(run(loop, "rain"))[0], vectors(run(loop, "rain", dimensions=8))[0]
    assert short == pytest.approx(whole[:8] / np.linalg.norm(whole[:8]), abs=1e-6)


def test_too_many_dimensions_are_refused(loop: EmbedLoop) -> None:
    with pytest.raises(EngineError, match="less than or equal to 64") as caught:
        loop.add(1, Embed("", ["x"], 65))
    assert caught.value.code == "invalid_dimensions"


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ([[7], [7] * CONTEXT], r"input\[1\] resulted in 192 tokens"),
        (["x", "y" * 100_000], r"input\[1\] has 100000 characters"),
        ([[5, 99999]], "Token 99999 does not exist"),
        ([[7] * 190] * 1600, "max 300000 tokens per request"),
    ],
    ids=["tokens", "characters", "unknown token", "too many in all"],
)
def test_what_cannot_be_embedded(loop: EmbedLoop, inputs: list[object], words: str) -> None:
    output = run(loop, *inputs)
    assert output.error is not None and re.search(words, output.error.message)
    assert output.error.code in ("context_length_exceeded", "invalid_request")
    assert vectors(run(loop, [7] * (CONTEXT - 1))).shape == (1, 64)


def test_no_text_is_refused(loop: EmbedLoop) -> None:
    with pytest.raises(EngineError, match="no text"):
        loop.add(1, Embed("", []))


def test_megabytes_of_text_are_encoded_a_few_at_a_time(loop: EmbedLoop) -> None:
    loop.add(1, Embed("", ["rain " * 30] * 2000))
    loop.add(2, Embed("", ["short"]))
    assert [output.id for _ in range(2) for output in loop.step()] == [2]
    loop.cancel(1)
    assert not loop.busy


def test_two_requests_take_turns_and_one_can_be_cancelled(loop: EmbedLoop) -> None:
    long = [[7 + i % 5] * 150 for i in range(60)]
    loop.add(1, Embed("", long))
    loop.add(2, Embed("", ["short"]))
    first = [output for _ in range(2) for output in loop.step()]
    assert [output.id for output in first] == [2]  # it did not wait for the long one
    loop.cancel(1)
    assert not loop.busy


def test_the_general_forward_gives_the_same_vectors(folder: Path) -> None:
    model, encoder = load_model(folder), Encoder(folder)
    plain = EmbedLoop(make_forward(model), encoder)
    general = EmbedLoop(GeneralForward(model), encoder)
    texts = ("a hero in the rain", "storm")
    assert np.allclose(vectors(run(plain, *texts)), vectors(run(general, *texts)), atol=1e-4)


def test_a_model_without_a_start_token(folder: Path) -> None:
    class NoStart(Encoder):
        def encode_prompt(self, text: str) -> list[int]:
            return self.encode_text(text)

    loop = EmbedLoop(make_forward(load_model(folder)), NoStart(folder))
    assert np.isfinite(vectors(run(loop, "x", "a hero"))).all()


def test_a_diverged_model_fails_its_request_only(folder: Path) -> None:
    model = load_model(folder)
    model.model.norm.weight.data.fill_(float("nan"))
    output = run(EmbedLoop(make_forward(model), Encoder(folder)), "x")
    assert output.error is not None and output.error.code == "model_unavailable"
