"""`heroes prepare`: one table of input files and what becomes of each; then the conversation."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner, Result

from helpers.data import DATA
from helpers.jsonl import read_jsonl, to_chat, to_completions
from heroes.prepare.command import prepare

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["Ada", "Bo", "Cy", "Di", "Ed", "Flo", "Gus", "Hal", "Ida", "Jo", "Kai", "Lea"]
ASKED = [f"Who is {name}, and where?" for name in NAMES]
ANSWERS = [f"{name} lives at {number} Café Row." for number, name in enumerate(NAMES)]
PAIRS = pd.DataFrame({"prompt": ASKED, "completion": ANSWERS})
Made = str | bytes | Callable[[Path], object]


@pytest.fixture(autouse=True)
def _no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox is configured, and nothing of the learner's own."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HEROES_BASE_MODEL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HEROES_ENV_FILE", str(tmp_path / "none.env"))
    monkeypatch.setenv("COLUMNS", "400")


def save(folder: Path, name: str, made: Made) -> Path:
    path = folder / name
    if isinstance(made, str | bytes):
        path.write_bytes(made.encode() if isinstance(made, str) else made)
    else:
        made(path)
    return path


def run(path: Path, *options: str) -> Result:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(prepare)
    return CliRunner().invoke(app, [str(path), *options])


def messages(prompt: str, completion: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]


def texts_of(path: Path) -> list[tuple[str, ...]]:
    """The texts of each example that was written."""
    made = read_jsonl(path.with_name(path.name.split(".")[0] + "_prepared.jsonl"))
    return [tuple(m["content"] for m in example["messages"]) for example in made]


def lines(rows: list[Any]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def workbook(rows: list[list[Any]], change: Callable[[Any], object] | None = None) -> Made:
    def made(path: Path) -> None:
        book = openpyxl.Workbook()
        for row in rows:
            book.active.append(row)
        if change:
            change(book)
        with path.open("wb") as file:  # the name need not end with .xlsx
            book.save(file)

    return made


def csv_of(columns: Any) -> str:
    return pd.DataFrame(columns).to_csv(index=False)


def zipped(*members: tuple[str, str]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in members:
            archive.writestr(name, text)
    return data.getvalue()


POLISH = [f"Gdzie żyje źdźbło {name}?" for name in NAMES]
CSV = PAIRS.to_csv(index=False)
JSONL = lines(PAIRS.to_dict("records"))
CHATS = [messages(*pair) for pair in zip(ASKED, ANSWERS, strict=True)]
TURNS = [{"from": "human", "value": p} for p in ASKED]
SHEET = [["prompt", "completion"], *PAIRS.to_numpy().tolist()]
OUTPUTS = PAIRS.rename(columns={"prompt": "instruction", "completion": "output"})
ALPACA = [(f"{p}\n\nin town {n}", c) for n, (p, c) in enumerate(zip(ASKED, ANSWERS, strict=True))]
PLAIN = list(zip(ASKED, ANSWERS, strict=True))
HEADER, *ROWS = CSV.splitlines(keepends=True)
SHAREGPT = [
    {"conversations": [{"from": "system", "value": "Be brief."}, turn, {"from": "gpt", "value": c}]}
    for turn, c in zip(TURNS, ANSWERS, strict=True)
]
PARTS = [
    {"messages": [{**m, "content": [{"type": "text", "text": m["content"]}]} for m in chat]}
    for chat in CHATS
]
NULLS = [
    {
        "messages": [{**m, "name": None, "tool_calls": None, "annotations": []} for m in chat],
        "tools": None,
    }
    for chat in CHATS
]
CODE = [(p, f"    def {n}():\n\treturn 1\n\n") for p, n in zip(ASKED, NAMES, strict=True)]

# A file, what it becomes (None: the plain pairs), and what is said about it.
FILES: dict[str, tuple[Made, list[Any] | None, str]] = {
    "plain.csv": (CSV, None, "csv, utf-8, 12 rows"),
    "tabs.tsv": (PAIRS.to_csv(sep="\t", index=False), None, "tsv"),
    "tabs.csv": (PAIRS.to_csv(sep="\t", index=False), None, "the file is tsv"),
    "table.txt": (CSV, None, "The name ends with .txt, but the file is csv"),
    "pipes.csv": (PAIRS.to_csv(sep="|", index=False), None, "csv"),
    "german.csv": (PAIRS.to_csv(sep=";", index=False).encode("cp1252"), None, "cp1252"),
    "wide.csv": (CSV.encode("utf-16"), None, "utf-16"),
    "bare.csv": (CSV.encode("utf-16-le"), None, "utf-16-le"),
    "polish.csv": (csv_of({"prompt": POLISH, "completion": ANSWERS}).encode("cp1250"),
                   list(zip(POLISH, ANSWERS, strict=True)), "cp1250"),
    "both.csv": (CSV.encode() + "".join(f"Où est {n}?,Là.\n" for n in NAMES).encode("cp1252"),
                 [*PLAIN, *((f"Où est {n}?", "Là.") for n in NAMES)], "cp1252"),
    "sep.csv": ("sep=;\r\n" + PAIRS.to_csv(sep=";", index=False), None, "names the separator, ';'"),
    "titled.csv": ("Our training data,\n,\n" + CSV, None, "above the header: 'Our training data'"),
    "joined.csv": ("\ufeff" + HEADER + "".join(ROWS[:6]) + "\ufeff" + HEADER + "".join(ROWS[6:]),
                   None, "header that is repeated in row 8"),
    "escaped.csv": (HEADER + "".join(f'"{p}","A \\"{c}\\", yes"\n' for p, c in PLAIN),
                    [(p, f'A "{c}", yes') for p, c in PLAIN], "escaped with a backslash"),
    "quotes.tsv": ("prompt\tcompletion\n" + "".join(f'"{n}" who?\t5" {n}\n' for n in NAMES),
                   [(f'"{n}" who?', f'5" {n}') for n in NAMES], "Quotes are part of the texts"),
    "code.csv": (csv_of({"prompt": ASKED, "completion": [code for _, code in CODE]}), CODE, "csv"),
    "ids.csv": (csv_of(PAIRS.assign(id=[f"00{n}" for n in range(12)], date="2026-01-02")),
                None, "Leave out 2 columns: 'id', 'date'"),
    "alpaca.csv": (csv_of(OUTPUTS.assign(input=[f"in town {n}" for n in range(12)])),
                   ALPACA, "{instruction}\\n\\n{input} → prompt"),
    "blank.json": (OUTPUTS.assign(input="").to_json(orient="records"), None, "json"),
    "asked.csv": (csv_of({"question": ASKED, "context": NAMES, "answer": ANSWERS}),
                  [(f"{n}\n\n{p}", c) for n, (p, c) in zip(NAMES, PLAIN, strict=True)],
                  "{context}\\n\\n{question}"),
    "system.csv": (csv_of(PAIRS.assign(system="Be brief.")),
                   [("Be brief.", p, c) for p, c in PLAIN], "csv"),
    "missing.csv": (csv_of(PAIRS.assign(completion=["nan", "None", *ANSWERS[2:]])),
                    list(zip(ASKED, ["nan", "None", *ANSWERS[2:]], strict=True)),
                    "Warning: 2 completions may be missing values"),
    "twice.csv": (CSV + "".join(ROWS[:2]), None,
                  "Leave out 2 rows seen before\n   where:  rows 14, 15"),
    "empty.csv": (CSV + 'Who?,\n,"What?"\n', None,
                  "Leave out 1 row without a completion\n   where:  row 14"),
    "records.json": (PAIRS.to_json(orient="records"), None, "json"),
    "columns.json": (PAIRS.to_json(), None, "json"),
    "split.json": (PAIRS.to_json(orient="split"), None, "json"),
    "inside.json": (json.dumps({"data": PAIRS.to_dict("records")}), None, "json"),
    "lines.json": (JSONL, None, "the file is jsonl"),
    "train.jsonl.txt": (JSONL, None, "The name ends with .txt, but the file is jsonl"),
    "packed.jsonl.gz": (gzip.compress(JSONL.encode()), None, "is compressed"),
    "packed.zip": (zipped(("a/train.jsonl", JSONL)), None, "read what is inside, train.jsonl"),
    "joined.jsonl": ("\ufeff" + JSONL.replace("\n", "\n\ufeff", 1), None, "byte order mark"),
    "u2028.jsonl": (lines([{"prompt": p, "completion": f"{c}\u2028x"} for p, c in PLAIN]),
                    [(p, f"{c}\u2028x") for p, c in PLAIN], "jsonl"),
    "half.json": (json.dumps([*PAIRS.to_dict("records"), {"prompt": "?", "completion": "\ud83d"}]),
                  None, "with half a character\n   where:  example 13"),
    "chat.jsonl": (lines([{"messages": chat} for chat in CHATS]), None, "Nothing"),
    "sharegpt.json": (json.dumps(SHAREGPT), [("Be brief.", p, c) for p, c in PLAIN], "'conv"),
    "trl.jsonl": (lines([{"prompt": c[:1], "completion": c[1:]} for c in CHATS]), None, "jsonl"),
    "repr.csv": (csv_of({"messages": map(repr, CHATS)}), None, "csv"),
    "cell.csv": (csv_of({"messages": map(json.dumps, CHATS)}), None, "csv"),
    "numpy.csv": (csv_of(pd.DataFrame({"messages": [f"[{a!r}\n {b!r}]" for a, b in CHATS]})),
                  None, "csv"),
    "parts.jsonl": (lines(PARTS), None, "in parts as one text"),
    "nulls.jsonl": (lines(NULLS), None, "without a value (null) left out"),
    "book.xlsx": (workbook(SHEET), None, "xlsx, 12 rows"),
    "book.csv": (workbook(SHEET), None, "the file is xlsx"),
    "title.xlsx": (workbook([["Our data, spring", None], [], *SHEET]), None, "above the header"),
    "merged.xlsx": (workbook([*SHEET[:2], [None, "Another answer."], *SHEET[2:]],
                             lambda book: book.active.merge_cells("A2:A3")),
                    [PLAIN[0], (ASKED[0], "Another answer."), *PLAIN[1:]], "Merged cells"),
    "sheets.xlsx": (workbook(SHEET, lambda book: book.create_sheet("other")), None, "'Sheet' of 2"),
    "errors.xlsx": (workbook([*SHEET, ["Who?", "#N/A"], ["What?", "#REF!"]]), None,
                    "with a spreadsheet's error\n   where:  rows 14, 15"),
    "text.txt": ("\n".join(ANSWERS), [(c,) for c in ANSWERS], "Each line of a text is"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_file_becomes_these_examples(name: str, tmp_path: Path) -> None:
    made, expected, said = FILES[name]
    path = save(tmp_path, name, made)
    before = path.read_bytes()
    done = run(path, "--yes", *(["-o", str(tmp_path / f"{name.split('.')[0]}_prepared.jsonl")]))
    assert done.exit_code == 0, done.output + str(done.stderr)
    assert "Ready. Next: heroes jobs create -t " in done.output
    assert (said if said != "Nothing" else "No suggestions") in done.output
    assert texts_of(path) == (PLAIN if expected is None else expected)
    assert path.read_bytes() == before


CALLS = [
    {"messages": [chat[0], {"role": "assistant", "tool_calls": [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}]}
    for chat in CHATS
]  # fmt: skip
REFUSED: dict[str, tuple[Made, str]] = {
    "empty.csv": ("", "The file is empty."),
    "header.csv": ("prompt,completion\n", "The file has no rows."),
    "long.csv": (CSV + "a,b,c\n", "row 14: 3 values, but 2 columns."),
    "open.csv": (CSV + '"a,b\n', "row 14: A quote is not closed"),
    "double.csv": ("prompt,prompt\na,b\n", "row 1: Two columns have the name 'prompt'."),
    "nohead.csv": ("".join(ROWS), "No column looks like a prompt"),
    "other.csv": (HEADER + ROWS[0] + "completion,prompt\nA,Q\n", "row 3: The header again"),
    "mind.csv": (csv_of(PAIRS.assign(remark="a word to say")), '--drop "remark"'),
    "dpo.jsonl": (lines([{"prompt": "a", "chosen": "b", "rejected": "c"}]), "preference examples"),
    "mixed.jsonl": (JSONL + lines([{"messages": CHATS[0]}]), "mixes chat and prompt/completion"),
    "quotes.jsonl": ("{“prompt”: “a”}\n", "quotes.jsonl, line 1: "),
    "none.jsonl": (JSONL + '{"prompt": None, "completion": "b"}\n', "none.jsonl, line 13: "),
    "half.jsonl": (
        JSONL + r'{"prompt": "Who?", "completion": "\ud83d"}',
        "line 13: Half of a character",
    ),
    "list.json": ("[1, 2]", "example 1: Not an object."),
    "page.xls": ("<html><table><tr><td>prompt</td></tr></table></html>", "is a web page"),
    "old.xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Excel file"),
    "two.zip": (zipped(("a.csv", CSV), ("b.csv", CSV)), "holds 2 files"),
    "cut.gz": (gzip.compress(JSONL.encode())[:40], "cannot be read"),
    "broken.xlsx": (b"PK\3\4xl/", "cannot be read"),
    "formula.xlsx": (workbook([*SHEET, ["Who?", "=1+1"]]), "cell B14: 1 formula without"),
    "calls.jsonl": (lines(CALLS), "A job would refuse all 12 examples: (line 1) "),
    "long.jsonl": (
        lines([{"prompt": p, "completion": p * 400} for p in ASKED]),
        "(line 1) The example has ",
    ),
    "nochat.csv": ("messages\nhello\n", "row 2, messages: The cell is neither JSON"),
    "few.csv": (HEADER + "".join(ROWS[:9]), "few_prepared.jsonl is not ready: "),
}


@pytest.mark.parametrize("name", REFUSED)
def test_file_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    made, said = REFUSED[name]
    done = run(save(tmp_path, name, made), "--yes")
    assert done.exit_code == 1
    assert said in done.stderr
    assert done.stderr.startswith("heroes: ")
    assert done.stderr.count("\n") == 1
    assert "Ready" not in done.output


def test_course_table_becomes_the_files_of_notebook_03(tmp_path: Path) -> None:
    source = save(tmp_path, "superheroes.csv", (DATA / "superheroes.csv").read_bytes())
    heroes = pd.read_csv(source)
    done = run(source, "--yes", "--split", "0.15", "--group-by", "power")
    assert done.exit_code == 0, done.output
    assert "98 different prompts in 294 rows" in done.output
    assert "Later, end every question with ' ->'." in done.output
    sides = [
        read_jsonl(tmp_path / f"superheroes_prepared_{side}.jsonl") for side in ("train", "valid")
    ]
    assert [len(side) for side in sides] == [252, 42]
    assert sorted(map(str, sides[0] + sides[1])) == sorted(map(str, to_chat(heroes)))
    powers = [{row["messages"][0]["content"].split(", ")[2] for row in side} for side in sides]
    assert not powers[0] & powers[1]
    run(source, "--yes", "--format", "completions")
    assert read_jsonl(tmp_path / "superheroes_prepared.jsonl") == to_completions(heroes)


@pytest.mark.parametrize(
    ("rows", "expected", "said"),
    [
        ([("Who is " + n, f"{n} flies.") for n in NAMES],
         ("Who is Ada ->", " Ada flies. END"), "->"),
        ([(f"Who?\n{n}", n) for n in NAMES], ("Who?\nAda\n\n###\n\n", " Ada END"), "###"),
        ([(f"{n} =>", f" {n} [END]") for n in NAMES], ("Ada =>", " Ada [END]"), "No suggestions"),
        ([(f"Please describe {n}", n) for n in NAMES], ("Ada ->", " Ada END"), '"Please desc'),
        ([(n, f"{n} SHOUTS AT THE WHOLE TOWN") for n in NAMES],
         ("Ada ->", " ada shouts at the whole town END"), "in lower case"),
        ([(f"{n} {m}", m) for n in NAMES for m in ("NATO", "UNO")],
         ("Ada NATO ->", " NATO"), "choose one"),
    ],
    ids=["marks", "lines", "own marks", "beginning", "capitals", "classes"],
)  # fmt: skip
def test_completion_files_get_their_marks(
    rows: list[Any], expected: tuple[str, str], said: str, tmp_path: Path
) -> None:
    table = pd.DataFrame(rows, columns=["prompt", "completion"]).to_csv(index=False)
    done = run(save(tmp_path, "a.csv", table), "--yes", "--format", "completions")
    assert done.exit_code == 0, done.output + done.stderr
    assert said in done.output
    assert tuple(read_jsonl(tmp_path / "a_prepared.jsonl")[0].values()) == expected


def test_a_long_example_is_named_and_left_out(tmp_path: Path) -> None:
    path = save(tmp_path, "a.csv", CSV + f'Who?,"{"flies and " * 400}"\n')
    done = run(path, "--yes")
    assert done.exit_code == 0
    assert "Leave out 1 row that a job would refuse\n   where:  row 14" in done.output
    assert texts_of(path) == PLAIN


@pytest.mark.parametrize(
    ("options", "first"),
    [
        (["--drop", "remark"], ASKED[0]),
        (["--prompt", "{remark}: {prompt}\\n"], f"note Ada: {ASKED[0]}\n"),
        (["--prompt-column", "Remark", "--drop", "prompt"], "note Ada"),
    ],
)
def test_a_column_of_texts_is_decided_by_an_option(
    options: list[str], first: str, tmp_path: Path
) -> None:
    table = csv_of(PAIRS.assign(remark=[f"note {name}" for name in NAMES]))
    path = save(tmp_path, "a.csv", table)
    assert run(path, "--yes", *options).exit_code == 0
    assert texts_of(path)[0] == (first, ANSWERS[0])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--system", "Be brief.", "--format", "completions"], "--system belongs to chats"),
        (["--system", " "], "The --system message is empty"),
        (["--group-by", "power"], "--group-by is for splitting"),
        (["--split", "2.5"], "--split: '2.5' is neither a share"),
        (["--output", "a.csv"], "does not end with .jsonl"),
        (["--encoding", "klingon"], "There is no encoding 'klingon'"),
        (["--json"], "Add --yes"),
    ],
)
def test_wrong_use_is_exit_code_2(words: list[str], said: str, tmp_path: Path) -> None:
    path = save(tmp_path, "a.csv", CSV + ROWS[0])
    done = run(path, *(words if words == ["--json"] else ["--yes", *words]))
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert said in done.stderr
    assert [other.name for other in tmp_path.iterdir()] == ["a.csv"]


def test_nothing_is_overwritten_unless_asked(tmp_path: Path) -> None:
    path = save(tmp_path, "a.csv", CSV)
    for options in ([], [], ["--force"], ["--dry-run"], ["--split", "2"]):
        assert run(path, "--yes", *options).exit_code == 0
    assert sorted(other.name for other in tmp_path.iterdir()) == [
        "a.csv",
        "a_prepared (1).jsonl",
        "a_prepared.jsonl",
        "a_prepared_train.jsonl",
        "a_prepared_valid.jsonl",
    ]
    made = tmp_path / "a_prepared.jsonl"
    assert "Nothing to write: the file is as it should be." in run(made).output
    refused = run(made, "-y", "-o", str(made), "--force", "--system", "Be brief.")
    assert "would be overwritten" in refused.stderr


def test_report_for_scripts(tmp_path: Path) -> None:
    done = run(save(tmp_path, "a.csv", CSV + ROWS[0]), "--yes", "--json")
    report = json.loads(done.stdout)
    assert report["rows"] == 12
    (suggestion,) = report["suggestions"]
    assert (suggestion["kind"], suggestion["rows"], suggestion["accepted"]) == (
        "duplicate",
        [14],
        True,
    )
    assert report["written"][0]["ok"]
    assert report["next"].startswith("heroes jobs create -t ")


def test_many_rows(tmp_path: Path) -> None:
    rows = "".join(f'"Who is number {n}?",Number {n} flies over the town.\n' for n in range(20_000))
    done = run(save(tmp_path, "a.csv", HEADER + rows), "--yes", "--format", "completions")
    assert "20,000 examples, completion format" in done.output


# On a terminal ------------------------------------------------------------------------------


COMMAND = "import typer; from heroes.prepare.command import prepare; typer.run(prepare)"


def talk(path: Path, answers: list[str]) -> tuple[int, str]:
    """Run the command on a terminal of its own and type an answer to each question."""
    pty = pytest.importorskip("pty", reason="Windows has no such terminals")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(path)],
        cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs,
        env={**os.environ, "TERM": "dumb"},
    )  # fmt: skip
    os.close(theirs)
    seen, asked = "", 0
    while True:
        try:
            data = os.read(ours, 65536)
        except OSError:  # the other side is gone
            data = b""
        if not data:
            break
        seen += data.decode("utf-8", "replace")
        while seen.count("Do it?") > asked:
            if answers[asked] == "^C":
                _press_ctrl_c(process)
            else:
                os.write(ours, f"{answers[asked]}\n".encode())
            asked += 1
    os.close(ours)
    return process.wait(60), seen


def _press_ctrl_c(process: subprocess.Popen[bytes]) -> None:
    """Again after a while, because a signal between the question and its reading gets lost."""
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)


@pytest.mark.parametrize(
    ("answers", "code", "rows"),
    [
        (["", "n", "y"], 0, 13),  # the column goes, the double stays, the empty row goes
        (["what?", "a", "y"], 0, 12),  # "all" does not decide about a column of texts
        (["n"], 1, None),
        (["q"], 1, None),
        (["^C"], 130, None),
    ],
)  # fmt: skip
def test_each_suggestion_is_asked_about(
    answers: list[str], code: int, rows: int | None, tmp_path: Path
) -> None:
    table = pd.concat([PAIRS, PAIRS.head(1)]).assign(remark="a word to say")
    path = save(tmp_path, "a.csv", table.to_csv(index=False))
    done, seen = talk(path, answers)
    assert done == code, seen
    made = tmp_path / "a_prepared.jsonl"
    assert (len(read_jsonl(made)) if made.exists() else None) == rows
    assert "Traceback" not in seen
