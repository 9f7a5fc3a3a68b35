"""Vectors from a model: their length and direction, in portions, and what is refused."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from sandbox.engine.sampler.embed import EmbedLoop, TextEncoder
from sandbox.engine.sampler.messages import Embed, EngineError, Output
from sandbox.engine.sampler.models import ModelCache
from tests.support.tiny_embedder import LIMIT, WIDTH, kept_embedder

# Torch takes seconds to import.
pytestmark = pytest.mark.slow

ROOM = LIMIT - 2  # beside [CLS] and [SEP]


@pytest.fixture(scope="module")
def folder() -> Path:
    return kept_embedder()


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
    assert output.error is None, output.error
    return np.stack([np.frombuffer(base64.b64decode(v), "<f4") for v in output.vectors or []])


def test_vectors_have_unit_length_and_the_model_width(loop: EmbedLoop) -> None:
    output = run(loop, "a healer in the city", "rain")
    made = vectors(output)
    assert made.shape == (2, WIDTH)
    assert np.linalg.norm(made, axis=1) == pytest.approx(1, abs=1e-6)
    assert output.usage and (output.usage.prompt_tokens, output.usage.completion_tokens) == (6, 0)


def test_a_vector_is_the_mean_over_the_whole_text(loop: EmbedLoop, folder: Path) -> None:
    """The last hidden states by transformers itself, without batch, padding or truncation."""
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModel

    text = "She is a healer and calms the storm. " * 4  # beyond the tokenizer's own truncation
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ids = torch.tensor([tokenizer.encode(text).ids])
    assert ids.shape[1] > 30
    with torch.inference_mode():
        states = AutoModel.from_pretrained(folder)(ids).last_hidden_state[0]
    expected = (states.mean(0) / states.mean(0).norm()).numpy()
    assert np.allclose(vectors(run(loop, text, "rain"))[0], expected, atol=1e-5)


def test_the_company_of_other_texts_changes_nothing(loop: EmbedLoop) -> None:
    texts = ["He flies over the harbour", "rain", "She is a healer who calms every storm"]
    together = vectors(run(loop, *texts))
    alone = np.concatenate([vectors(run(loop, text)) for text in texts])
    assert np.allclose(together, alone, atol=1e-6)


def test_token_ids_are_taken_as_they_are(loop: EmbedLoop, folder: Path) -> None:
    tokenizer = TextEncoder(folder).tokenizer
    ids = tokenizer.encode("rain in the city", add_special_tokens=False).ids
    assert len(ids) == 4
    assert np.array_equal(vectors(run(loop, ids)), vectors(run(loop, "rain in the city")))


def test_special_tokens_in_a_text_stay_text(loop: EmbedLoop) -> None:
    text, marker = vectors(run(loop, "[SEP]"))[0], vectors(run(loop, [3]))[0]
    assert not np.allclose(text, marker, atol=0.1)


def test_fewer_dimensions_are_cut_and_made_long_again(loop: EmbedLoop) -> None:
    whole, short = vectors(run(loop, "rain"))[0], vectors(run(loop, "rain", dimensions=8))[0]
    assert short == pytest.approx(whole[:8] / np.linalg.norm(whole[:8]), abs=1e-6)


def test_too_many_dimensions_are_refused(loop: EmbedLoop) -> None:
    with pytest.raises(EngineError, match=f"less than or equal to {WIDTH}") as caught:
        loop.add(1, Embed("", ["x"], WIDTH + 1))
    assert caught.value.code == "invalid_dimensions"


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ([[7], [7] * (ROOM + 1)], rf"input\[1\] resulted in {ROOM + 1} tokens"),
        (["x", "rain " * (ROOM + 1)], rf"input\[1\] resulted in {ROOM + 1} tokens"),
        (["x", "y" * 100_000], r"input\[1\] has 100000 characters"),
        ([[5, 99999]], "Token 99999 does not exist"),
        ([[7] * ROOM] * 4900, "max 300000 tokens per request"),
    ],
    ids=["tokens", "text", "characters", "unknown token", "too many in all"],
)
def test_what_cannot_be_embedded(loop: EmbedLoop, inputs: list[object], words: str) -> None:
    output = run(loop, *inputs)
    assert output.error is not None and re.search(words, output.error.message)
    assert output.error.code in ("context_length_exceeded", "invalid_request")
    assert vectors(run(loop, [7] * ROOM)).shape == (1, WIDTH)


def test_no_text_is_refused(loop: EmbedLoop) -> None:
    with pytest.raises(EngineError, match="no text"):
        loop.add(1, Embed("", []))


def test_megabytes_of_text_are_encoded_a_few_at_a_time(loop: EmbedLoop) -> None:
    loop.add(1, Embed("", ["rain " * 60] * 2000))
    loop.add(2, Embed("", ["short"]))
    assert [output.id for _ in range(2) for output in loop.step()] == [2]
    loop.cancel(1)
    assert not loop.busy


def test_two_requests_take_turns_and_one_can_be_cancelled(loop: EmbedLoop) -> None:
    loop.add(1, Embed("", [[7 + i % 5] * ROOM for i in range(300)]))
    loop.add(2, Embed("", ["short"]))
    first = [output for _ in range(2) for output in loop.step()]
    assert [output.id for output in first] == [2]  # it did not wait for the long one
    loop.cancel(1)
    assert not loop.busy


def test_a_damaged_model_fails_its_request_only(folder: Path) -> None:
    encoder = TextEncoder(folder)
    encoder.model.encoder.layer[0].output.dense.weight.data.fill_(float("nan"))
    output = run(EmbedLoop(encoder), "x")
    assert output.error is not None and output.error.code == "model_unavailable"


def test_another_kind_of_pooling_is_refused(folder: Path, tmp_path: Path) -> None:
    other = shutil.copytree(folder, tmp_path / "other")
    (other / "1_Pooling" / "config.json").write_text(
        json.dumps({"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True})
    )
    with pytest.raises(EngineError, match="not means") as caught:
        ModelCache().embedder(str(other))
    assert caught.value.code == "model_unavailable"


def test_minilm_finds_what_shares_no_word(real_base: Callable) -> None:
    loop = ModelCache().embedder(str(real_base("all-minilm-l6-v2").path))
    question, answer = "Who could mend a broken arm?", "She heals wounds."
    texts = [question, answer, "He freezes rivers.", "Taxes rise"]
    made = vectors(run(loop, *texts))
    assert made.shape == (4, 384)
    near = made @ made.T
    assert near[0, 1] > near[0, 2] + 0.1 and near[0, 1] > near[0, 3] + 0.1
