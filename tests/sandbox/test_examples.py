"""Training files: what is accepted, and how each fault is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.engine.text.encoder import Encoder
from sandbox.engine.text.examples import (
    TrainingExample,
    TrainingFileError,
    read_examples,
    validate_training_file,
)
from tests.support.tiny import CONTEXT

USER = {"role": "user", "content": "40, woman ->"}
ASSISTANT = {"role": "assistant", "content": " She heals."}
CHAT = {"messages": [USER, ASSISTANT]}
PAIR = {"prompt": "40, woman ->", "completion": " She heals. END"}


@pytest.fixture(scope="module")
def base(tiny: Path) -> Path:
    return tiny


def write(path: Path, *records: Any) -> Path:
    lines = (r if isinstance(r, bytes) else json.dumps(r).encode() for r in records)
    path.write_bytes(b"\n".join(lines))
    return path


def examples(path: Path, base: Path) -> list[tuple[str, TrainingExample]]:
    validate_training_file(path, base)
    return list(read_examples(path, Encoder(base)))


def fault(tmp_path: Path, base: Path, *records: Any, role: Any = "training") -> TrainingFileError:
    with pytest.raises(TrainingFileError) as caught:
        validate_training_file(write(tmp_path / "file.jsonl", *records), base, role)
    return caught.value


@pytest.mark.parametrize(("record", "form"), [(CHAT, "chat"), (PAIR, "completion")])
def test_a_good_file(tmp_path: Path, base: Path, record: Any, form: str) -> None:
    records = [b"\xef\xbb\xbf" + json.dumps(record).encode(), b"", *[record] * 9, b"  \r"]
    first, *others = examples(write(tmp_path / "f", *records), base)
    assert first[0] == form and others == [first] * 9
    assert len(first[1].ids) == len(first[1].mask) > 10


def test_a_validation_file_may_be_short(tmp_path: Path, base: Path) -> None:
    path = write(tmp_path / "f", CHAT)
    validate_training_file(path, base, "validation")
    error = fault(tmp_path, base, b"", role="validation")
    assert (error.code, error.param) == ("invalid_n_examples", "validation_file")


def test_too_few_examples(tmp_path: Path, base: Path) -> None:
    error = fault(tmp_path, base, *[CHAT] * 7)
    assert error.code == "invalid_n_examples"
    assert error.message == "Training file has 7 example(s), but must have at least 10 examples"
    assert error.param == "training_file"


IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}


def chat(*messages: Any, **extra: Any) -> dict[str, Any]:
    return {"messages": list(messages), **extra}


def test_null_keys_and_text_parts_mean_what_their_absence_and_their_text_mean(
    tmp_path: Path, base: Path
) -> None:
    parts = [{"type": "text", "text": " She "}, {"type": "text", "text": "heals.", "x": None}]
    exported = {"refusal": None, "tool_calls": [], "weight": None, "annotations": []}
    record = chat({**USER, "name": None}, {**exported, **ASSISTANT, "content": parts}, tools=None)
    record |= {"functions": [], "parallel_tool_calls": True}
    plain = examples(write(tmp_path / "a", *[CHAT] * 10), base)
    assert examples(write(tmp_path / "b", *[record] * 10), base) == plain
    pairs = examples(write(tmp_path / "c", *[{**PAIR, "messages": None}] * 10), base)
    assert pairs[0][0] == "completion"


FAULTS = [
    (chat(ASSISTANT, USER), "The last message must be from the assistant"),
    (chat(USER), "At least one message must be from the assistant"),
    (chat(USER, {**ASSISTANT, "weight": 0}), "weight other than 0"),
    (chat(USER, {**ASSISTANT, "weight": 2}), "message 2: weight is 2"),
    (chat(USER, {**ASSISTANT, "weight": True}), "message 2: weight is true"),
    (chat(USER, {**ASSISTANT, "weight": [1]}), "message 2: weight is [1]"),
    (chat({"content": "x"}, ASSISTANT), "message 1 Discriminator 'role' is missing in value"),
    (chat({"role": "robot", "content": "x"}, ASSISTANT), 'message 1: unknown role "robot"'),
    (chat({"role": {}, "content": "x"}, ASSISTANT), "message 1: unknown role {}"),
    (chat({"role": "tool", "content": "x"}, ASSISTANT), "'tool' is not supported by this model"),
    (chat(USER, {**ASSISTANT, "tool_calls": [1]}), '"tool_calls" is not supported by this model'),
    (chat(USER, {**ASSISTANT, "content": ""}), "message 2: content is empty"),
    (chat(USER, {**ASSISTANT, "content": 5}), "message 2: content is a number"),
    (chat(USER, {**ASSISTANT, "content": [{"type": "text"}]}), "content is a list"),
    (chat(USER, {"role": "assistant"}), 'message 2: key "content" is missing'),
    (chat("hello", ASSISTANT), "message 1 is a string"),
    (chat(USER, ASSISTANT, tools=[{}]), "tools are not supported by this model"),
    ({"messages": {}}, 'key "messages" is a dictionary'),
    ({"messages": []}, 'key "messages" is an empty list'),
    ({"prompt": "x"}, 'key "completion" is missing'),
    ({"prompt": None, "completion": "x"}, 'key "prompt" is missing'),
    ({"prompt": ["x"], "completion": "x"}, 'key "prompt" is a list'),
    (chat(USER, {**ASSISTANT, "content": []}), "message 2: content is a list"),
    (chat(USER, {**ASSISTANT, "content": [{"type": "text", "text": 5}]}), "content is a list"),
    (chat(USER, {**ASSISTANT, "content": [{"type": "text", "text": ""}]}), "content is empty"),
    (chat({**USER, "content": [IMAGE]}, ASSISTANT), "message 1: content is a list"),
    (json.dumps(PAIR).encode("utf-16-be"), "is not valid JSON"),
    ({"prompt": "x", "completion": ""}, 'key "completion" is empty'),
    ({"input": {}, "preferred_output": []}, "fine-tune-preference format"),
    ({"text": "x"}, "Unexpected file format, expected either prompt/completion pairs or chat"),
    (b"[1, 2]", "is a list, but must be a JSON dictionary"),
    (b"3", "is a number"),
    (b'{"messages": ', "is not valid JSON"),
    (b'{"prompt": "\xff"}', "byte 12 is not UTF-8"),
    (b"[" * 100_000, "is not valid JSON in UTF-8 (nested too deeply)"),
    (b"1" * 5_000, "is not valid JSON in UTF-8 (a number has too many digits)"),
    (b'{"prompt": "\\ud800", "completion": "x"}', "half of a surrogate pair"),
    (PAIR, "is in the completion format, but the examples before it are in the chat format"),
]


@pytest.mark.parametrize(("record", "words"), FAULTS)
def test_each_fault_is_named_with_its_place(
    tmp_path: Path, base: Path, record: Any, words: str
) -> None:
    error = fault(tmp_path, base, *[CHAT] * 4, record, *[CHAT] * 10)
    assert error.code == "invalid_training_file"
    assert error.param == "training_file"
    start = "The job failed due to an invalid training file. Invalid file format. Example 5"
    assert error.message.startswith(start)
    assert words in error.message


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (chat(USER, ASSISTANT, weight=1), 'Example 1 contains an extra "weight".'),
        (chat({**USER, "weight": 1}, ASSISTANT), 'message 1 contains an extra "weight".'),
        ({**PAIR, "x": 1}, 'Example 1 contains an extra "x".'),
        (chat(USER, {**ASSISTANT, "content": "a<|end|>b"}), "message 2 contains an invalid token"),
        ({**PAIR, "prompt": "<|user|>"}, "prompt contains an invalid token: <|user|>."),
    ],
)
def test_format_errors_have_their_own_code(
    tmp_path: Path, base: Path, record: Any, words: str
) -> None:
    error = fault(tmp_path, base, *[record] * 10)
    assert error.code == "invalid_file_format"
    assert error.message.startswith("The job failed due to a file format error in the training")
    assert words in error.message


def test_a_long_example_says_its_tokens_and_the_limit(tmp_path: Path, base: Path) -> None:
    long = chat(USER, {**ASSISTANT, "content": "é" * CONTEXT})
    error = fault(tmp_path, base, *[CHAT] * 11, long)
    assert "Example 12 has" in error.message
    assert f"this model's context is {CONTEXT} tokens" in error.message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "weight", "messages", "prompt", "name", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
MESSAGE = st.fixed_dictionaries(
    {}, optional={"role": st.sampled_from(["user", "assistant", 1]) | JSON, "content": JSON}
)
RECORD = (
    JSON
    | st.fixed_dictionaries({"messages": st.lists(MESSAGE | JSON, max_size=4)})
    | st.fixed_dictionaries({"prompt": JSON, "completion": JSON})
)
LINE = st.binary(max_size=40) | RECORD.map(lambda record: json.dumps(record).encode())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(LINE, max_size=12))
def test_any_file_is_either_good_or_refused_with_a_reason(
    tmp_path: Path, base: Path, lines: list[bytes]
) -> None:
    path = write(tmp_path / "any.jsonl", *lines)
    try:
        assert len(examples(path, base)) >= 10
    except TrainingFileError as error:
        assert error.param == "training_file"
        assert error.code.startswith("invalid_")
        assert len(error.message) > 20
