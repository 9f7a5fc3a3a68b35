"""`heroes prepare` as a person types it: a process of its own, in a pipe and on a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.check_file import check_file
from helpers.data import DATA
from helpers.jsonl import read_jsonl
from sandbox.engine.examples import parse_line
from tests.support.heroes_command import Heroes, environment

ROOT = Path(__file__).resolve().parents[2]
ROWS = 100_000


@pytest.fixture
def heroes(tmp_path: Path) -> Heroes:
    return Heroes(environment(tmp_path, COLUMNS="200"))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Twelve heroes, one of them twice and one without a description."""
    lines = [f'"{20 + n}, woman, flight",Hero {n} flies.' for n in range(12)]
    text = "\n".join(["Prompt,Completion", *lines, lines[3], '"50, man, flight",']) + "\n"
    path = tmp_path / "my heroes.csv"
    path.write_text(text, encoding="utf-8")
    return path


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.stderr.startswith("heroes: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_from_a_table_to_a_checked_file(heroes: Heroes, table: Path) -> None:
    before = table.read_bytes()
    done = heroes("prepare", str(table), "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert "my heroes.csv: csv, utf-8, 14 rows, 2 columns" in done.stdout
    assert "Necessary: Rename the columns: Prompt → prompt" in done.stdout
    assert "Necessary: Leave out 1 row without a completion\n   where:  line 15" in done.stdout
    assert "Recommended: Leave out 1 row seen before" in done.stdout
    made = table.with_name("my heroes_prepared.jsonl")
    assert f"heroes jobs create -t '{made}' --suffix my-model" in done.stdout
    assert check_file(made).counts.keys() == {"few"}
    assert read_jsonl(made)[0] == {
        "messages": [
            {"role": "user", "content": "20, woman, flight"},
            {"role": "assistant", "content": "0 flies."},
        ]
    }
    assert table.read_bytes() == before


def test_pairs_and_a_split(heroes: Heroes) -> None:
    source = Path(heroes.environment["HEROES_MY"]).parent / "superheroes.csv"
    source.write_bytes((DATA / "superheroes.csv").read_bytes())
    words = ["--format", "completions", "--split", "0.2", "--group-by", "power", "--yes"]
    done = heroes("prepare", str(source), *words)
    assert done.returncode == 0, done.stderr
    assert "Split by power (7 groups): " in done.stdout
    assert "Later, end every question with ' ->'." in done.stdout
    assert "Later, ask with stop=[' END']." in done.stdout
    train, valid = (source.with_name(f"superheroes_prepared_{x}.jsonl") for x in ("train", "valid"))
    assert f"-t {train} -v {valid}" in done.stdout
    powers = [{row["prompt"].split(", ")[2] for row in read_jsonl(p)} for p in (train, valid)]
    assert (len(powers[0]), len(powers[1]), powers[0] & powers[1]) == (6, 1, set())


def test_the_sandbox_takes_what_was_prepared(heroes: Heroes, table: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("".join(f"Text {n}.\n" for n in range(12)), encoding="utf-8")
    for path in (table, texts):
        for form in ("chat", "completions"):
            made = tmp_path / f"{path.stem}_{form}.jsonl"
            options = ["--yes", "--format", form, "-o", str(made)]
            assert heroes("prepare", str(path), *options).returncode == 0
            kinds = {parse_line(line)[0] for line in made.read_bytes().splitlines()}
            assert kinds == {form.removesuffix("s")}


def test_a_dry_run_writes_nothing(heroes: Heroes, table: Path) -> None:
    there = set(table.parent.iterdir())
    done = heroes("prepare", str(table), "--dry-run")
    assert done.returncode == 0
    assert "12 rows would be written" in done.stdout
    assert "Leave out 1 row" in done.stdout
    assert set(table.parent.iterdir()) == there


def test_with_nobody_to_ask_it_says_what_to_do(heroes: Heroes, table: Path) -> None:
    there = set(table.parent.iterdir())
    done = heroes("prepare", str(table), input="y\ny\ny\n")
    assert done.returncode == 2
    assert "--yes" in one_line(done)
    assert "--dry-run" in done.stderr
    assert "Leave out 1 row" in done.stdout
    assert set(table.parent.iterdir()) == there


def test_a_prepared_file_needs_nobody(heroes: Heroes, table: Path) -> None:
    heroes("prepare", str(table), "--yes")
    made = table.with_name("my heroes_prepared.jsonl")
    again = heroes("prepare", str(made))
    assert again.returncode == 0
    assert "No suggestions" in again.stdout
    assert "Nothing to write: the file is as it should be." in again.stdout
    assert not table.with_name("my heroes_prepared_prepared.jsonl").exists()


def test_the_report_for_scripts(heroes: Heroes, table: Path) -> None:
    report = heroes.json("prepare", str(table), "--yes", "--split", "2", "--format", "completions")
    assert report["analysis"]["rows"] == 14
    kinds = [suggestion["kind"] for suggestion in report["suggestions"]]
    assert kinds[:3] == ["rename", "empty_completion", "duplicate"]
    empty = report["suggestions"][1]
    assert (empty["level"], empty["rows"], empty["places"]) == ("necessary", 1, [15])
    assert empty["accepted"] is True
    assert report["split"]["valid"] == 2
    assert (report["separator"], report["stop"]) == (" ->", " END")
    assert [Path(each["path"]).name for each in report["written"]] == [
        "my heroes_prepared_train.jsonl",
        "my heroes_prepared_valid.jsonl",
    ]
    assert report["next"].startswith("heroes jobs create -t ")
    dry = heroes.json("prepare", str(table), "--dry-run")
    assert (dry["dry_run"], dry["written"], dry["next"]) == (True, [], None)


def test_json_without_yes_prints_no_half_report(heroes: Heroes, table: Path) -> None:
    done = heroes("prepare", str(table), "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert "With --json nobody is asked. Add --yes" in one_line(done)


def test_what_was_left_out_must_be_left_out_later(heroes: Heroes, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = [f"Please describe number {n},Text {n} of {n}\n" for n in range(12)]
    path.write_text("prompt,completion\n" + "".join(rows), encoding="utf-8")
    done = heroes("prepare", str(path), "--yes")
    assert done.returncode == 0
    assert 'Later, leave out "Please describe number " in your questions too.' in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--system", "Be brief.", "--format", "completions"], "--system belongs to chats"),
        (["--system", " "], "The --system message is empty"),
        (["--group-by", "power"], "--group-by is for splitting"),
        (["--split", "2.5"], "--split: '2.5' is neither a share"),
        (["--output", "a.csv"], "does not end with .jsonl"),
        (["--encoding", "klingon"], "There is no encoding 'klingon'"),
        (["--encoding", "base64"], "There is no encoding 'base64'"),
    ],
)
def test_wrong_use_is_exit_code_2(heroes: Heroes, table: Path, words: list[str], said: str) -> None:
    done = heroes("prepare", str(table), "--yes", *words)
    assert done.returncode == 2
    assert said in one_line(done)
    assert not list(table.parent.glob("*.jsonl"))


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.csv", b"name,power\nAna,flight\n", "a.csv, prompt: No column looks like a prompt"),
        ("a.jsonl", b'{"prompt": "a", "completion": "b"}\n{"prom', "a.jsonl, line 2: "),
        ("a.csv", b"prompt,completion\na,b,c\n", "a.csv, line 2: 3 values in the row"),
        ("a.csv", b"prompt,completion\na,\n", "a.csv: No row is left."),
        ("a.pdf", b"%PDF", "a.pdf: The name ends with '.pdf'"),
        ("a.csv", b"prompt,completion\na,\x81\n", "a.csv, line 2: The byte 0x81 is not UTF-8"),
        ("a.jsonl", b'{"prompt": {"x": 1}, "completion": "b"}', "line 1, prompt: Expected a text"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_1(
    heroes: Heroes, tmp_path: Path, name: str, data: bytes, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    done = heroes("prepare", str(path), "--yes")
    assert done.returncode == 1
    assert said in one_line(done)
    assert "Traceback" not in done.stdout + done.stderr


def test_too_few_examples_are_written_and_told(heroes: Heroes, tmp_path: Path) -> None:
    path = tmp_path / "few.csv"
    path.write_text("prompt,completion\na,b\nc,d\n", encoding="utf-8")
    done = heroes("prepare", str(path), "--yes")
    assert done.returncode == 1
    assert "few_prepared.jsonl: a job would refuse it. The file has 2 examples." in one_line(done)
    assert len(read_jsonl(tmp_path / "few_prepared.jsonl")) == 2
    assert "Next:" not in done.stdout


def test_a_folder_that_takes_no_files_is_one_line(heroes: Heroes, table: Path) -> None:
    # A file where the folder should be: nobody can write there, whoever runs the tests.
    done = heroes("prepare", str(table), "--yes", "-o", str(table / "made.jsonl"))
    assert done.returncode == 1
    one_line(done)


def test_control_characters_never_reach_the_terminal(heroes: Heroes, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("prompt,completion\n\x1b[31mred ,x\n\x1b[31mred ,x\n", encoding="utf-8")
    done = heroes("prepare", str(path), "--dry-run")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout


@pytest.mark.slow
def test_a_hundred_thousand_rows_take_seconds(heroes: Heroes, tmp_path: Path) -> None:
    path = tmp_path / "big.csv"
    rows = (f'"{n}, woman, flight",Hero {n} {"flies over the town " * 15}\n' for n in range(ROWS))
    path.write_text("prompt,completion\n" + "".join(rows), encoding="utf-8")
    started = time.process_time_ns()
    started_children = os.times().children_user
    report = heroes.json("prepare", str(path), "--yes", "--format", "completions", "--split", "0.1")
    seconds = os.times().children_user - started_children
    assert report["rows"] == ROWS
    assert [each["examples"] for each in report["written"]] == [90_000, 10_000]
    # About 4 seconds of a processor; a rule that looks at all pairs of rows would take hours.
    assert seconds < 40, time.process_time_ns() - started


Answers = Callable[[Path, list[str]], tuple[int, str]]


@pytest.fixture
def terminal(heroes: Heroes) -> Answers:
    """Runs `heroes prepare FILE` on a terminal, where somebody types these answers."""
    pty = pytest.importorskip("pty", reason="Windows has no such terminals")

    def run(path: Path, answers: list[str]) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "heroes", "prepare", str(path)],
            cwd=ROOT,
            env=heroes.environment | {"TERM": "dumb"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        seen = _talk(ours, answers)
        os.close(ours)
        return process.wait(60), seen

    return run


def _talk(terminal: int, answers: list[str]) -> str:
    """Give an answer at each question; all that was shown comes back."""
    seen, asked = "", 0
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the other side is gone
            data = b""
        if not data:
            return seen.replace("\r\n", "\n")
        seen += data.decode("utf-8", "replace")
        while seen.count("Do it?") > asked:
            answer: Any = answers[asked] if asked < len(answers) else "q"
            os.write(terminal, f"{answer}\n".encode())
            asked += 1


def test_each_suggestion_is_asked_about(terminal: Answers, table: Path) -> None:
    code, seen = terminal(table, ["", "y", "n", "n"])
    assert code == 0
    assert seen.count("Do it?") == 4
    made = read_jsonl(table.with_name("my heroes_prepared.jsonl"))
    assert len(made) == 13  # the double stays
    assert made[0]["messages"][1]["content"] == "Hero 0 flies."


def test_one_answer_for_all_the_rest(terminal: Answers, table: Path) -> None:
    code, seen = terminal(table, ["what?", "a"])
    assert (code, seen.count("Do it?")) == (0, 2)
    assert len(read_jsonl(table.with_name("my heroes_prepared.jsonl"))) == 12


@pytest.mark.parametrize("answers", [["q"], ["n"], ["y", "n"]])
def test_declining_what_is_necessary_writes_nothing(
    terminal: Answers, table: Path, answers: list[str]
) -> None:
    code, seen = terminal(table, answers)
    assert code == 1
    assert "Nothing was written" in seen
    assert json.dumps([path.name for path in table.parent.glob("*.jsonl")]) == "[]"
