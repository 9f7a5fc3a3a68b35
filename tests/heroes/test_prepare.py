"""Reading, suggesting, splitting and writing: the parts of `heroes prepare`, one by one."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest

from helpers.data import DATA
from helpers.jsonl import to_chat, to_completions
from heroes.prepare import (
    Declined,
    InputError,
    Output,
    Plan,
    Result,
    Source,
    Steps,
    Suggestion,
    Table,
    analyse,
    note_marks,
    parse_share,
    read_source,
    shape_of,
    split,
    write,
)
from heroes.prepare.marks import choose_mark, common_end, separator_of, stop_of
from heroes.prepare.output import examples

Pair = tuple[str, str]


def save(folder: Path, name: str, text: str, encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def pairs_source(rows: list[Pair], **others: list[Any]) -> Source:
    columns: dict[str, list[Any]] = {
        "prompt": [prompt for prompt, _ in rows],
        "completion": [completion for _, completion in rows],
    }
    table = Table("made.csv", columns | others, list(range(2, len(rows) + 2)))
    return Source(table, "csv", "utf-8")


def suggest(
    source: Source, plan: Plan | None = None, accept: Callable[[Suggestion], bool] | None = None
) -> tuple[dict[str, Suggestion], Table]:
    """The suggestions by kind, and the table after those that were accepted (all by default)."""
    steps = Steps(plan or Plan("completions"), accept or (lambda _: True))
    table = steps.run(source)
    return {suggestion.kind: suggestion for suggestion, _ in steps.decisions}, table


def pairs_of(table: Table) -> list[Pair]:
    return list(zip(table["prompt"], table["completion"], strict=True))


HEROES = [
    ("40, woman, flight", "Ana flies."),
    ("18, man, Healing", "Bo heals!"),
    ("90, woman, strength", "Cleo lifts trains?"),
]


# Reading ------------------------------------------------------------------------------------


def test_values_stay_the_texts_they_are(tmp_path: Path) -> None:
    path = save(tmp_path, "a.csv", "prompt,completion\nNA,007\nnull,1.0\nNone,nan\n")
    assert pairs_of(read_source(path).table) == [("NA", "007"), ("null", "1.0"), ("None", "nan")]


def test_lines_are_counted_through_quotes_and_blank_lines(tmp_path: Path) -> None:
    text = 'prompt,completion\r\n"two\r\nlines",x\r\n\r\nlast,y\r\n'
    table = read_source(save(tmp_path, "a.csv", text)).table
    assert table.places == [2, 5]
    assert table["prompt"] == ["two\r\nlines", "last"]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_separator_is_seen_in_the_first_line(tmp_path: Path, separator: str) -> None:
    text = f"prompt{separator}completion\na{separator}b, c; d\n".replace("b, c; d", '"b, c; d"')
    assert pairs_of(read_source(save(tmp_path, "a.csv", text)).table) == [("a", "b, c; d")]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "", "a.csv: The file is empty."),
        ("a.csv", "prompt,completion\n", "a.csv: The file has no rows."),
        ("a.csv", "prompt,completion\na,b\nc,d,e\n", "line 3: 3 values in the row, but 2 columns."),
        ("a.csv", "a,b\n1,2,3\n4,5,6\n", "So are 1 more rows."),
        ("a.csv", 'prompt,completion\na,"b\nc,d\n', "line 2: The quotes are not right"),
        ("a.csv", 'prompt,completion\n"a"b,c\n', "line 2: The quotes are not right"),
        ("a.csv", "prompt,prompt\na,b\n", "line 1: Two columns have the name 'prompt'."),
        ("a.tsv", "prompt\tprompt\na\tb\n", "line 1: Two columns"),
        ("a.json", "[1, 2]", "example 1: Not an object."),
        ("a.json", "[]", "no list of objects"),
        ("a.json", '[{"prompt": "a",}]', "line 1: Not valid JSON"),
        ("a.json", '{"prompt": ["a", "b"], "completion": ["c"]}', "different lengths"),
        ("a.jsonl", '{"prompt": "a"}\n{"prompt": \n', "line 2: The line breaks off"),
        ("a.jsonl", '{"prompt": "a"}\n[1]\n7\n', "line 2: Not an object. So are 1 more lines."),
        ("a.jsonl", "\n\n", "The file is empty."),
        ("a.jsonl", '{"a": 1, "a": 2}\n', "line 1, 'a': The key stands in the object twice."),
        ("a.txt", "", "The file has no rows."),
        ("a.docx", "x", "The name ends with '.docx'."),
        ("a.xlsx", "no workbook", "This is no Excel workbook"),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    with pytest.raises(InputError) as caught:
        read_source(save(tmp_path, name, text))
    message = str(caught.value)
    assert said in message
    assert message.startswith(name)
    assert "\n" not in message


def test_a_missing_file_has_a_near_name(tmp_path: Path) -> None:
    save(tmp_path, "superheroes.csv", "a,b\n1,2\n")
    with pytest.raises(InputError, match=r"no such file. Did you mean superheroes\.csv\?"):
        read_source(tmp_path / "superheros.csv")
    with pytest.raises(InputError, match="This is a folder"):
        read_source(tmp_path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_marks_of_encodings_are_understood(tmp_path: Path, encoding: str) -> None:
    source = read_source(save(tmp_path, "a.csv", "prompt,completion\ncafé,b\n", encoding))
    assert pairs_of(source.table) == [("café", "b")]
    assert list(source.table.columns) == ["prompt", "completion"]
    assert any("byte order mark" in note for note in source.notes)


def test_another_encoding_is_a_necessary_suggestion_with_an_example(tmp_path: Path) -> None:
    path = save(tmp_path, "a.csv", "prompt,completion\na,b\ncafé,Zoë\n", "cp1252")
    found, table = suggest(read_source(path))
    assert pairs_of(table)[1][0].startswith("café")
    assert (found["encoding"].level, found["encoding"].places) == ("necessary", (3,))
    assert "caf\ufffd" in found["encoding"].before
    assert "café" in (found["encoding"].after or "")
    with pytest.raises(Declined):
        suggest(read_source(path), accept=lambda s: s.kind != "encoding")


def test_an_encoding_can_be_named(tmp_path: Path) -> None:
    path = save(tmp_path, "a.csv", "prompt,completion\nпривет,b\n", "koi8-r")
    assert read_source(path, encoding="koi8-r").table["prompt"] == ["привет"]
    with pytest.raises(InputError, match="line 2: The byte 0xd0 is not ascii"):
        read_source(path, encoding="ascii")
    with pytest.raises(LookupError):
        read_source(path, encoding="klingon")


def test_no_text_at_all_is_refused(tmp_path: Path) -> None:
    text = codecs.encode("prompt,completion\na,b\n", "utf-16-le")
    path = tmp_path / "a.csv"
    path.write_bytes(text)
    with pytest.raises(InputError, match="--encoding"):
        read_source(path)
    assert len(read_source(path, encoding="utf-16-le").table) == 1


def workbook(path: Path, sheets: dict[str, list[list[Any]]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_a_workbook_is_read_as_people_see_it(tmp_path: Path) -> None:
    rows = [["Prompt", "Completion", None], [], [40, 1.5, None], [None, True, None]]
    path = workbook(tmp_path / "a.xlsx", {"heroes": rows, "other": [["x"]]})
    source = read_source(path)
    assert source.table.columns == {"Prompt": ["40", ""], "Completion": ["1.5", "TRUE"]}
    assert source.table.place(0) == "row 3"
    assert "Read the sheet 'heroes' of 2" in source.notes[0]
    with pytest.raises(InputError, match="no sheet 'villains'. There are: heroes, other"):
        read_source(path, sheet="villains")
    with pytest.raises(InputError, match="The file has no rows"):
        read_source(path, sheet="other")


@pytest.mark.parametrize(
    "value",
    [
        [{"prompt": "a", "completion": "b"}, {"prompt": "c", "completion": "d"}],
        {"prompt": ["a", "c"], "completion": ["b", "d"]},
        {"data": [{"prompt": "a", "completion": "b"}, {"prompt": "c", "completion": "d"}]},
        {"prompt": {"0": "a", "1": "c"}, "completion": {"0": "b", "1": "d"}},
    ],
    ids=["rows", "columns", "inside", "pandas"],
)
def test_json_of_any_shape_is_read(tmp_path: Path, value: Any) -> None:
    source = read_source(save(tmp_path, "a.json", json.dumps(value, indent=1)))
    assert pairs_of(source.table) == [("a", "b"), ("c", "d")]
    assert source.kind == "json"


LINES = '{"prompt": "a", "completion": "b"}\n{"prompt": "c", "completion": "d"}\n'


def test_json_lines_and_json_are_told_apart_by_what_they_are(tmp_path: Path) -> None:
    as_json = read_source(save(tmp_path, "a.json", LINES))
    assert (as_json.kind, len(as_json.table)) == ("jsonl", 2)
    assert "the file is JSON Lines" in as_json.notes[0]
    text = json.dumps([json.loads(line) for line in LINES.splitlines()], indent=2)
    as_lines = read_source(save(tmp_path, "b.jsonl", text))
    assert (as_lines.kind, len(as_lines.table)) == ("json", 2)


def test_each_line_of_a_text_is_a_completion(tmp_path: Path) -> None:
    source = read_source(save(tmp_path, "a.txt", "one\r\n\r\ntwo"))
    found, table = suggest(source, Plan("chat"))
    assert table["completion"] == ["one", "two"]
    assert found["empty_completion"].places == (2,)
    assert list(examples(table, Plan("chat", system="Tell."))) == [
        {
            "messages": [
                {"role": "system", "content": "Tell."},
                {"role": "assistant", "content": text},
            ]
        }
        for text in ("one", "two")
    ]


# Columns ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("prompt,completion", None),
        ("Prompt,COMPLETION", "Prompt → prompt, COMPLETION → completion"),
        (" completion , prompt", " prompt → prompt,  completion  → completion"),
        ("Question,Answer", "Question → prompt, Answer → completion"),
        ("prompt_short,description", "prompt_short → prompt, description → completion"),
        ("input,output", "input → prompt, output → completion"),
    ],
)
def test_columns_are_found_by_their_names(tmp_path: Path, names: str, expected: str | None) -> None:
    found, table = suggest(read_source(save(tmp_path, "a.csv", f"{names}\nx,y\n")))
    assert set(table.columns) == {"prompt", "completion"}
    if expected is None:
        assert "rename" not in found
    else:
        assert found["rename"].level == "necessary"
        assert expected in found["rename"].title


def test_named_columns_win(tmp_path: Path) -> None:
    path = save(tmp_path, "a.csv", "prompt,completion,Short,Long\na,b,c,d\n")
    plan = Plan("chat", prompt_column="short", completion_column="Long")
    found, table = suggest(read_source(path), plan)
    assert pairs_of(table) == [("c", "d")]
    assert "'prompt (not used)', 'completion (not used)'" in found["drop_columns"].title


@pytest.mark.parametrize(
    ("names", "plan", "said"),
    [
        ("a,b", Plan(), "prompt: No column looks like a prompt; there are 'a', 'b'."),
        ("prompt,b", Plan(), "completion: No column looks like a completion"),
        ("a,b", Plan(prompt_column="c"), "There is no column 'c'; there are 'a', 'b'."),
        ("a,prompt", Plan(completion_column="prompt"), "can't be prompt and completion at once"),
        ("prompt,completion", Plan(group_by="power"), "power: There is no column 'power'"),
        ("input,preferred_output", Plan(), "preference (DPO)"),
    ],
)
def test_columns_in_doubt_are_refused(tmp_path: Path, names: str, plan: Plan, said: str) -> None:
    with pytest.raises(InputError) as caught:
        suggest(read_source(save(tmp_path, "a.csv", f"{names}\nx,y\n")), plan)
    assert said in str(caught.value)


def test_values_that_are_no_text(tmp_path: Path) -> None:
    rows = [{"prompt": 40, "completion": True}, {"prompt": "a", "completion": None}]
    source = read_source(save(tmp_path, "a.json", json.dumps(rows)))
    found, table = suggest(source, Plan("chat"))
    assert pairs_of(table) == [("40", "true")]
    assert (found["prompt_type"].before, found["prompt_type"].after) == ("40", '"40"')
    assert found["empty_completion"].count == 1
    rows = [{"prompt": ["a"], "completion": "b"}]
    with pytest.raises(InputError, match="example 1, prompt: Expected a text, found a list"):
        suggest(read_source(save(tmp_path, "a.json", json.dumps(rows))))


# Suggestions --------------------------------------------------------------------------------


def test_the_course_s_own_table_becomes_the_course_s_own_files() -> None:
    heroes = pd.read_csv(DATA / "superheroes.csv")
    source = read_source(DATA / "superheroes.csv")
    found, table = suggest(source, Plan("completions"))
    assert list(examples(table, Plan("completions"))) == to_completions(heroes)
    assert set(found) == {"rename", "drop_columns", "separator", "leading_space", "stop"}
    _, table = suggest(source, Plan("chat"))
    content = [row["messages"][1] for row in to_chat(heroes)]
    assert [row["messages"][1] for row in examples(table, Plan("chat"))] == content


@pytest.mark.parametrize(
    ("rows", "kind", "count", "places"),
    [
        ([*HEROES, ("a", " \n")], "empty_completion", 1, (5,)),
        ([*HEROES, ("  ", "b")], "empty_prompt", 1, (5,)),
        ([*HEROES, ("a <|end|>", "b")], "special_token", 1, (5,)),
        ([*HEROES, HEROES[0], HEROES[0]], "duplicate", 2, (5, 6)),
        ([*HEROES, ("a", "b" * 10_000)], "too_long", 1, (5,)),
    ],
)
def test_rows_that_go(rows: list[Pair], kind: str, count: int, places: tuple[int, ...]) -> None:
    found, table = suggest(pairs_source(rows), Plan("chat"))
    assert set(found) == {kind}
    assert (found[kind].count, found[kind].places, found[kind].after) == (count, places, None)
    assert pairs_of(table) == HEROES


def test_unfinished_answers_go() -> None:
    source = pairs_source(HEROES, finish_reason=["stop", "length", ""])
    found, table = suggest(source, Plan("chat"))
    assert found["cut_off"].places == (3,)
    assert table.places == [2, 4]


def test_whitespace_and_windows_line_breaks() -> None:
    rows = [(" a\t", "b\r\nc\n"), ("d", "e")]
    found, table = suggest(pairs_source(rows), Plan("chat"))
    assert pairs_of(table) == [("a", "b\nc"), ("d", "e")]
    assert (found["prompt_whitespace"].before, found["prompt_whitespace"].after) == (
        '" a\\t"',
        '"a"',
    )


def test_a_separator_of_several_lines_is_no_stray_whitespace() -> None:
    rows = [(f"{p}\n\n###\n\n", f" {c} ***") for p, c in HEROES]
    found, table = suggest(pairs_source(rows))
    assert found == {}
    assert pairs_of(table) == rows


def test_shouting_is_lowered_but_codes_are_not() -> None:
    loud = [(f"{p} ->", f" {c.upper()} SHE SAVES THE WHOLE CITY END") for p, c in HEROES]
    found, table = suggest(pairs_source(loud))
    assert set(found) == {"completion_case"}
    assert table["completion"][0] == " ana flies. she saves the whole city END"
    codes = [(f"{p} ->", f" {c}") for p, c in zip("abc", ("NATO", "NASA", "UNO"), strict=True)]
    assert "completion_case" not in suggest(pairs_source(codes))[0]


def test_a_common_beginning_goes_at_a_word_s_end() -> None:
    rows = [(f"Please describe the hero {p} ->", f" {c} END") for p, c in HEROES]
    found, table = suggest(pairs_source(rows))
    assert set(found) == {"prompt_prefix"}
    assert '"Please describe the hero "' in found["prompt_prefix"].title
    assert table["prompt"] == [f"{p} ->" for p, _ in HEROES]


def test_separator_and_stop_occur_nowhere_else() -> None:
    rows = [("a -> b", "THE END END of it"), ("c", "d"), ("e", "f")]
    _, table = suggest(pairs_source(rows))
    separator, stop = separator_of(table["prompt"]), stop_of(table["completion"])
    assert separator == "\n\n###\n\n"
    assert stop == "\n"
    assert all(text.count(separator) == 1 for text in table["prompt"])
    assert all(text.count(stop) == 1 for text in table["completion"])


def test_marks_that_most_rows_have_are_given_to_the_rest() -> None:
    rows = [(f"{p}\n\n===\n\n", f" {c} [END]") for p, c in HEROES] + [("a", "b")]
    found, table = suggest(pairs_source(rows))
    assert (found["separator"].places, found["stop"].places) == ((5,), (5,))
    assert pairs_of(table)[3] == ("a\n\n===\n\n", " b [END]")


def test_a_mark_is_found_for_any_texts() -> None:
    taken = [" ->", " ==>", " ===>"]
    text = "x".join([*taken, "y"])
    assert choose_mark([text, "z"], taken) not in text


def test_common_ends_of_many_texts() -> None:
    texts = [f"{number} -> END" for number in range(300)]
    assert common_end(texts) == " -> END"
    assert common_end([*texts, "x END"]) == " END"
    assert common_end([*texts, "x"]) == ""


def test_a_full_stop_at_all_ends_is_no_stop_sequence() -> None:
    rows = [(f"{name} ->", f" {name} flies.") for name in ("Ana", "Bo", "Cleo")]
    found, table = suggest(pairs_source(rows))
    assert set(found) == {"stop"}
    assert table["completion"][0] == " Ana flies. END"


def test_classes_need_no_stop_and_keep_their_capitals() -> None:
    rows = [(f"text {n} ->", " SPAM" if n % 2 else " HAM") for n in range(20)]
    found, _ = suggest(pairs_source(rows))
    assert found == {}


def test_chats_need_no_marks_and_lose_a_stop_sequence() -> None:
    rows = [(f"{p} ->", f" {c} END") for p, c in HEROES]
    found, table = suggest(pairs_source(rows), Plan("chat"))
    assert set(found) == {"completion_whitespace", "chat_stop"}
    assert pairs_of(table) == [(f"{p} ->", c) for p, c in HEROES]


def test_a_declined_suggestion_is_not_made_again() -> None:
    offered = []

    def decline(suggestion: Suggestion) -> bool:
        offered.append(suggestion.kind)
        return suggestion.level == "necessary"

    rows = [*HEROES, ("a", ""), HEROES[0]]
    _, table = suggest(pairs_source(rows), accept=decline)
    assert offered == ["empty_completion", "duplicate", "separator", "leading_space", "stop"]
    assert pairs_of(table) == [*HEROES, HEROES[0]]


def test_declining_what_is_necessary_ends_it() -> None:
    with pytest.raises(Declined, match="Leave out 1 row without a completion"):
        suggest(pairs_source([*HEROES, ("a", "")]), accept=lambda _: False)


def test_nothing_left_is_an_error() -> None:
    with pytest.raises(InputError, match="No row is left"):
        suggest(pairs_source([("a", ""), ("b", " ")]))


# Chats --------------------------------------------------------------------------------------


def chat(question: str, answer: str, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": messages, **more}


def chat_source(folder: Path, rows: list[dict[str, Any]]) -> Source:
    return read_source(save(folder, "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows)))


def test_good_chats_are_left_alone(tmp_path: Path) -> None:
    rows = [chat(p, c) for p, c in HEROES]
    found, table = suggest(chat_source(tmp_path, rows), Plan("chat"))
    assert found == {}
    assert list(examples(table, Plan("chat"))) == rows


def test_chats_are_mended(tmp_path: Path) -> None:
    rows = [
        chat("a", " b\n", id=7),
        {"messages": [{"role": "User", "content": "c", "time": 1}, *chat("", "d")["messages"][1:]]},
        {"messages": [{"role": "user", "content": "no answer"}]},
        chat("a", "b"),
        chat("e", "f" * 20_000),
    ]
    found, table = suggest(chat_source(tmp_path, rows), Plan("chat"))
    assert set(found) == {
        "drop_columns",
        "message_keys",
        "roles",
        "whitespace",
        "invalid",
        "duplicate",
        "too_long",
    }
    assert "messages: No message is from the assistant." in found["invalid"].why
    assert found["invalid"].places == (3,)
    assert list(examples(table, Plan("chat"))) == [chat("a", "b"), chat("c", "d")]


def test_a_system_message_goes_where_there_is_none(tmp_path: Path) -> None:
    own = {"messages": [{"role": "system", "content": "own"}, *chat("a", "b")["messages"]]}
    _, table = suggest(chat_source(tmp_path, [own, chat("c", "d")]), Plan("chat"))
    made = list(examples(table, Plan("chat", system="given")))
    assert [row["messages"][0]["content"] for row in made] == ["own", "given"]


def test_chats_become_pairs(tmp_path: Path) -> None:
    rows = [chat(p, c) for p, c in HEROES]
    long = {"messages": [*chat("a", "b")["messages"], *chat("c", "d")["messages"]]}
    found, table = suggest(chat_source(tmp_path, [*rows, long]))
    assert found["not_a_pair"].places == (4,)
    assert list(table.columns) == ["prompt", "completion"]
    assert pairs_of(table)[0] == ("40, woman, flight ->", " Ana flies. END")


def test_chats_may_stand_in_a_cell(tmp_path: Path) -> None:
    cell = json.dumps(chat("a", "b")["messages"]).replace('"', '""')
    source = read_source(save(tmp_path, "a.csv", f'messages\n"{cell}"\n'))
    _, table = suggest(source, Plan("chat"))
    assert list(examples(table, Plan("chat"))) == [chat("a", "b")]
    source = read_source(save(tmp_path, "a.csv", "messages\nhello\n"))
    with pytest.raises(InputError, match="line 2, messages: The cell holds no JSON"):
        suggest(source, Plan("chat"))


def test_two_kinds_of_examples_in_one_file_are_refused(tmp_path: Path) -> None:
    rows = [chat("a", "b"), {"prompt": "c", "completion": "d"}]
    with pytest.raises(InputError, match="line 2: The file mixes chat and prompt/completion"):
        suggest(chat_source(tmp_path, rows))


# Splitting and writing ----------------------------------------------------------------------


def test_a_split_by_power_holds_back_whole_powers() -> None:
    source = read_source(DATA / "superheroes.csv")
    _, table = suggest(source, Plan("chat", group_by="power"))
    found = split(table, 0.2, 7, "power")
    assert (len(found.train), len(found.valid)) == (252, 42)
    (power,) = found.held_out
    assert all(power in prompt for prompt in found.valid["prompt"])
    assert not any(power in prompt for prompt in found.train["prompt"])
    assert found.shared_prompts == 0


def test_without_a_column_equal_prompts_stay_together() -> None:
    rows = [(f"p{n % 10}", f"c{n}") for n in range(40)]
    _, table = suggest(pairs_source(rows), Plan("chat"))
    found = split(table, 8, 7, None)
    assert (len(found.train), len(found.valid), found.shared_prompts) == (32, 8, 0)


def test_a_column_that_does_not_hold_the_questions_apart_is_told() -> None:
    rows = [("same", f"c{n}") for n in range(4)]
    _, table = suggest(pairs_source(rows, who=list("aabb")), Plan("chat", group_by="who"))
    assert split(table, 2, 7, "who").shared_prompts == 1


@pytest.mark.parametrize("text", ["0", "1.5", "-1", "many", "1.0", "", "nan"])
def test_an_impossible_share_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither a share"):
        parse_share(text)
    assert (parse_share("0.2"), parse_share("20")) == (0.2, 20)


def prepared(path: Path, plan: Plan, output: Output) -> Result:
    source = read_source(path)
    result = Result(analyse(source, shape_of(source.table, plan), plan), plan)
    steps = Steps(plan, lambda _: True)
    table = steps.run(source)
    result.decisions = steps.decisions
    note_marks(result, table)
    write(result, table, output, path)
    return result


TABLE = "prompt,completion\n" + "".join(f"hero {n},Hero {n} flies.\n" for n in range(12))


def test_nothing_is_overwritten_unless_asked(tmp_path: Path) -> None:
    path, wanted = save(tmp_path, "a.csv", TABLE), tmp_path / "a_prepared.jsonl"
    for _ in range(3):
        prepared(path, Plan(), Output(wanted))
    prepared(path, Plan(), Output(wanted, share=2))
    prepared(path, Plan(), Output(wanted, force=True))
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == [
        "a.csv",
        "a_prepared (1).jsonl",
        "a_prepared (2).jsonl",
        "a_prepared.jsonl",
        "a_prepared_train.jsonl",
        "a_prepared_valid.jsonl",
    ]
    (tmp_path / "a_prepared_train.jsonl").unlink()
    result = prepared(path, Plan(), Output(wanted, share=2))
    assert [p.name for p in result.written] == [
        "a_prepared_train (1).jsonl",
        "a_prepared_valid (1).jsonl",
    ]


def test_a_ready_file_is_not_copied(tmp_path: Path) -> None:
    path = save(tmp_path, "a.csv", TABLE)
    made = tmp_path / "a_prepared.jsonl"
    prepared(path, Plan(), Output(made))
    again = prepared(made, Plan(), Output(tmp_path / "b.jsonl"))
    assert again.unchanged
    assert list(again.written) == [made]
    assert not (tmp_path / "b.jsonl").exists()
    asked = prepared(made, Plan(), Output(tmp_path / "b.jsonl", always=True))
    assert not asked.unchanged
    assert (tmp_path / "b.jsonl").read_bytes() == made.read_bytes()


def test_the_source_is_never_overwritten(tmp_path: Path) -> None:
    path = save(tmp_path, "a.jsonl", LINES)
    with pytest.raises(InputError, match="overwritten by its own preparation"):
        prepared(path, Plan(), Output(path, force=True))
    assert path.read_text(encoding="utf-8") == LINES


def test_the_analysis_in_words(tmp_path: Path) -> None:
    source = read_source(save(tmp_path, "a.csv", TABLE))
    lines = analyse(source, "pairs", Plan()).lines()
    assert lines[0] == "a.csv: csv, utf-8, 12 rows, 2 columns"
    assert "prompt: 12 different, 6 to 7 characters, half of them up to 6" in lines[1]
    assert "Few rows" in lines[-1]
    rows = [(f"text {n}", "spam" if n % 3 else "ham") for n in range(20)]
    lines = analyse(pairs_source(rows), "pairs", Plan()).lines()
    assert '  most frequent: "spam" 13 ×, "ham" 7 ×' in lines


# What was wrong with the old `prepare_data` --------------------------------------------------


def test_old_bug_a_file_of_one_line_is_read_as_what_it_is(tmp_path: Path) -> None:
    """The old tool took any .jsonl from which it had read one row for JSON, and read it wrong."""
    line = '{"prompt": "a", "completion": "b"}'
    for name in ("one.jsonl", "one.json"):
        for end in ("", "\n"):
            source = read_source(save(tmp_path, name, line + end))
            assert pairs_of(source.table) == [("a", "b")]
    assert read_source(save(tmp_path, "one.jsonl", line)).kind == "jsonl"
    assert not read_source(save(tmp_path, "one.jsonl", line)).notes


def test_old_bug_a_column_is_no_look_alike_of_itself() -> None:
    """The old tool warned for every extra column that its own name contains its name."""
    source = pairs_source(HEROES, age=["40", "18", "90"], prompt_tokens=["9", "8", "9"])
    found, _ = suggest(source, Plan("chat"))
    assert "If you meant" not in found["drop_columns"].why
    source = pairs_source(HEROES, age=["1", "2", "3"], long_prompt=["x", "y", "z"])
    found, _ = suggest(source, Plan("chat"))
    assert "If you meant 'long_prompt'" in found["drop_columns"].why
    assert "'age'" not in found["drop_columns"].why


def test_old_bug_a_common_beginning_after_a_blank_breaks_no_text() -> None:
    """The old tool broke completions with a common beginning that began with a blank."""
    rows = [(f"{p} ->", f" Meet the hero {c} END") for p, c in HEROES]
    found, table = suggest(pairs_source(rows))
    assert set(found) == {"completion_prefix"}
    assert table["completion"] == [f" {c} END" for _, c in HEROES]


def test_old_bug_no_time_is_promised_that_nobody_knows(tmp_path: Path) -> None:
    """The old tool told a time from the table's size in memory, for a queue that is gone."""
    rows = [*HEROES] * 40
    source = pairs_source([(f"{p} {n}", f"{c} {n}") for n, (p, c) in enumerate(rows)])
    result = Result(analyse(source, "pairs", Plan()), Plan())
    text = json.dumps(result.to_dict()) + " ".join(result.analysis.lines())
    for word in ("minute", "hour", "seconds", "queue", "curie"):
        assert word not in text.lower()


def test_old_bug_equal_prompts_are_no_reason_to_give_up() -> None:
    """The old tool ended with an error when all prompts, or all completions, were the same."""
    rows = [("same ->", " a END"), ("same ->", " b END")]
    assert suggest(pairs_source(rows))[0] == {}
    rows = [("a ->", " same"), ("b ->", " same")]
    assert suggest(pairs_source(rows))[0] == {}
