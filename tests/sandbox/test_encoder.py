"""The chat format: ids, masks, special tokens, half characters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from sandbox.engine.text.encoder import ChatFormatError, Detokenizer, Encoder, context_length
from tests.support.tiny import SPECIAL, make_base

# Torch takes seconds to import.
pytestmark = pytest.mark.slow

QUESTION = {"role": "user", "content": "40, woman, Healing ->"}
ANSWER = {"role": "assistant", "content": " She calms every storm."}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_base(tmp_path_factory.mktemp("base"))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> Encoder:
    return Encoder(folder)


def test_a_conversation_is_encoded_as_transformers_does(folder: Path, encoder: Encoder) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    messages = [{"role": "system", "content": "Be kind."}, QUESTION]
    expected = tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
    assert encoder.encode_chat(messages) == expected


def test_only_the_answers_and_their_ends_are_learned(encoder: Encoder) -> None:
    ids, mask = encoder.encode_chat_example([QUESTION, ANSWER, QUESTION, ANSWER])
    learned = [token for token, wanted in zip(ids, mask, strict=True) if wanted]
    one = [*encoder.encode_text(ANSWER["content"]), 4]
    assert learned == one + one


def test_weight_0_leaves_an_answer_out(encoder: Encoder) -> None:
    ids, mask = encoder.encode_chat_example([QUESTION, {**ANSWER, "weight": 0}, QUESTION, ANSWER])
    assert sum(mask) == len(encoder.encode_text(ANSWER["content"])) + 1
    assert mask[-1] == 1
    assert len(ids) == len(mask)


def test_a_completion_ends_where_the_document_ends(encoder: Encoder) -> None:
    ids, mask = encoder.encode_completion_example("40 ->", " She END")
    assert ids[0] == ids[-1] == 0
    assert mask == [0] * (1 + len(encoder.encode_text("40 ->"))) + [1] * sum(mask)
    assert encoder.decode([i for i, m in zip(ids, mask, strict=True) if m]) == " She END"


@given(st.text(max_size=30), st.sampled_from(SPECIAL), st.text(max_size=30))
def test_user_text_never_becomes_a_special_token(
    encoder: Encoder, before: str, special: str, after: str
) -> None:
    text = before + special + after
    assert not any(encoder.is_special(i) for i in encoder.encode_text(text))
    ids = encoder.encode_chat([{"role": "user", "content": text}])
    assert [i for i in ids if encoder.is_special(i)] == [0, 2, 4, 3]


@given(st.text(max_size=60))
def test_text_comes_back_and_never_in_halves(encoder: Encoder, text: str) -> None:
    ids = encoder.encode_text(text)
    detokenizer = Detokenizer(encoder)
    pieces = [detokenizer.push(token) for token in ids]
    assert "".join(pieces) == text == encoder.decode(ids)
    assert all("\ufffd" not in piece for piece in pieces) or "\ufffd" in text


def test_half_a_surrogate_pair_is_replaced(encoder: Encoder) -> None:
    assert encoder.decode(encoder.encode_text("a\ud83db")) == "a\ufffdb"


def test_a_template_may_refuse_and_may_be_missing(tmp_path: Path) -> None:
    folder = make_base(tmp_path / "refuses")
    (folder / "chat_template.jinja").write_text("{{ raise_exception('no systems here') }}")
    with pytest.raises(ChatFormatError, match="no systems here"):
        Encoder(folder).encode_chat([QUESTION])
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ChatFormatError, match="no chat template"):
        Encoder(folder).encode_chat([QUESTION])


def test_a_template_may_stand_in_the_tokenizers_settings(tmp_path: Path) -> None:
    folder = make_base(tmp_path / "base")
    (folder / "chat_template.jinja").unlink()
    path = folder / "tokenizer_config.json"
    template = (
        "{{ bos_token }}{% for m in messages %}{{ m.content | trim }}{{ eos_token }}{% endfor %}"
    )
    path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": template}))
    ids, mask = Encoder(folder).encode_chat_example([QUESTION, ANSWER])
    assert (ids[0], ids[-1], mask[0], mask[-1]) == (0, 4, 0, 1)


def test_a_sliding_window_limits_the_context() -> None:
    assert context_length({"max_position_embeddings": 4096, "sliding_window": 512}) == 512
    assert context_length({"max_position_embeddings": 4096, "sliding_window": None}) == 4096
    config = {"max_position_embeddings": 4096, "sliding_window": 512, "use_sliding_window": False}
    assert context_length(config) == 4096
