"""`heroes prepare`: one table of input files and what becomes of each; then the conversation."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import re
import signal
import subprocess
import sys
import tomllib
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
from heroes.prepare.steps import CHATS, CHATS_TO_PAIRS, STYLE
from heroes.prepare.steps import ROWS as ROW_RULES
from heroes.prepare.suggestion import TEXTS

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["Ada", "Bo", "Cy", "Di", "Ed", "Flo", "Gus", "Hal", "Ida", "Jo", "Kai", "Lea"]
ASKED = [f"Who is {name}, and where?" for name in NAMES]
ANSWERS = [f"{name} lives at {number} Café Row." for number, name in enumerate(NAMES)]
PAIRS = pd.DataFrame({"prompt": ASKED, "completion": ANSWERS})
CASES = tomllib.loads((ROOT / "tests/data/prepare.toml").read_text(encoding="utf-8"))
Made = str | bytes | Callable[[Path], object]


@pytest.fixture(autouse=True)
def _no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sandbox is configured with the model that ships with it, and nothing of the learner's."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HEROES_BASE_MODEL", "superhero-mini")
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


def texts_of(path: Path) -> list[tuple[str, ...]]:
    """The texts of each example that was written."""
    made = read_jsonl(path.with_name(path.name.split(".")[0] + "_prepared.jsonl"))
    return [tuple(m["content"] for m in example["messages"]) for example in made]


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


CSV = PAIRS.to_csv(index=False)
HEADER, *ROWS = CSV.splitlines(keepends=True)
JSONL = PAIRS.to_json(orient="records", lines=True)
PLAIN = list(zip(ASKED, ANSWERS, strict=True))
SHEET = [["prompt", "completion"], *PAIRS.to_numpy().tolist()]
TITLED = [["Our data, spring", None], [], *SHEET]
MERGED = [*SHEET[:2], [None, "Another answer."], *SHEET[2:]]
MERGED_TEXTS = [PLAIN[0], (ASKED[0], "Another answer."), *PLAIN[1:]]
FAILED = [*SHEET, ["Who?", "#N/A"], ["What?", "#REF!"]]
TWO_ENCODINGS = CSV.encode() + "Où est Ada?,Là.\n".encode("cp1252")


@pytest.mark.parametrize("case", CASES["read"], ids=lambda case: case["file"])
def test_text_becomes_these_examples(case: dict[str, Any], tmp_path: Path) -> None:
    data = case["text"].encode(case.get("encoding", "utf-8"), "surrogatepass")
    path = save(tmp_path, case["file"], data)
    done = run(path, "--yes")
    assert case["said"] in done.output
    assert "is not ready: error: the file: The file has " in done.stderr  # ten are needed
    expected = [tuple(texts) for texts in case.get("examples", PLAIN[:2])]
    assert texts_of(path) == expected
    assert path.read_bytes() == data


@pytest.mark.parametrize(
    ("name", "made", "expected", "said"),
    [
        ("plain.csv", CSV, PLAIN, "No suggestions"),
        ("both.csv", TWO_ENCODINGS, [*PLAIN, ("Où est Ada?", "Là.")], "cp1252"),
        ("packed.jsonl.gz", gzip.compress(JSONL.encode(), mtime=0), PLAIN, "is compressed"),
        ("packed.csv.gz", gzip.compress(CSV.encode(), mtime=0), PLAIN, "is compressed"),
        ("packed.zip", zipped(("a/train.jsonl", JSONL)), PLAIN, "inside, train.jsonl"),
        ("book.xlsx", workbook(SHEET), PLAIN, "xlsx, 12 rows"),
        ("book.csv", workbook(SHEET), PLAIN, "the file is xlsx"),
        ("title.xlsx", workbook(TITLED), PLAIN, "above the header"),
        ("total.xlsx", workbook([*SHEET, ["Total", 12]]), PLAIN, "with a total"),
        ("errors.xlsx", workbook(FAILED), PLAIN, "error\n   where:  rows 14, 15"),
        (
            "merged.xlsx",
            workbook(MERGED, lambda book: book.active.merge_cells("A2:A3")),
            MERGED_TEXTS,
            "Merged cells",
        ),
        (
            "sheets.xlsx",
            workbook(SHEET, lambda book: book.create_sheet("other")),
            PLAIN,
            "'Sheet' of 2",
        ),
    ],
)
def test_file_becomes_these_examples(
    name: str, made: Made, expected: list[Any], said: str, tmp_path: Path
) -> None:
    path = save(tmp_path, name, made)
    before = path.read_bytes()
    done = run(path, "--yes")
    assert done.exit_code == 0, done.output + done.stderr
    assert "Ready. Next: heroes jobs create -t " in done.output
    assert said in done.output
    assert texts_of(path) == expected
    assert path.read_bytes() == before


REFUSED: list[tuple[str, Made, str]] = [
    *((case["file"], case["text"], case["said"]) for case in CASES["refused"]),
    ("old.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Excel file"),
    ("two.zip", zipped(("a.csv", CSV), ("b.csv", CSV)), "holds 2 files"),
    ("cut.gz", gzip.compress(JSONL.encode(), mtime=0)[:40], "cannot be read"),
    ("broken.xlsx", b"PK\3\4xl/", "cannot be read"),
    ("formula.xlsx", workbook([*SHEET, ["Who?", "=1+1"]]), "cell B14: 1 formula without"),
    (
        "long.csv",
        csv_of(PAIRS.assign(completion=PAIRS["completion"] * 400)),
        "(row 2) The example has ",
    ),
    ("few.csv", HEADER + "".join(ROWS[:9]), "few_prepared.jsonl is not ready: "),
]


@pytest.mark.parametrize(("name", "made", "said"), REFUSED, ids=[name for name, _, _ in REFUSED])
def test_file_is_refused_in_one_line(name: str, made: Made, said: str, tmp_path: Path) -> None:
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
        (
            [("Who is " + n, f"{n} flies.") for n in NAMES],
            ("Who is Ada ->", " Ada flies. END"),
            "->",
        ),
        ([(f"Who?\n{n}", n) for n in NAMES], ("Who?\nAda\n\n###\n\n", " Ada END"), "###"),
        ([(f"{n} =>", f" {n} [END]") for n in NAMES], ("Ada =>", " Ada [END]"), "No suggestions"),
        ([(f"Please describe {n}", n) for n in NAMES], ("Ada ->", " Ada END"), '"Please desc'),
        (
            [(n, f"{n} SHOUTS AT THE WHOLE TOWN") for n in NAMES],
            ("Ada ->", " ada shouts at the whole town END"),
            "in lower case",
        ),
        (
            [(f"{n} {m}", m) for n in NAMES for m in ("NATO", "UNO")],
            ("Ada NATO ->", " NATO"),
            "choose one",
        ),
    ],
    ids=["marks", "lines", "own marks", "beginning", "capitals", "classes"],
)
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


def test_a_folder_that_takes_no_file_is_told_before_any_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path, "a.csv", CSV + ROWS[0])
    below_a_file = run(path, "--yes", "-o", str(path / "new.jsonl"))
    assert (below_a_file.exit_code, below_a_file.stdout) == (1, "")
    assert "a.csv is not a folder. Choose another with --output." in below_a_file.stderr
    monkeypatch.setattr(os, "access", lambda folder, mode: mode != os.W_OK)
    read_only = run(path, "--yes")
    assert (read_only.exit_code, read_only.stdout) == (1, "")
    assert f"the folder {tmp_path} is read-only" in read_only.stderr
    assert run(path, "--yes", "--dry-run").exit_code == 0


def test_a_file_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("heroes.prepare.write.write_jsonl", full)
    done = run(save(tmp_path, "a.csv", CSV), "--yes")
    assert "a_prepared.jsonl can't be written (No space left on device)." in done.stderr


def test_all_texts_are_used_and_all_used_texts_exist() -> None:
    code = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "heroes/prepare").glob("*.py")
    )
    ways = {"errors": r'InputError\(\s*"(\w+)"', "notes": r'\bnote\(\s*"(\w+)"'}
    for table, way in ways.items():
        used = set(re.findall(way, code)) | ({"missing", "control"} if table == "notes" else set())
        assert used == set(TEXTS[table])
    offered = {*ROW_RULES, *CHATS, *CHATS_TO_PAIRS, *STYLE["chat"], *STYLE["completions"]}
    alone = {"encoding", "rename", "cut_off", "records", "column"}
    assert offered | alone == set(TEXTS["rules"])


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


@pytest.mark.slow
def test_many_rows(tmp_path: Path) -> None:
    rows = "".join(f'"Who is number {n}?",Number {n} flies over the town.\n' for n in range(5_000))
    done = run(save(tmp_path, "a.csv", HEADER + rows), "--yes", "--format", "completions")
    assert "5,000 examples, completion format" in done.output


# On a terminal ------------------------------------------------------------------------------


COMMAND = "import typer; from heroes.prepare.command import prepare; typer.run(prepare)"


def talk(path: Path, answers: list[str]) -> tuple[int, str]:
    """Run the command on a terminal of its own and type an answer to each question."""
    pty = pytest.importorskip("pty", reason="Windows has no such terminals")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(path)],
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "dumb"},
    )
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
    return process.wait(300), seen


def _press_ctrl_c(process: subprocess.Popen[bytes]) -> None:
    """Again after a while, because a signal between the question and its reading gets lost."""
    for _ in range(12):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
            return
    process.kill()


@pytest.mark.parametrize(
    ("answers", "code", "rows"),
    [
        (["", "n", "y"], 0, 13),  # the column goes, the double stays, the empty row goes
        (["what?", "a", "y"], 0, 12),  # "all" does not decide about a column of texts
        (["n"], 1, None),
        (["q"], 1, None),
        (["^C"], 130, None),
    ],
)
@pytest.mark.slow
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
