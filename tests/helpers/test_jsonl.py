"""Tables become training examples, examples become files, and files are read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.check_file import check_file
from helpers.json_lines import parse_jsonl
from helpers.jsonl import (
    leaks,
    read_jsonl,
    short_prompt,
    split_by,
    to_chat,
    to_completions,
    write_jsonl,
)
from helpers.pairs import add_separator, add_stop, drop_duplicates, leading_space

BOM = b"\xef\xbb\xbf"


@pytest.fixture
def heroes() -> pd.DataFrame:
    rows = [
        (age, gender, power, f"A {gender} of {age}: {power}.")
        for age in (18, 40)
        for gender in ("man", "woman")
        for power in ("flight", "telepathy", "Healing")
    ]
    return pd.DataFrame(rows, columns=["age", "gender", "power", "response_txt"])


def test_to_both_formats(heroes: pd.DataFrame, tmp_path: Path) -> None:
    question = {"role": "user", "content": "40, woman, Healing ->"}
    answer = {"role": "assistant", "content": "A woman of 40: Healing."}
    assert to_chat(heroes)[11] == {"messages": [question, answer]}
    pair = {"prompt": "40, woman, Healing ->", "completion": " A woman of 40: Healing. END"}
    assert to_completions(heroes)[11] == pair
    for made in (to_chat(heroes), to_completions(heroes)):
        path = write_jsonl(tmp_path / "made.jsonl", made)
        assert read_jsonl(path) == made
        assert check_file(path).counts == {"few": 1}


@pytest.mark.parametrize("age", [18, 18.0, np.int64(18), np.float32(18), "18", "18.0", "18.00"])
def test_a_whole_age_has_no_decimals(age: Any) -> None:
    assert short_prompt(age, "man", "flight") == "18, man, flight ->"


def test_other_ages_stay_and_missing_ones_are_refused() -> None:
    assert short_prompt(18.5, "man", "flight") == "18.5, man, flight ->"
    assert short_prompt("18.05", "man", "10.0 fires") == "18.05, man, 10.0 fires ->"
    for missing in (None, float("nan"), pd.NA, "", " ", "nan", "None", "#N/A", "<NA>"):
        with pytest.raises(ValueError, match="has no age"):
            short_prompt(missing, "man", "flight")


@pytest.mark.parametrize("column", ["age", "gender", "power", "response_txt"])
@pytest.mark.parametrize("value", [None, "nan", "  ", "#N/A"])
def test_a_missing_value_is_named_with_row_and_column(
    heroes: pd.DataFrame, column: str, value: Any
) -> None:
    heroes[column] = heroes[column].astype(object)
    heroes.loc[5, column] = value
    for convert in (to_chat, to_completions):
        with pytest.raises(ValueError, match=f"Row 5 of the table has no {column}") as caught:
            convert(heroes)
        remedy = str(caught.value).partition("with df.")[2].rstrip(".")
        assert len(convert(eval(f"df.{remedy}", {"df": heroes}))) == 11


def test_one_blank_age_leaves_the_other_ages_whole(heroes: pd.DataFrame) -> None:
    heroes.loc[5, "age"] = None
    with pytest.raises(ValueError, match=r"no age\. .* df\.dropna\(subset=\['age'\]\)\."):
        to_chat(heroes)
    assert to_chat(heroes.dropna())[0]["messages"][0]["content"] == "18, man, flight ->"
    with pytest.raises(ValueError, match="no column response_txt"):
        to_completions(heroes.drop(columns="response_txt"))


def test_split_and_leaks(heroes: pd.DataFrame) -> None:
    train, valid = split_by(heroes, "power", ["Healing"])
    assert (len(train), len(valid)) == (8, 4)
    assert leaks(train, valid, on=["power"]) == 0
    assert leaks(train, valid, on=["age", "gender"]) == 4
    assert split_by(heroes, "age", [18])[1].index.tolist() == list(range(6))
    with pytest.raises(ValueError, match=r"No row has \['soup'\]"):
        split_by(heroes, "power", "soup")
    with pytest.raises(ValueError, match="no column cape"):
        split_by(heroes, "cape", ["red"])
    with pytest.raises(ValueError, match="One side of the split is empty"):
        split_by(heroes, "age", [18, 40])


def test_repairs_add_what_is_missing_and_take_nothing_away() -> None:
    code = "    if x:\n\treturn 1\n"
    table = pd.DataFrame(
        {"prompt": ["a", "b ->", "y:\n", "a"], "completion": ["x", code, " z", "x"]}
    )
    repaired = drop_duplicates(leading_space(add_stop(add_separator(table))))
    assert repaired["prompt"].tolist() == ["a ->", "b ->", "y:\n ->"]
    assert repaired["completion"].tolist() == [" x END", code + " END", " z END"]
    again = drop_duplicates(leading_space(add_stop(add_separator(repaired))))
    pd.testing.assert_frame_equal(again, repaired)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(examples=st.lists(st.dictionaries(st.text(), JSON, max_size=3), max_size=5))
def test_what_is_written_is_read(tmp_path: Path, examples: list[dict[str, Any]]) -> None:
    path = write_jsonl(tmp_path / "round.jsonl", examples)
    assert read_jsonl(path) == examples
    text = path.read_text(encoding="utf-8")
    assert parse_jsonl(text) == examples
    assert parse_jsonl(BOM + text.replace("\n", "\r\n").encode()) == examples


def test_only_a_line_feed_ends_a_line_and_a_bom_may_be_before_any() -> None:
    lines = [{"a": "x\u2028y\u2029z\x85\v\f"}, {"b": 2}]
    data = "\ufeff" + "\n\ufeff".join(json.dumps(line, ensure_ascii=False) for line in lines)
    assert parse_jsonl(data) == lines
    assert parse_jsonl(data.encode()) == lines
    assert parse_jsonl(b"\n \n") == parse_jsonl("") == []


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ('{"a": 1}\n\n[]\n', r"notes\.jsonl, line 3: Not an object"),
        ('{"a": 1}\n{"a": None}\n', r"line 2: None is Python's word \(character 7\)"),
        ('{"a": 1}\n{"a": "\\ud83d"}\n', r"line 2: Half of a character.*\\ud83d.*delete"),
        ('{"a": 1}\n{"a": "\ud83d"}\n', "line 2: Half of a character"),
        (b'{"a": 1}\n{"a": "\xe9"}\n', "line 2: Not UTF-8: byte 8 is 0xe9. Save the file as UTF-8"),
        (b"\x1f\x8b\x08\0", "notes.jsonl: The file is compressed with gzip"),
        ('[{"a": 1}]', "The file is one JSON array"),
        ('{"a":\n1}', "spread over several lines"),
    ],
)
def test_a_damaged_file_is_refused_with_its_line(data: str | bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_jsonl(data, "notes.jsonl")


def test_write_is_all_or_nothing(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "new" / "a.jsonl", [{"a": "é\u2028漢"}])
    assert path.read_bytes() == '{"a": "é\u2028漢"}\n'.encode()
    for bad in ({"a": float("nan")}, {"a": "\ud800"}, {"a": {1, 2}}):
        with pytest.raises(ValueError, match="Example 2 can't be written"):
            write_jsonl(path, [{"a": 1}, bad])
    with pytest.raises(ValueError, match="Example 1 is a list"):
        write_jsonl(path, [[]])
    assert read_jsonl(path) == [{"a": "é\u2028漢"}]
