"""`heroes complete`, `heroes chat`, `heroes generate`: a real sandbox, and stand-ins for others."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.support.heroes_command import Heroes, Terminal, heroes, interrupt
from tests.support.live_sandbox import live_model, live_sandbox
from tests.support.provider import Answer, Provider, completion, error

__all__ = ["heroes", "live_model", "live_sandbox"]

CHAT_ONLY = "This is a chat model and not supported in the v1/completions endpoint. " + (
    "Did you mean to use v1/chat/completions?"
)


def hosted(heroes: Heroes, provider: Provider, *words: str) -> tuple[int, str, str]:
    """`heroes` with the stand-in as its provider: exit code, stdout, stderr."""
    done = heroes(
        *words,
        "--yes",
        OPENAI_BASE_URL=provider.url,
        OPENAI_API_KEY="a-key-of-the-tests",
        HEROES_GENERATOR_MODEL="their-model",
    )
    assert "a-key-of-the-tests" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("command", [("chat", "Who are you?"), ("complete", "-p", "Meet")])
def test_what_is_streamed_is_what_a_whole_answer_says(
    heroes: Heroes, live_model: str, command: tuple[str, ...]
) -> None:
    words = (*command, "-m", live_model, "--seed", "3", "--max-tokens", "20")
    said = heroes(*words)
    assert said.returncode == 0, said.stderr
    choice = heroes.json(*words)["choices"][0]
    text = choice["message"]["content"] if "message" in choice else choice["text"]
    assert said.stdout == text + "\n"
    assert ("--max-tokens" in said.stderr) == (choice["finish_reason"] == "length")
    assert heroes(*words[:-1], "1").stderr.startswith("(cut off: --max-tokens")


def test_a_prompt_may_come_through_a_pipe(heroes: Heroes) -> None:
    options = ("--seed", "1", "--max-tokens", "10")
    direct = heroes("chat", "Who are you?", *options).stdout
    assert direct.strip()
    assert heroes("chat", *options, input="Who are you?\n").stdout == direct
    direct = heroes("complete", "-p", "Meet Olga,", *options).stdout
    assert heroes("complete", "-p", "-", *options, input="Meet Olga,\n").stdout == direct
    for nothing in (heroes("chat"), heroes("complete", "-p", "-")):
        assert (nothing.returncode, nothing.stderr.count("\n")) == (1, 1)


def test_stop_system_and_temperature_reach_the_model(heroes: Heroes) -> None:
    words = ("complete", "-p", "Meet Olga,", "--temperature", "0", "--max-tokens", "40")
    whole = heroes(*words).stdout.rstrip("\n")
    word = whole.split()[3]
    assert heroes(*words, "--stop", word).stdout.rstrip("\n") == whole[: whole.index(word)]
    with Provider(lambda number, body: (200, {}, completion())) as provider:
        code, _, _ = hosted(heroes, provider, "chat", "hi", "-s", "Be kind.", "--json")
    assert code == 0
    roles = [message["role"] for message in provider.calls[0]["messages"]]
    assert roles == ["system", "user"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, error(None, CHAT_ONLY)),
        (404, {"detail": "Not Found"}),
        (405, {"detail": "Method Not Allowed"}),
        (501, error(None, "not implemented")),
    ],
)
def test_a_model_that_only_chats_is_asked_in_a_chat(
    heroes: Heroes, status: int, body: dict[str, object]
) -> None:
    def script(number: int, request: dict[str, object]) -> Answer:
        return (200, {}, completion("Hello.")) if "messages" in request else (status, {}, body)

    with Provider(script) as provider:
        code, out, err = hosted(heroes, provider, "complete", "-p", "Say hello", "--json")
    assert code == 0
    assert json.loads(out)["choices"][0]["message"]["content"] == "Hello."
    assert "their-model does not complete texts here, so it is asked in a chat." in err


@pytest.mark.parametrize(
    ("status", "code", "headers", "message", "told"),
    [
        (401, "invalid_api_key", {}, "Incorrect key: a-key-of-the-tests", "`heroes doctor`"),
        (403, "training_not_available", {}, "OpenAI is winding down", "Delete OPENAI_API_KEY"),
        (403, None, {}, "Project has no access", "Ask whoever gave you the key"),
        (404, "model_not_found", {}, "The model `x` has been deprecated", "`heroes models list`"),
        (429, "insufficient_quota", {}, "You exceeded your quota", "billing page"),
        (429, "rate_limit_exceeded", {"retry-after": "7"}, "Rate limit reached", "wait 7 s"),
        (400, None, {}, "Unsupported parameter:\n'temperature'", "Refused (400): Unsupported"),
        (500, None, {}, "The server had an error", "again in a minute"),
        (418, None, {}, "I am a teapot \x1b[31m", "Refused (418): I am a teapot"),
    ],
)
def test_every_failure_is_one_line_with_a_remedy(
    heroes: Heroes, status: int, code: str | None, headers: dict[str, str], message: str, told: str
) -> None:
    answer = (status, {"x-should-retry": "false", **headers}, error(code, message))
    with Provider(lambda number, body: answer) as provider:
        exit_code, out, err = hosted(heroes, provider, "chat", "hi")
    assert (exit_code, out) == (1, "")
    estimate, *others = err.splitlines()
    assert "price not known (an estimate)" in estimate
    assert len(others) == 1
    assert others[0].startswith("heroes: ")
    assert told in others[0]
    assert "\x1b" not in err


def test_an_answer_that_breaks_off(heroes: Heroes) -> None:
    assert heroes("fault", "broken_stream", "chunks=3").returncode == 0
    broken = heroes("chat", "Who are you?")
    assert broken.returncode == 1
    assert broken.stdout.endswith("\n")
    assert len(broken.stdout) > 1
    assert broken.stderr == (
        "heroes: The answer broke off in the middle. Try the same command again.\n"
    )


def test_a_platform_that_trains_no_more(heroes: Heroes) -> None:
    uploaded = heroes("files", "upload", "data/train.jsonl").stdout.strip()
    heroes("fault", "training_not_available")
    refused = heroes("jobs", "create", "-t", uploaded)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "Delete OPENAI_API_KEY from .env to use the sandbox" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_an_answer_without_words_is_no_success(heroes: Heroes) -> None:
    """A server that knows no streams answers with one piece of JSON."""
    with Provider(lambda number, body: (200, {}, completion())) as provider:
        code, out, err = hosted(heroes, provider, "chat", "hi")
    assert (code, out) == (1, "")
    assert "--json" in err.splitlines()[-1]


def test_a_file_that_is_no_text_is_one_line(heroes: Heroes, tmp_path: Path) -> None:
    picture = tmp_path / "picture.jsonl"
    picture.write_bytes(b"\x89PNG\xff\xfe")
    for words in (["cost", str(picture)], ["files", "upload", str(picture)]):
        refused = heroes(*words)
        assert refused.returncode == 1
        assert refused.stderr.splitlines()[-1].startswith("heroes: ")
        assert "Traceback" not in refused.stderr


def test_nobody_there_is_one_line(heroes: Heroes) -> None:
    with Provider(lambda number, body: (200, {}, {})) as provider:
        pass  # it is gone now
    code, out, err = hosted(heroes, provider, "chat", "hi")
    assert (code, out) == (1, "")
    assert "OPENAI_BASE_URL" in err.splitlines()[-1]
    assert err.count("\n") == 2  # the estimate, and the error


def test_a_page_that_is_no_api_is_one_line(heroes: Heroes) -> None:
    """An address without its /v1 often leads to a web page."""
    page = (200, {"content-type": "text/html"}, "<html>Welcome!</html>")
    for words in (["chat", "hi"], ["chat", "hi", "--json"]):
        with Provider(lambda number, body: page) as provider:
            code, out, err = hosted(heroes, provider, *words)
        assert (code, out) == (1, "")
        assert err.splitlines()[-1].startswith("heroes: 127.0.0.1 answers with a web page")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_conversation_on_a_terminal(heroes: Heroes) -> None:
    with Terminal(heroes, "chat", "--seed", "1", "--max-tokens", "30") as terminal:
        assert "Ctrl-D ends it" in terminal.read_until("you> ")
        terminal.write("Who are you?\n")
        first = terminal.read_until("you> ")
        assert len(first) > 20
        heroes("fault", "slow_stream", "seconds=0.5")
        terminal.write("Tell me about flight\n")
        terminal.read_until("\r\n")  # the terminal's echo of the question
        terminal.read_until(" ")  # it has begun
        terminal.write("\x03")
        assert "(stopped)" in terminal.read_until("you> ")
        terminal.write("\x04")
        assert terminal.wait() == 0


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_ctrl_c_at_the_question_ends_the_conversation(heroes: Heroes) -> None:
    with Terminal(heroes, "chat") as terminal:
        terminal.read_until("you> ")
        terminal.write("\x03")
        assert "Interrupted." in terminal.read_all()
        assert terminal.wait() == 130


def rows_in(ledger: Path) -> int:
    return ledger.read_text(encoding="utf-8").count("\n") if ledger.exists() else 0


@pytest.mark.parametrize("ending", ["interrupted", "killed"])
def test_generate_goes_on_where_it_was_stopped(heroes: Heroes, tmp_path: Path, ending: str) -> None:
    table, ledger = tmp_path / "own.csv", tmp_path / "own.rows.jsonl"
    words = ["generate", "--power", "flight", "--power", "telepathy", "-o", str(table)]
    running = heroes.start(*words, "--at-once", "1")
    while rows_in(ledger) < 3:
        assert running.poll() is None
        time.sleep(0.02)
    if ending == "killed":
        running.kill()
        running.communicate()
    else:
        code, _, err = interrupt(running)
        assert code == 130
        assert err.endswith(
            "Stopped. The finished rows are safe beside own.csv; the same command goes on.\n"
        )
        assert "Traceback" not in err
    safe = rows_in(ledger)
    assert 3 <= safe < 84
    assert not table.exists()
    kept = ledger.read_text(encoding="utf-8").splitlines()[:safe]
    done = heroes(*words)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{table}\n"
    assert f"{84 - safe} of them new" in done.stderr
    assert ledger.read_text(encoding="utf-8").splitlines()[:safe] == kept
    frame = pd.read_csv(table)
    assert len(frame) == 84
    assert set(frame["power"]) == {"flight", "telepathy"}
    assert heroes.json(*words) == {"path": str(table), "rows": 84}


def test_generate_writes_where_the_notebooks_look(heroes: Heroes, tmp_path: Path) -> None:
    done = heroes("generate", "--exam", "--max-tokens", "3", "--temperature", "0")
    assert done.returncode == 0, done.stderr
    frame = pd.read_csv(tmp_path / "my" / "validation.csv")
    assert len(frame) == 42
    assert "flight" not in set(frame["power"])


def test_cost_of_a_file(heroes: Heroes) -> None:
    known = heroes("cost", "data/train.jsonl")
    assert known.returncode == 0
    assert "gpt-4.1-mini" in known.stdout
    assert "davinci" not in known.stdout  # nobody can train it any more
    one = heroes.json("cost", "data/train.jsonl", "-m", "superhero-mini", "--epochs", "2")
    assert (len(one), one[0]["usd"]) == (1, 0)
