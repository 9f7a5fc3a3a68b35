"""The file of a batch: what is good, what is wrong, and on which line."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.api import batch_file
from sandbox.api.batch_file import check_file, read_lines

URL = "/v1/completions"


def line(number: int = 1, **changes: Any) -> dict[str, Any]:
    body = {"model": "m", "prompt": "x"}
    fields = {"custom_id": f"id-{number}", "method": "POST", "url": URL, "body": body}
    return {name: value for name, value in (fields | changes).items() if value is not None}


def check(path: Path, *lines: object, url: str = URL) -> batch_file.Summary:
    texts = [one if isinstance(one, str) else json.dumps(one) for one in lines]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return check_file(path, url, lambda name: name == "m")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "batch.jsonl"


def test_a_good_file(path: Path) -> None:
    summary = check(path, line(1), line(2), "", line(3))
    assert (summary.total, summary.model, summary.errors) == (3, "m", [])
    assert [one.custom_id for one in read_lines(path)] == ["id-1", "id-2", "id-3"]
    assert [one.number for one in read_lines(path)] == [1, 2, 4]  # as an editor counts


@pytest.mark.parametrize(
    ("bad", "code", "param"),
    [
        ("{not json", "invalid_json_line", None),
        ("[1, 2]", "invalid_json_line", None),
        ('{"custom_id": NaN}', "invalid_json_line", None),
        (line(custom_id=None), "missing_required_parameter", "custom_id"),
        (line(custom_id=""), "missing_required_parameter", "custom_id"),
        (line(custom_id=7), "invalid_type", "custom_id"),
        (line(method=None), "missing_required_parameter", "method"),
        (line(method="GET"), "invalid_method", "method"),
        (line(url="/v1/chat/completions"), "invalid_url", "url"),
        (line(body=None), "missing_required_parameter", "body"),
        (line(body=[1]), "invalid_type", "body"),
        (line(body={"prompt": "x"}), "missing_required_parameter", "body.model"),
        (line(body={"model": 7}), "invalid_type", "body.model"),
        (line(body={"model": "other"}), "model_mismatch", "body.model"),
        (line(custom_id="id-9"), "duplicate_custom_id", "custom_id"),
    ],
)
def test_what_is_wrong_with_a_line(path: Path, bad: object, code: str, param: str | None) -> None:
    summary = check(path, line(8), line(9), bad, line(10))
    (error,) = summary.errors
    assert (error["code"], error["param"], error["line"]) == (code, param, 3)
    assert error["message"].endswith(".")


def test_every_bad_line_is_named(path: Path) -> None:
    summary = check(path, "x", line(1), line(1), line(2, url="/v1/x"))
    assert [(e["line"], e["code"]) for e in summary.errors] == [
        (1, "invalid_json_line"),
        (3, "duplicate_custom_id"),
        (4, "invalid_url"),
    ]


def test_an_unknown_model(path: Path) -> None:
    (error,) = check(path, line(1, body={"model": "gpt"})).errors
    assert (error["code"], error["line"]) == ("model_not_found", 1)


def test_the_list_of_errors_has_an_end(path: Path) -> None:
    assert len(check(path, *["x"] * 500).errors) == batch_file.MOST_ERRORS


def test_an_empty_file(path: Path) -> None:
    (error,) = check(path, "", " ").errors
    assert (error["code"], error["line"]) == ("empty_file", None)


def test_too_many_lines(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_file, "MOST_LINES", 3)
    assert check(path, *(line(i) for i in range(3))).errors == []
    (error,) = check(path, *(line(i) for i in range(4))).errors
    assert (error["code"], error["line"]) == ("too_many_tasks", None)


def test_too_many_texts_to_embed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_file, "MOST_INPUTS", 5)
    url = "/v1/embeddings"
    texts = line(1, url=url, body={"model": "m", "input": ["a"] * 4})
    one = line(2, url=url, body={"model": "m", "input": [1, 2, 3]})
    assert check(path, texts, one, url=url).errors == []
    (error,) = check(path, texts, one, line(3, url=url), url=url).errors
    assert error["code"] == "too_many_tasks"


def test_too_large_a_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_file, "MOST_BYTES", 10)
    (error,) = check(path, line(1)).errors
    assert error["code"] == "file_too_large"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just("id-1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)
odd_lines = st.dictionaries(
    st.sampled_from(["custom_id", "method", "url", "body"]), json_values, max_size=4
).map(lambda changes: json.dumps({**line(2), **changes}))


@given(lines=st.lists(odd_lines | st.binary(max_size=30).map(repr) | st.text(), max_size=6))
def test_a_file_without_errors_can_be_read(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    """Whatever the file holds, it is either refused with reasons or all of it can be worked on."""
    path = tmp_path_factory.getbasetemp() / "odd.jsonl"
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    summary = check_file(path, URL, lambda name: name == "m")
    count = len(path.read_bytes().split(b"\n"))
    for error in summary.errors:
        assert set(error) == {"code", "line", "message", "param"}
        assert error["line"] is None or 1 <= error["line"] <= count
    if not summary.errors:
        read = list(read_lines(path))
        assert len(read) == summary.total > 0
        assert len({one.custom_id for one in read}) == len(read)


@given(content=st.binary(max_size=200))
def test_any_bytes_are_answered(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.jsonl"
    path.write_bytes(content)
    assert check_file(path, URL, lambda _: True).errors
