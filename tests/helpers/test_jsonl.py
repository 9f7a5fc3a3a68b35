"""The JSONL checker: good files pass, every fault is named, nothing makes it fail."""

from __future__ import annotations

import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.jsonl import (
    add_separator,
    add_stop,
    check_file,
    drop_duplicates,
    leading_space,
    leaks,
    read_jsonl,
    short_prompt,
    split_by,
    to_chat,
    to_completions,
    write_jsonl,
)
from helpers.jsonl import check as jsonl_check
from helpers.jsonl import scan as jsonl_scan
from helpers.jsonl.report import KINDS, Report
from sandbox.engine.examples import parse_line

FIXTURE_OK = [HealthCheck.function_scoped_fixture]


def chat(number: int = 0, **changes: Any) -> dict[str, Any]:
    """A good chat example; every number makes another one."""
    messages = [
        {"role": "user", "content": f"{number}, woman, flight ->"},
        {"role": "assistant", "content": f"Mira is {number} and flies."},
    ]
    return {"messages": messages, **changes}


def pair(number: int = 0, **changes: Any) -> dict[str, Any]:
    """A good prompt/completion example."""
    example = {"prompt": f"{number}, man, flight ->", "completion": f" {number} is Tom. END"}
    return {**example, **changes}


def answer(content: Any, **more: Any) -> dict[str, Any]:
    return {
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": content, **more},
        ]
    }


ANSWER = answer("b")["messages"][1]


def save(path: Path, lines: list[Any]) -> Path:
    """Write lines: bytes as they are, anything else as JSON."""
    raw = [x if isinstance(x, bytes) else json.dumps(x).encode() for x in lines]
    path.write_bytes(b"".join(line + b"\n" for line in raw))
    return path


def report_of(tmp_path: Path, *odd: Any, good: int = 60, maker: Any = chat) -> Report:
    """The report on a file of good examples with odd lines after the first three."""
    lines: list[Any] = [maker(n) for n in range(good)]
    lines[3:3] = odd
    return check_file(save(tmp_path / "data.jsonl", lines))


@pytest.mark.parametrize(("maker", "form"), [(chat, "chat"), (pair, "completion")])
def test_a_good_file_passes(tmp_path: Path, maker: Any, form: str) -> None:
    report = report_of(tmp_path, maker=maker)
    assert report.ok
    assert report.problems == []
    assert (report.format, report.n_examples, report.n_lines) == (form, 60, 60)
    assert str(report) == f"data.jsonl: 60 examples, {form} format, no problems"
    assert report.frame().empty


@pytest.mark.parametrize(
    ("line", "kind", "field"),
    [
        (b"{\xff}", "encoding", ""),
        (b"{'messages': []}", "not_json", ""),
        (json.dumps(chat()).encode() + b",", "not_json", ""),
        (b'{"messages": [1,]}', "not_json", ""),
        (b'{"messages": [', "not_json", ""),
        (b'{"messages": NaN}', "not_json", ""),
        (b'{"prompt": "\\ud800", "completion": " a"}', "not_json", ""),
        (b"[" * 100_000, "not_json", ""),
        (b'{"a":' * 5000, "not_json", ""),
        (b'{"messages": [], "messages": []}', "duplicate_key", "'messages'"),
        (
            b'{"messages": [{"role": "user", "role": "user", "content": ""}]}',
            "duplicate_key",
            "'role'",
        ),
        (b"42", "not_object", ""),
        (b'"text"', "not_object", ""),
        (b"", "blank_line", ""),
        ({}, "unknown_format", ""),
        ({"text": "a"}, "unknown_format", ""),
        ({"Messages": []}, "missing_key", "messages"),
        ({"input": {}, "preferred_output": []}, "preference_format", ""),
        (chat(extra=1), "extra_key", "'extra'"),
        ({"messages": {}}, "wrong_type", "messages"),
        ({"messages": None}, "wrong_type", "messages"),
        ({"messages": []}, "no_assistant", "messages"),
        ({"messages": ["hi"]}, "wrong_type", "messages[0]"),
        (answer(7), "wrong_type", "messages[1].content"),
        (answer(None), "wrong_type", "messages[1].content"),
        (answer([]), "wrong_type", "messages[1].content"),
        (answer("ok", weight=2), "wrong_type", "messages[1].weight"),
        (answer("ok", weight=True), "wrong_type", "messages[1].weight"),
        (answer("ok", weight="1"), "wrong_type", "messages[1].weight"),
        (answer("ok", weight=10**30), "wrong_type", "messages[1].weight"),
        (answer("ok", weight=0), "nothing_to_learn", "messages"),
        (answer("ok", name="Bo"), "unsupported", "messages[1].name"),
        (answer("ok", name=3), "wrong_type", "messages[1].name"),
        (answer("ok", mood="good"), "extra_key", "messages[1]"),
        (answer(""), "empty_answer", "messages[1].content"),
        (answer(" \n"), "empty_answer", "messages[1].content"),
        (answer("a <|end|> b"), "special_token", "messages[1].content"),
        (answer([{"type": "text", "text": "a"}]), "unsupported", "messages[1].content"),
        (answer(None, tool_calls=[{}]), "unsupported", "messages[1].tool_calls"),
        (chat(tools=[]), "unsupported", "tools"),
        ({"messages": [{"role": "robot", "content": "a"}]}, "unknown_role", "messages[0].role"),
        ({"messages": [{"role": 1, "content": "a"}]}, "wrong_type", "messages[0].role"),
        ({"messages": [{"content": "a"}]}, "missing_key", "messages[0].role"),
        ({"messages": [{"role": "assistant"}]}, "missing_key", "messages[0].content"),
        (
            {"messages": [{"role": "tool", "content": "a"}, ANSWER]},
            "unsupported",
            "messages[0].role",
        ),
        ({"messages": [{"role": "user", "content": "a"}]}, "no_assistant", "messages"),
        ({"messages": [{"role": "assistant", "content": "a"}]}, "no_user", "messages"),
        (
            {"messages": [*answer("a")["messages"], {"role": "user", "content": "b"}]},
            "last_not_assistant",
            "messages[2]",
        ),
        (
            {"messages": [{"role": "user", "content": ""}, {"role": "assistant", "content": "b"}]},
            "empty_content",
            "messages[0].content",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": "a", "weight": 1},
                    answer("b")["messages"][1],
                ]
            },
            "extra_key",
            "messages[0].weight",
        ),
        (chat(0), "duplicate", ""),
        (answer("x" * 10_001), "too_long", ""),
        (pair(1), "mixed_formats", ""),
        (b" " * (jsonl_scan.MAX_LINE + jsonl_scan.BLOCK), "long_line", ""),
    ],
)
def test_one_fault_is_found_and_placed(tmp_path: Path, line: Any, kind: str, field: str) -> None:
    report = report_of(tmp_path, line)
    found = [p for p in report.problems if p.kind == kind]
    assert found, str(report)
    assert found[0].field == field
    assert found[0].line == (None if kind == "mixed_formats" else 4)
    assert found[0].message
    assert found[0].remedy
    assert report.ok == (KINDS[kind].severity == "warning")


@pytest.mark.parametrize(
    ("change", "kind", "field"),
    [
        ({"prompt": 3}, "wrong_type", "prompt"),
        ({"completion": None}, "wrong_type", "completion"),
        ({"completion": ""}, "empty_answer", "completion"),
        ({"completion": " <|endoftext|>"}, "special_token", "completion"),
        ({"age": 40}, "extra_key", "'age'"),
    ],
)
def test_faults_of_pairs(tmp_path: Path, change: dict[str, Any], kind: str, field: str) -> None:
    report = report_of(tmp_path, pair(99, **change), maker=pair)
    assert [(p.kind, p.field, p.line) for p in report.problems if p.severity == "error"] == [
        (kind, field, 4)
    ]
    missing = report_of(tmp_path, {"prompt": "a ->"}, {"Prompt": "a"}, maker=pair)
    assert [p.field for p in missing.problems if p.kind == "missing_key"] == [
        "completion",
        "prompt",
    ]


def style_of(tmp_path: Path, rows: list[tuple[str, str]]) -> set[str]:
    lines = [{"prompt": prompt, "completion": completion} for prompt, completion in rows]
    report = check_file(save(tmp_path / "pairs.jsonl", lines))
    assert report.ok
    return set(report.counts)


LETTERS = "abcdefghij"
WORDS = [f"{LETTERS[n % 10]}word{n}{LETTERS[n // 10]}" for n in range(60)]


@pytest.mark.parametrize(
    ("rows", "kinds"),
    [
        ([(f"{w} ->", f" {w} speaks. END") for w in WORDS], set()),
        ([(w, f" {w} speaks. END") for w in WORDS], {"no_separator"}),
        ([(f"{w}ing", f" {w} speaks. END") for w in WORDS], {"no_separator"}),
        ([(f"{w} -> {w} ->", f" {w}. END") for w in WORDS], {"separator_inside"}),
        ([(f"{w} ================", f" {w}. END") for w in WORDS], {"separator_long"}),
        ([("Same ->", f" {w}. END") for w in WORDS], {"prompts_equal"}),
        ([(f"Imagine a hero {w} ->", f" {w}. END") for w in WORDS], {"prompt_prefix"}),
        ([(f"{w} ->", f" It is {w}") for w in WORDS], {"no_stop", "completion_prefix"}),
        ([(f"{w} ->", f" {w}. More.") for w in WORDS], set()),
        ([(f"{w} ->", f" {w}. So. {w}{w}.") for w in WORDS], {"stop_inside"}),
        ([(f"{w} ->", f"{w}. END") for w in WORDS], {"no_leading_space"}),
        ([(f"{w} ->", " same") for w in WORDS], {"completions_equal"}),
        ([(f"{w} ->".upper(), f" {w}. END".upper()) for w in WORDS], {"upper_case"}),
        ([(f"{w} ->", f" c{n % 3}") for n, w in enumerate(WORDS)], set()),
        ([("", f" Any text {w}") for w in WORDS], {"completion_prefix"}),
        ([(f"{w} ->", f" {w}. END") for w in WORDS] * 2, {"duplicate"}),
    ],
)
def test_the_old_checks(tmp_path: Path, rows: list[tuple[str, str]], kinds: set[str]) -> None:
    assert style_of(tmp_path, rows) == kinds


def test_advice_names_what_does_not_occur(tmp_path: Path) -> None:
    rows = [{"prompt": f"{w} -> {w}", "completion": f" {w} END {w}"} for w in WORDS]
    messages = {p.kind: p.message for p in check_file(save(tmp_path / "a.jsonl", rows)).problems}
    assert repr("\n\n###\n\n") in messages["no_separator"]
    assert repr("\n") in messages["no_stop"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "empty_file"),
        (b"\n\n", "empty_file"),
        (b"\xef\xbb\xbf" + json.dumps(chat()).encode(), "bom"),
        ("\ufeff{}".encode("utf-16-le"), "encoding"),
        (json.dumps([chat(n) for n in range(20)]).encode(), "array_file"),
        (json.dumps([chat(n) for n in range(20)], indent=2).encode(), "array_file"),
        (json.dumps(chat(), indent=2).encode(), "pretty_printed"),
        (json.dumps(chat()).encode(), "too_few"),
        (b"\r".join(json.dumps(chat(n)).encode() for n in range(20)), "not_json"),
    ],
)
def test_files_wrong_as_a_whole(tmp_path: Path, content: bytes, kind: str) -> None:
    path = tmp_path / "whole.jsonl"
    path.write_bytes(content)
    report = check_file(path)
    assert not report.ok
    assert report.counts[kind] == 1, str(report)


def test_file_warnings(tmp_path: Path) -> None:
    lines = [json.dumps(chat(n)) for n in range(20)]
    system = {"messages": [{"role": "system", "content": "Be brief."}, *chat(99)["messages"]]}
    path = tmp_path / "notes.txt"
    path.write_text("\r\n".join([*lines, json.dumps(system)]) + "\r\n\r\n\r\n", newline="")
    report = check_file(path)
    assert report.ok
    assert report.counts == {
        "extension": 1,
        "carriage_return": 1,
        "blank_end": 1,
        "few": 1,
        "some_system": 1,
    }


def test_a_validation_file_may_be_small(tmp_path: Path) -> None:
    path = save(tmp_path / "valid.jsonl", [chat(n) for n in range(3)])
    assert check_file(path).counts == {"too_few": 1}
    assert not check_file(path, training=False).problems
    path.write_bytes(b"")
    assert check_file(path, training=False).counts == {"empty_file": 1}


def test_a_missing_file_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        check_file(tmp_path / "none.jsonl")


def test_token_limits(tmp_path: Path) -> None:
    lines = [chat(n) for n in range(60)]
    lines[7]["messages"][1]["content"] = "word " * 100
    path = save(tmp_path / "data.jsonl", lines)
    assert not check_file(path, max_tokens=200).problems
    about = check_file(path, max_tokens=100).problems
    assert [(p.kind, p.line) for p in about] == [("too_long", 8)]
    assert "about 129 tokens" in about[0].message
    counted = check_file(path, max_tokens=100, count_tokens=lambda text: len(text.split()))
    assert "has 112 tokens" in counted.problems[0].message


def test_only_the_first_problems_of_a_kind_are_kept(tmp_path: Path) -> None:
    report = check_file(save(tmp_path / "bad.jsonl", [b"oops"] * 500))
    assert len(report.problems) == 10
    assert report.n_errors == 500
    assert "and 490 more of the kind not_json" in str(report)
    assert "and 490 more" in report._repr_html_()


def test_the_html_is_escaped(tmp_path: Path) -> None:
    report = report_of(tmp_path, {"messages": [{"role": "<script>", "content": "a"}]})
    html = report._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    frame = report.frame()
    assert frame.loc[0, ["severity", "line", "kind"]].tolist() == ["error", 4, "unknown_role"]


def test_the_short_way_and_the_long_way_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same problems are reported with and without the shortcut for lines of a known shape."""
    odd = [
        answer(""),
        answer("  "),
        chat(5),
        answer("a <|end|>"),
        answer('q "quoted" \\ q'),
        b'{"messages": 1}',
    ]
    odd += [answer("é ü 漢"), {"messages": chat()["messages"][::-1]}, answer("b\u00e9", weight=1)]
    odd += [
        json.dumps(answer("naïve"), ensure_ascii=False).encode(),
        b'{"messages": [{"role": "user", "content": ""}]}',
    ]
    lines = [*[chat(n) for n in range(40)], *odd, *[chat(n) for n in range(30, 80)]]
    path = save(tmp_path / "data.jsonl", lines)
    short = check_file(path)
    monkeypatch.setattr(jsonl_check, "MAX_SHAPES", 0)
    long = check_file(path)
    assert short.problems == long.problems
    assert (short.n_examples, short.counts, short.format) == (
        long.n_examples,
        long.counts,
        long.format,
    )
    assert short.counts["duplicate"] == 11


@settings(suppress_health_check=FIXTURE_OK, deadline=None)
@given(data=st.binary(max_size=400))
def test_any_bytes_give_a_report(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "any.jsonl"
    path.write_bytes(data)
    report = check_file(path)
    assert not report.ok, "no 400 bytes make ten examples"
    assert str(report)
    assert report._repr_html_()


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
KEY = st.sampled_from(["role", "content", "weight", "name", "tool_calls", "x"])
ROLE = st.sampled_from(["system", "user", "assistant", "tool", "robot", 3, None])
MESSAGE = st.dictionaries(KEY, JSON, max_size=4) | st.fixed_dictionaries(
    {"role": ROLE, "content": st.text(max_size=12) | JSON}, optional={"weight": JSON}
)
TEXT = st.text() | JSON
EXAMPLE = (
    JSON
    | st.fixed_dictionaries(
        {"messages": st.lists(MESSAGE | JSON, max_size=4)}, optional={"tools": JSON}
    )
    | st.fixed_dictionaries(
        {}, optional={"prompt": st.text() | JSON, "completion": st.text() | JSON}
    )
)
HARMLESS = {"too_long", "duplicate", "no_user"}


@settings(suppress_health_check=FIXTURE_OK, deadline=None, max_examples=300)
@given(example=EXAMPLE)
def test_any_json_gives_a_report_and_what_passes_is_accepted(tmp_path: Path, example: Any) -> None:
    """The checker never fails, and a line it calls good is good for the sandbox too."""
    report = report_of(tmp_path, example)
    line = json.dumps(example).encode()
    if not [p for p in report.problems if p.line == 4 and p.kind not in HARMLESS]:
        assert parse_line(line)[0] == report.format or report.format == "mixed"


def test_memory_stays_flat(tmp_path: Path) -> None:
    def peak(lines: int, bad: bool) -> int:
        path = tmp_path / "long.jsonl"
        with path.open("w", encoding="utf-8") as file:
            for number in range(lines):
                file.write("oops " * 20 + "\n" if bad else json.dumps(chat(number % 500)) + "\n")
        tracemalloc.start()
        check_file(path)
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    for bad in (False, True):
        assert peak(30_000, bad) < peak(10_000, bad) * 1.1


def test_faster_than_parsing_with_the_standard_library(tmp_path: Path) -> None:
    text = "Mira flies over the roofs of the town and waves to everybody she sees below. " * 7
    lines = [chat(n) for n in range(10_000)]
    for line in lines:
        line["messages"][1]["content"] += text
    path = write_jsonl(tmp_path / "data.jsonl", lines)

    def cost(work: Any) -> float:
        times = []
        for _ in range(3):
            start = time.process_time()
            work()
            times.append(time.process_time() - start)
        return min(times)

    def plainly() -> None:
        with path.open(encoding="utf-8") as file:
            assert len([json.loads(line) for line in file]) == 10_000

    assert cost(lambda: check_file(path)) < cost(plainly)


# The table functions


@pytest.fixture
def heroes() -> pd.DataFrame:
    rows = [
        {
            "age": age,
            "gender": gender,
            "power": power,
            "response_txt": f"A {gender} of {age}: {power}.",
        }
        for age in (18, 40)
        for gender in ("man", "woman")
        for power in ("flight", "telepathy", "Healing")
    ]
    return pd.DataFrame(rows)


def test_to_both_formats(heroes: pd.DataFrame, tmp_path: Path) -> None:
    assert short_prompt(40, "woman", "Healing") == "40, woman, Healing ->"
    examples = to_chat(heroes)
    assert examples[11] == {
        "messages": [
            {"role": "user", "content": "40, woman, Healing ->"},
            {"role": "assistant", "content": "A woman of 40: Healing."},
        ]
    }
    assert to_completions(heroes)[11] == {
        "prompt": "40, woman, Healing ->",
        "completion": " A woman of 40: Healing. END",
    }
    for made in (examples, to_completions(heroes)):
        path = write_jsonl(tmp_path / "made.jsonl", made)
        assert read_jsonl(path) == made
        assert check_file(path).counts == {"few": 1}


def test_rows_without_description_are_refused(heroes: pd.DataFrame) -> None:
    heroes.loc[4, "response_txt"] = None
    with pytest.raises(ValueError, match="Row 4 has no description"):
        to_chat(heroes)
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


def test_repairs_mend_and_leave_alone(tmp_path: Path) -> None:
    broken = pd.DataFrame(
        {"prompt": WORDS + WORDS[:1], "completion": [f"{w} says {w}" for w in WORDS + WORDS[:1]]}
    )
    broken["prompt"] = broken["prompt"] + " "
    mended = drop_duplicates(leading_space(add_stop(add_separator(broken))))
    assert mended.loc[0].tolist() == ["aword0a ->", " aword0a says aword0a END"]
    assert len(mended) == 60
    pd.testing.assert_frame_equal(mended, leading_space(add_stop(add_separator(mended))))
    before = check_file(write_jsonl(tmp_path / "a.jsonl", broken.to_dict("records")))
    after = check_file(write_jsonl(tmp_path / "b.jsonl", mended.to_dict("records")))
    assert {"no_separator", "no_stop", "no_leading_space", "duplicate"} <= set(before.counts)
    assert set(after.counts) == set()


def test_write_is_all_or_nothing(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "new" / "a.jsonl", [{"a": "é\u2028漢"}])
    assert path.read_bytes() == '{"a": "é\u2028漢"}\n'.encode()
    assert read_jsonl(path) == [{"a": "é\u2028漢"}]
    with pytest.raises(ValueError, match="Example 2 can't be written"):
        write_jsonl(path, [{"a": 1}, {"a": float("nan")}])
    with pytest.raises(ValueError, match="Example 1 is a list"):
        write_jsonl(path, [[]])
    assert read_jsonl(path) == [{"a": "é\u2028漢"}]
    path.write_text('{"a": 1}\n\n[]\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"a\.jsonl, line 3: not a JSON object"):
        read_jsonl(path)
