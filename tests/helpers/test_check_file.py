"""The checker: good files pass, every fault is named, and "ok" means that the endpoint accepts."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from helpers.check_example import check_example
from helpers.check_file import check_file
from helpers.dialogue import without_nulls
from helpers.jsonl import read_jsonl, write_jsonl
from helpers.report import KINDS, WORDS, Report
from helpers.settings import ROOT, Settings
from helpers.shapes import ChatExample, PairExample
from helpers.tokens import counter_for
from sandbox.engine.text.examples import TrainingFileError, validate_training_file

SANDBOX = Settings("sandbox", "sandbox", None, "superhero-mini", "superhero-mini")
OPENAI = Settings("hosted", "openai", "https://api.openai.com/v1", "x", "gpt-4.1-2025-04-14")
WEIGHTS = ROOT / "sandbox" / "base_model" / "weights"
FIXTURE_OK = [HealthCheck.function_scoped_fixture]
BOM = b"\xef\xbb\xbf"


def chat(number: int = 0, **changes: Any) -> dict[str, Any]:
    """A good chat example; every number makes another one."""
    question = {"role": "user", "content": f"{number}, woman, flight ->"}
    answer = {"role": "assistant", "content": f"Mira is {number} and flies."}
    return {"messages": [question, answer], **changes}


def pair(number: int = 0, **changes: Any) -> dict[str, Any]:
    example = {"prompt": f"{number}, man, flight ->", "completion": f" {number} is Tom. END"}
    return {**example, **changes}


def said(*messages: Any) -> dict[str, Any]:
    return {"messages": list(messages)}


def answer(content: Any, **more: Any) -> dict[str, Any]:
    return said(USER, {"role": "assistant", "content": content, **more})


def tools(**changes: Any) -> dict[str, Any]:
    """A good example with two calls; a change replaces the value at a place ("calls.0.id")."""
    declared = {"name": "weigh", "parameters": {"type": "object", "properties": {"what": {}}}}
    calls = [
        {"id": f"c{n}", "type": "function", "function": {"name": "weigh", "arguments": "{}"}}
        for n in range(2)
    ]
    answers = [{"role": "tool", "tool_call_id": f"c{n}", "content": "3 g"} for n in range(2)]
    asked = {"role": "assistant", "content": None, "tool_calls": calls}
    declaration = {"type": "function", "function": declared}
    return {**said(USER, asked, *answers, ANSWER), "tools": [declaration], **changes}


USER = {"role": "user", "content": "Hi"}
ANSWER = {"role": "assistant", "content": "b"}
TEXT = {"type": "text", "text": "a"}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}}
LEGACY = {
    **said(
        USER,
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "3"},
        ANSWER,
    ),
    "functions": [{"name": "f", "parameters": {"type": "object"}}],
}
RICH = [
    tools(parallel_tool_calls=True),
    LEGACY,
    said(
        {"role": "system", "content": [TEXT], "name": "s"},
        {**USER, "content": [TEXT, IMAGE], "name": "u"},
        {**ANSWER, "content": [TEXT, {"type": "refusal", "refusal": "no"}], "weight": 0},
        USER,
        {**ANSWER, "refusal": "no", "weight": 1, "annotations": []},
    ),
    pair(),
]


def save(path: Path, lines: list[Any]) -> Path:
    """Write lines: bytes as they are, anything else as JSON."""
    raw = [x if isinstance(x, bytes) else json.dumps(x).encode() for x in lines]
    path.write_bytes(b"".join(line + b"\n" for line in raw))
    return path


def report_of(tmp_path: Path, *odd: Any, maker: Any = chat, **options: Any) -> Report:
    """The report on a file of good examples with odd lines after the first three."""
    lines: list[Any] = [maker(n) for n in range(60)]
    lines[3:3] = odd
    return check_file(save(tmp_path / "data.jsonl", lines), **options)


def errors(report: Report) -> list[tuple[str, str]]:
    return [(p.kind, p.field) for p in report.problems if p.severity == "error"]


@pytest.mark.parametrize(("maker", "form"), [(chat, "chat"), (pair, "completion")])
def test_a_good_file_passes(tmp_path: Path, maker: Any, form: str) -> None:
    report = report_of(tmp_path, maker=maker, settings=SANDBOX)
    assert (report.ok, report.problems) == (True, [])
    assert (report.format, report.n_examples) == (form, 60)
    assert str(report) == f"data.jsonl: 60 examples, {form} format, no problems"
    assert report.frame().empty


@pytest.mark.parametrize("example", RICH)
def test_all_that_the_format_holds_passes(example: dict[str, Any]) -> None:
    assert check_example(example) == []


@pytest.mark.parametrize(
    ("line", "kind", "field"),
    [
        (b'{"messages": [], "messages": []}', "duplicate_key", "'messages'"),
        (b"42", "not_object", ""),
        (b"", "blank_line", ""),
        (b"[" * 100_000, "not_json", ""),
        ({}, "unknown_format", ""),
        ({"instruction": "a", "input": "", "output": "b"}, "unknown_format", ""),
        ({"Messages": []}, "missing_key", "messages"),
        ({"messages": None}, "unknown_format", ""),
        ({"input": {}, "preferred_output": []}, "preference_format", ""),
        (chat(source=1), "extra_key", "'source'"),
        (said(), "no_assistant", "messages"),
        (said("hi"), "wrong_type", "messages[0]"),
        (answer(7), "wrong_type", "messages[1].content"),
        (answer(None), "missing_key", "messages[1].content"),
        (answer(None, refusal=""), "missing_key", "messages[1].content"),
        (answer([]), "empty_list", "messages[1].content"),
        (answer(["a"]), "wrong_type", "messages[1].content"),
        (answer([{"type": "text"}]), "missing_key", "messages[1].content[0].text"),
        (answer([{"text": "a"}]), "missing_key", "messages[1].content[0].type"),
        (answer([IMAGE]), "wrong_value", "messages[1].content[0].type"),
        (answer([{"type": "text", "text": " "}]), "empty_answer", "messages[1].content"),
        (said({**USER, "content": [{**IMAGE, "image_url": "x"}]}, ANSWER), "wrong_type",
         "messages[0].content[0].image_url"),
        (said({**USER, "content": [{**TEXT, "text": ""}]}, ANSWER), "empty_content",
         "messages[0].content"),
        (answer(""), "empty_answer", "messages[1].content"),
        (answer(" \n"), "empty_answer", "messages[1].content"),
        (said({**USER, "content": ""}, ANSWER), "empty_content", "messages[0].content"),
        (answer("a <|end|> b"), "special_token", "messages[1].content"),
        (answer([TEXT, {**TEXT, "text": "<|end|>"}]), "special_token", "messages[1].content"),
        (answer("ok", weight=2), "wrong_value", "messages[1].weight"),
        (answer("ok", weight=True), "wrong_value", "messages[1].weight"),
        (answer("ok", weight=0), "nothing_to_learn", "messages"),
        (said({**USER, "weight": 1}, ANSWER), "extra_key", "messages[0].weight"),
        (answer("ok", name=3), "wrong_type", "messages[1].name"),
        (answer("ok", mood="good"), "extra_key", "messages[1].mood"),
        (answer("ok", annotations=[{}]), "extra_key", "messages[1].annotations"),
        (said({"role": "robot", "content": "a"}, ANSWER), "unknown_role", "messages[0].role"),
        (said({"role": [], "content": "a"}, ANSWER), "unknown_role", "messages[0].role"),
        (said({"content": "a"}, ANSWER), "missing_key", "messages[0].role"),
        (said(USER), "no_assistant", "messages"),
        (said(USER, ANSWER, USER), "last_not_assistant", "messages[2]"),
        (said(ANSWER), "no_user", "messages"),
        (chat(0), "duplicate", ""),
        (pair(1), "mixed_formats", ""),
    ],
)  # fmt: skip
def test_one_fault_is_found_and_placed(tmp_path: Path, line: Any, kind: str, field: str) -> None:
    report = report_of(tmp_path, line)
    found = [p for p in report.problems if p.kind == kind]
    assert found, str(report)
    assert found[0].field == field
    assert found[0].line == (None if kind == "mixed_formats" else 4)
    assert found[0].message
    assert found[0].remedy
    assert report.ok == (KINDS[kind]["severity"] == "warning")


@pytest.mark.parametrize(
    ("change", "kind", "field"),
    [
        ({"prompt": 3}, "wrong_type", "prompt"),
        ({"prompt": None}, "missing_key", "prompt"),
        ({"completion": None}, "missing_key", "completion"),
        ({"completion": ["a"]}, "wrong_type", "completion"),
        ({"completion": ""}, "empty_answer", "completion"),
        ({"completion": " <|endoftext|>"}, "special_token", "completion"),
        ({"age": 40}, "extra_key", "'age'"),
    ],
)
def test_faults_of_pairs(tmp_path: Path, change: dict[str, Any], kind: str, field: str) -> None:
    assert errors(report_of(tmp_path, pair(99, **change), maker=pair)) == [(kind, field)]


def test_the_nine_planted_defects_are_found() -> None:
    report = check_file(ROOT / "tests" / "data" / "tools_bad.jsonl")
    call = "messages[1].tool_calls[0]"
    found = {(p.line, p.field, p.kind) for p in report.problems if p.severity == "error"}
    assert found == {
        (1, f"{call}.function.arguments", "bad_arguments"),
        (2, "messages[2].tool_call_id", "unasked_answer"),
        (2, call, "unanswered_call"),
        (3, f"{call}.type", "missing_key"),
        (4, "messages[1].tool_calls", "wrong_type"),
        (5, call, "unanswered_call"),
        (6, f"{call}.function.name", "unknown_tool"),
        (7, "messages[1].tool_calls", "empty_list"),
        (8, f"{call}.function.arguments", "bad_arguments"),
        (9, "messages[2].tool_call_id", "missing_key"),
    }


def changed(example: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    """A copy with another value at a place such as "tools.0.type"; ... removes what is there."""
    example = copy.deepcopy(example)
    *path, last = [int(step) if step.isdigit() else step for step in place.split(".")]
    inner: Any = example
    for step in path:
        inner = inner[step]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return example


CALL = "messages.1.tool_calls.0"


@pytest.mark.parametrize(
    ("example", "place", "value", "kind"),
    [
        (tools(), "tools", {}, "wrong_type"),
        (tools(), "tools.0.type", ..., "missing_key"),
        (tools(), "tools.0.function", ..., "missing_key"),
        (tools(), "tools.0.function.name", "weigh it", "wrong_name"),
        (tools(), "tools.0.function.name", "other", "unknown_tool"),
        (tools(), "tools.0.function.parameters", {}, "missing_key"),
        (tools(), "tools.0.function.parameters.type", "string", "wrong_value"),
        (tools(), "tools.0.function.parameters.properties", {"a": "string"}, "wrong_type"),
        (tools(tools=tools()["tools"] * 2), "parallel_tool_calls", True, "duplicate_key"),
        (tools(), "parallel_tool_calls", "false", "wrong_type"),
        (tools(), f"{CALL}.id", ..., "missing_key"),
        (tools(), f"{CALL}.id", "", "wrong_value"),
        (tools(), f"{CALL}.id", 7, "wrong_type"),
        (tools(), f"{CALL}.id", "c1", "duplicate_key"),
        (tools(), f"{CALL}.index", 0, "extra_key"),
        (tools(), f"{CALL}.function.name", ..., "missing_key"),
        (tools(), f"{CALL}.function.arguments", "", "bad_arguments"),
        (tools(), f"{CALL}.function.arguments", "[1]", "bad_arguments"),
        (tools(), f"{CALL}.function.arguments", "{'a': 1}", "bad_arguments"),
        (tools(), f"{CALL}.function.arguments", '{"a": NaN}', "bad_arguments"),
        (tools(), f"{CALL}.function.arguments", {}, "bad_arguments"),
        (tools(), "messages.2.tool_call_id", "c1", "unasked_answer"),
        (tools(), "messages.2.content", ..., "missing_key"),
        (tools(), "messages.2", USER, "unanswered_call"),
        (tools(), "messages.1", ANSWER, "unasked_answer"),
        (LEGACY, "functions", ..., "unknown_function"),
        (LEGACY, "messages.1.function_call.arguments", {}, "bad_arguments"),
        (LEGACY, "messages.2.name", "g", "unasked_answer"),
        (LEGACY, "messages.2", USER, "unanswered_call"),
    ],
)
def test_faults_of_tool_calls(example: Any, place: str, value: Any, kind: str) -> None:
    found = check_example(changed(example, place, value))
    assert kind in {finding.kind for finding in found if finding.severity == "error"}


EXPORTED = [
    {
        "messages": [
            {**USER, "name": None, "weight": None, "tool_calls": None},
            {"role": "assistant", "content": [TEXT], "refusal": None, "audio": None,
             "function_call": None, "tool_calls": None, "annotations": [], "weight": 1.0},
        ],
        "tools": None, "prompt": None,
    },
    {
        **said(
            {**USER, "tool_calls": [], "annotations": [], "name": ""},
            {**ANSWER, "tool_calls": [], "refusal": ""},
        ),
        "tools": [], "functions": [], "parallel_tool_calls": True,
    },
]  # fmt: skip
ONLY_CALL = {**said(*tools()["messages"][:2]), "tools": tools()["tools"]}


@pytest.mark.parametrize("endpoint", [None, SANDBOX, OPENAI])
def test_nulls_empty_lists_and_text_parts_as_exporters_write_them(
    tmp_path: Path, endpoint: Any
) -> None:
    report = report_of(tmp_path, *EXPORTED, settings=endpoint)
    assert (report.ok, report.problems, report.format) == (True, [], "chat")
    validate_training_file(tmp_path / "data.jsonl", WEIGHTS)


@pytest.mark.parametrize(
    ("example", "words"),
    [
        (tools(), "'tools', 'tool_calls', role 'tool', 'tool_call_id'"),
        (ONLY_CALL, "'tools', 'tool_calls'"),
        (LEGACY, "'functions', 'function_call', role 'function', 'name'"),
        (answer("a", name="Bo"), "'name'"),
        (answer("a", refusal="no"), "'refusal'"),
        (said({"role": "developer", "content": "a"}, USER, ANSWER), "role 'developer'"),
        (said({**USER, "content": [TEXT, IMAGE]}, ANSWER), "part of the type 'image_url'"),
    ],
)
def test_what_only_hosted_endpoints_train(tmp_path: Path, example: Any, words: str) -> None:
    assert report_of(tmp_path, example).ok
    assert report_of(tmp_path, example, settings=OPENAI).ok
    problem = report_of(tmp_path, example, settings=SANDBOX).problems[0]
    assert (problem.kind, problem.severity, problem.line) == ("unsupported", "error", 4)
    assert problem.message == f"The sandbox can't train {words}."


def test_the_length_is_counted_as_the_model_counts(tmp_path: Path) -> None:
    long = answer("Ada went far away and came back again. " * 150)
    for maker, example in ((chat, long), (pair, pair(99, completion=" a" * 3000 + " END"))):
        assert report_of(tmp_path, example, maker=maker).ok
        problem = report_of(tmp_path, example, maker=maker, settings=SANDBOX).problems[0]
        assert (problem.kind, problem.line, problem.severity) == ("too_long", 4, "error")
        with pytest.raises(TrainingFileError) as refused:
            validate_training_file(tmp_path / "data.jsonl", WEIGHTS)
        tokens = problem.message.split()[3].replace(",", "")
        assert f"has {tokens} tokens" in str(refused.value)
    assert report_of(tmp_path, long, settings=OPENAI).ok


def test_markers_of_the_model_that_will_learn_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = counter_for("superhero-mini")
    monkeypatch.setattr(counter, "special_tokens", ["<filename>"])
    example = answer("a <filename> b")
    assert report_of(tmp_path, example).ok
    assert errors(report_of(tmp_path, example, settings=SANDBOX)) == [("special_token", "")]


def test_what_openai_alone_refuses(tmp_path: Path) -> None:
    path = save(tmp_path / "pairs.jsonl.txt", [pair(n) for n in range(60)])
    assert errors(check_file(path, settings=OPENAI)) == [
        ("extension_refused", ""),
        ("completion_refused", ""),
    ]
    assert check_file(path, settings=SANDBOX).counts == {"extension": 1}


GOOD = json.dumps(answer("It's fine, she said."))


@pytest.mark.parametrize(
    ("line", "kind", "cause", "remedy"),
    [
        (GOOD.replace('"', "“"), "not_json", "Curly quotes", 'Type "'),
        (GOOD.replace('"content": "H', '"content": “H'), "not_json", "Curly quotes", 'Type "'),
        (GOOD.replace('said."', "said.”"), "not_json", "Curly quotes", 'Type "'),
        (str(answer("a")), "not_json", "single ones", "ast.literal_eval"),
        (GOOD.replace('"Hi"', "'Hi'"), "not_json", "single ones", "write_jsonl"),
        (GOOD.replace('"Hi"', "None"), "not_json", "None is Python's word", "null"),
        (GOOD.replace('"Hi"', "NaN"), "not_json", "NaN is not a JSON value", "missing value"),
        (GOOD.replace('"Hi"', "nan"), "not_json", "nan is not a JSON value", "missing value"),
        (GOOD.replace('"Hi"', "undefined"), "not_json", "undefined is not a JSON", "null"),
        (GOOD.replace('"Hi"', '"\\ud83d Hi"'), "not_json", "emoji cut in two: \\ud83d", "delete"),
        (GOOD + ",", "not_json", "ends with a comma", "Delete the comma"),
        (GOOD + " , ", "not_json", "ends with a comma", "Delete the comma"),
        (GOOD.replace('"user"', ""), "not_json", "missing before the comma", "Fill it in"),
        (GOOD.replace("}]}", "},]}"), "not_json", "A comma too many before ]", "Delete the comma"),
        (GOOD.replace("}]}", ",}]}"), "not_json", "A comma too many before }", "Delete the comma"),
        (GOOD + " // ok", "not_json", "no comments", "Delete the comment"),
        (GOOD + GOOD, "not_json", "More than one value", "line of its own"),
        (GOOD[:-25], "not_json", "breaks off", "on one line"),
        (GOOD.replace("Hi", "Hi\tyou"), "not_json", "control character", "\\t"),
        (GOOD.replace("Hi", "C:\\Users"), "not_json", "backslash", "\\\\"),
        (GOOD.replace("Hi", 'say "Hi" now'), "not_json", "quotation mark", '\\"'),
        (GOOD.replace('"messages"', "messages"), "not_json", "key without double quotes", '"key"'),
        ("\u00a0" + GOOD, "not_json", "invisible character", "ordinary space"),
        (GOOD + "\ufeff" + GOOD, "bom", "two files were joined", "Break the line"),
        (GOOD + "}", "not_json", "} is one too many", "Count the brackets"),
        (GOOD.replace('"Hi"', ""), "not_json", "a value is missing before it", "fill in"),
        ("prompt,completion", "not_json", "no JSON; it begins with 'prompt,completion'", "write"),
        (GOOD.replace("Hi", "é").encode("cp1252"), "encoding", "0xe9", "UTF-8"),
        (GOOD.encode().replace(b"Hi", b"\xf0\x9f"), "not_json", "emoji cut in two", "delete"),
    ],
)
def test_nearly_json_is_explained(
    tmp_path: Path, line: str | bytes, kind: str, cause: str, remedy: str
) -> None:
    data = line if isinstance(line, bytes) else line.encode()
    found = [p for p in report_of(tmp_path, data).problems if p.line == 4]
    assert [p.kind for p in found] == [kind]
    assert cause in found[0].message
    assert remedy in found[0].remedy


def test_a_bom_is_named_wherever_it_is_and_the_remedy_works(tmp_path: Path) -> None:
    lines = [json.dumps(chat(n)).encode() for n in range(60)]
    lines[0], lines[30] = BOM + lines[0], BOM + lines[30]
    path = save(tmp_path / "cat.jsonl", lines)
    report = check_file(path)
    assert [(p.kind, p.line) for p in report.problems] == [("bom", 1), ("bom", 31)]
    assert report.n_examples == 60
    assert report.problems[0].remedy.startswith("write_jsonl(path, read_jsonl(path))")
    assert check_file(write_jsonl(path, read_jsonl(path))).problems == []


MANY = [chat(n) for n in range(20)]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "empty_file"),
        (b"\n\n", "empty_file"),
        (BOM, "bom"),
        (json.dumps(chat()).encode("utf-16-le"), "encoding"),
        (json.dumps(chat()).encode("utf-16"), "encoding"),
        (json.dumps(MANY).encode(), "array_file"),
        (json.dumps(MANY, indent=2).encode(), "array_file"),
        (json.dumps(chat(), indent=2).encode(), "pretty_printed"),
        (b"{\n" + str(chat())[1:].encode(), "pretty_printed"),
        (json.dumps(chat()).encode(), "too_few"),
        (b"\r".join(json.dumps(x).encode() for x in MANY), "not_json"),
        (gzip.compress(json.dumps(chat()).encode()), "binary"),
        (b"PK\x03\x04xl/workbook.xml", "binary"),
    ],
)
def test_files_wrong_as_a_whole(tmp_path: Path, content: bytes, kind: str) -> None:
    path = tmp_path / "whole.jsonl"
    path.write_bytes(content)
    report = check_file(path)
    assert not report.ok
    assert report.counts[kind] == 1, str(report)
    assert len(report.counts) <= 2


def test_file_warnings(tmp_path: Path) -> None:
    system = said({"role": "system", "content": "Be brief."}, *chat(99)["messages"])
    path = tmp_path / "notes.txt"
    lines = [json.dumps(x) for x in [*MANY, system, answer("a\u2028b")]]
    lines[-1] = json.dumps(answer("a\u2028b"), ensure_ascii=False)
    path.write_bytes(("\r\n".join(lines) + "\r\n\r\n\r\n").encode())
    report = check_file(path)
    assert report.ok
    names = ["extension", "few", "some_system"]
    assert report.counts == dict.fromkeys(names, 1)


def test_a_file_that_is_too_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helpers.check_file.MAX_BYTES", 1000)
    assert errors(report_of(tmp_path)) == [("too_large", "")]


def test_a_validation_file_may_be_small(tmp_path: Path) -> None:
    path = save(tmp_path / "valid.jsonl", [chat(n) for n in range(3)])
    assert check_file(path).counts == {"too_few": 1}
    assert not check_file(path, training=False).problems
    with pytest.raises(FileNotFoundError):
        check_file(tmp_path / "none.jsonl")


def test_an_example_is_a_duplicate_only_if_all_of_it_is_the_same(tmp_path: Path) -> None:
    other = changed(tools(), "tools.0.function.description", "in grams")
    weight = changed(chat(1), "messages.1.weight", 1)
    report = report_of(tmp_path, tools(), other, weight, tools())
    assert [(p.kind, p.line) for p in report.problems] == [("duplicate", 7)]


@pytest.mark.parametrize(
    ("prompt", "completion", "seen"),
    [
        ("nan, woman, flight ->", " She flies. END", True),
        ("18, man, #N/A ->", " He flies. END", True),
        ("a ->", "nan", True),
        ("None of them ->", " None, he said. END", False),
        ("Ask my nan about it ->", " Nan says no. END", False),
    ],
)
def test_words_for_missing_values_are_counted(
    tmp_path: Path, prompt: str, completion: str, seen: bool
) -> None:
    line = pair(prompt=prompt, completion=completion)
    report = report_of(tmp_path, line, {**line, "prompt": prompt + prompt}, maker=pair)
    found = [p for p in report.problems if p.kind == "missing_text"]
    assert [p.line for p in found] == ([4] if seen else [])
    assert all("in 2 of 62 examples" in p.message for p in found)


LETTERS = "abcdefghij"
WORDS_60 = [f"{LETTERS[n % 10]}word{n}{LETTERS[n // 10]}" for n in range(60)]


@pytest.mark.parametrize(
    ("prompt", "completion", "kinds"),
    [
        ("{w} ->", " {w} speaks. END", set()),
        ("{w}ing", " {w} speaks. END", {"no_separator"}),
        ("{w} ->", " {w}", {"no_stop"}),
        ("{w} ->", " {w}. So. {w}{w}.", {"stop_inside"}),
        ("{w} ->", "{w}. END", {"no_leading_space"}),
        ("{w} ->", "\t{w}. END", set()),
        ("{w} ->", " class {c}", set()),
        ("", " {w}", set()),
    ],
)
def test_habits_of_pairs(tmp_path: Path, prompt: str, completion: str, kinds: set[str]) -> None:
    rows = [
        {"prompt": prompt.format(w=w), "completion": completion.format(w=w, c=n % 3)}
        for n, w in enumerate(WORDS_60)
    ]
    report = check_file(save(tmp_path / "pairs.jsonl", rows))
    assert report.ok
    assert set(report.counts) == kinds


def test_the_report_is_short_and_escaped(tmp_path: Path) -> None:
    report = check_file(save(tmp_path / "bad.jsonl", [chat(), *[b"oops"] * 500]))
    assert (len([p for p in report.problems if p.kind == "not_json"]), report.n_errors) == (10, 501)
    assert "and 490 more of the kind not_json" in str(report)
    html = report_of(tmp_path, said({"role": "<script>", "content": "a"}))._repr_html_()
    assert "&lt;script&gt;" in html
    assert "<script>" not in html


def places(value: Any) -> Iterator[list[Any]]:
    """The path of every value inside a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield [key]
        if isinstance(inner, (dict, list)):
            yield from ([key, *rest] for rest in places(inner))


@pytest.mark.parametrize("number", range(len(RICH)))
def test_no_error_of_pydantic_is_without_a_sentence(number: int) -> None:
    """Any value in any place: a type of error that the table lacks fails here."""
    odd = [None, 1, -1, 2, 1.5, True, "", "a b", "x", "[1]", [], [1], [None], {}, {"a": 1}, ...]
    model = PairExample if "prompt" in RICH[number] else ChatExample
    seen = set()
    for path in places(RICH[number]):
        for value in odd:
            example = changed(RICH[number], ".".join(map(str, path)), value)
            assert all(f.message and f.kind in KINDS for f in check_example(example))
            try:
                model.model_validate(without_nulls(example))
            except ValidationError as error:
                seen |= {fault["type"] for fault in error.errors()}
    assert seen
    assert seen <= WORDS["pydantic"].keys() - {"other"}
    assert {kind for kind, _ in WORDS["pydantic"].values()} <= KINDS.keys()


@pytest.mark.parametrize("depth", [100, 400, 480, 700, 990, 5000])
def test_deep_values_give_a_report(tmp_path: Path, depth: int) -> None:
    for begin, end in ((b'{"a":', b"}"), (b"[", b"]")):
        value = begin * depth + b"1" + end * depth
        example = json.dumps(answer("a", x=0)).encode().replace(b": 0", b": " + value)
        assert not report_of(tmp_path, value, example, settings=SANDBOX).ok


@settings(suppress_health_check=FIXTURE_OK, deadline=None)
@given(data=st.binary(max_size=400))
def test_any_bytes_give_a_report(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "any.jsonl"
    path.write_bytes(data)
    report = check_file(path, settings=SANDBOX)
    assert not report.ok, "no 400 bytes make ten examples"
    assert str(report)
    assert report._repr_html_()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
SOME = st.text(max_size=12) | st.sampled_from(["<|end|>", "a\u2028b", "\ufeff", " "])
CONTENT = SOME | st.lists(
    st.fixed_dictionaries({"type": st.sampled_from(["text", "zip"]), "text": SOME}), max_size=3
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "assistant", "tool", 3])},
    optional={
        "content": CONTENT | JSON,
        "weight": st.sampled_from([0, 1, None]) | JSON,
        "name": st.none() | SOME,
        "annotations": st.just([]),
        "refusal": st.none(),
        "tool_calls": JSON | st.just([]),
    },
)
CHAT = st.lists(MESSAGE, max_size=3).map(lambda some: said(*some, ANSWER))
EXAMPLE = (
    JSON
    | CHAT
    | st.fixed_dictionaries({"prompt": SOME | JSON, "completion": SOME | JSON})
    | st.fixed_dictionaries({"messages": JSON}, optional={"tools": JSON, "prompt": JSON})
    | CHAT.flatmap(
        lambda one: st.fixed_dictionaries(
            {"messages": st.just(one["messages"])},
            optional={
                "tools": st.just([]),
                "functions": st.just([]),
                "parallel_tool_calls": st.booleans(),
            },
        )
    )
)
# Where the checker asks for more than the sandbox, because hosted endpoints do.
STRICTER = {"empty_answer", "empty_content", "special_token", "wrong_value", "mixed_formats"}


@settings(suppress_health_check=FIXTURE_OK, deadline=None, max_examples=100)
@given(example=EXAMPLE)
@pytest.mark.slow
def test_ok_means_that_the_sandbox_accepts(tmp_path: Path, example: Any) -> None:
    report = report_of(tmp_path, example, settings=SANDBOX)
    try:
        validate_training_file(tmp_path / "data.jsonl", WEIGHTS)
        accepted = True
    except TrainingFileError:
        accepted = False
    assert accepted or not report.ok, str(report)
    assert report.ok or not accepted or {kind for kind, _ in errors(report)} <= STRICTER
