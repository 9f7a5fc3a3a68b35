"""The machine check, and the first aid for `.env` that is part of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from course import doctor
from course.doctor import Result, examine
from course.env_file import check_env_file, value_problem

KEY = "sk-sandbox-" + "a1B2" * 10


@pytest.fixture(autouse=True)
def clean_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "HEROES_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HEROES_ENV_FILE", str(tmp_path / ".env"))
    monkeypatch.setenv("HEROES_MY", str(tmp_path / "my"))
    monkeypatch.setenv("HEROES_SANDBOX_STATE", str(tmp_path / "state"))


def only(check: Callable[[], Iterator[Result]]) -> Result:
    results = list(check())
    assert len(results) == 1
    assert results[0].level == "ok" or results[0].remedy
    return results[0]


@pytest.mark.parametrize(
    "check",
    [
        doctor.check_names,
        doctor.check_proxy,
        doctor.check_loopback,
        doctor.check_env,
        pytest.param(doctor.check_torch, marks=pytest.mark.slow),
    ],
)
def test_this_machine_passes(check: Callable[[], Iterator[Result]]) -> None:
    assert only(check).level == "ok"


def test_both_folders_are_tried(tmp_path: Path) -> None:
    assert [result.level for result in doctor.check_writing()] == ["ok", "ok"]
    assert [entry.name for entry in sorted(tmp_path.iterdir())] == ["my", "state"]
    if os.name == "posix":
        assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "my").write_text("a file is in the way")
    results = list(doctor.check_writing())
    assert [result.level for result in results] == ["fail", "ok"]
    assert "name another folder" in results[0].remedy


def test_packages_are_compared_with_the_tested_versions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    (tmp_path / "requirements.txt").write_text("# c\n\nopenai>=3  # the SDK\nno-such-thing\n")
    (tmp_path / "constraints.txt").write_text("openai==0.1\n")
    missing = only(doctor.check_packages)
    assert (missing.level, missing.found) == ("fail", "missing: no-such-thing")
    (tmp_path / "requirements.txt").write_text("openai>=3\n")
    different = only(doctor.check_packages)
    assert different.level == "warn"
    assert "(tested: 0.1)" in different.found
    (tmp_path / "constraints.txt").write_text("")
    assert only(doctor.check_packages).level == "ok"


@pytest.mark.parametrize(
    ("place", "name"),
    [(".", "openai.py"), ("notebooks", "pandas.py"), ("elsewhere", "random.py")],
)
def test_a_file_that_hides_a_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, name: str
) -> None:
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    for folder in ("notebooks", "elsewhere"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / place / "my_hero.py").touch()
    assert only(doctor.check_names).level == "ok"
    (tmp_path / place / name).touch()
    found = only(doctor.check_names)
    assert found.level == "warn"
    assert found.found.endswith(f"{name} hides the package {name.removesuffix('.py')}")


@pytest.mark.parametrize("variable", ["ALL_PROXY", "https_proxy"])
@pytest.mark.parametrize(
    ("url", "socksio", "says"),
    [
        ("socks5://user:secret@127.0.0.1:9", False, "the package socksio is missing"),
        ("socks5://user:secret@127.0.0.1:9", True, "_proxy is set"),
        ("http://user:secret@127.0.0.1:9", False, "_proxy is set"),
    ],
)
def test_a_proxy_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, url: str, socksio: bool, says: str
) -> None:
    assert only(doctor.check_proxy).level == "ok"
    monkeypatch.setenv("NO_PROXY", "localhost")
    assert only(doctor.check_proxy).level == "ok"
    monkeypatch.setattr(doctor, "find_spec", lambda name: socksio or None)
    monkeypatch.setenv(variable, url)
    found = only(doctor.check_proxy)
    assert found.level == "warn"
    assert says in found.found
    assert variable.lower() in found.found
    assert "secret" not in found.found + found.remedy


def test_another_python_than_the_projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    assert only(doctor.check_python).level == "ok"  # installed in another way
    (tmp_path / ".venv").mkdir()
    found = only(doctor.check_python)
    assert found.level == "warn"
    assert "choose the kernel" in found.remedy
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    assert only(doctor.check_python).level == "ok"


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = []
    for free in (10, 1, 0.1):
        usage = (100, 0, int(free * doctor.GIB))
        monkeypatch.setattr(
            doctor.shutil, "disk_usage", lambda path, u=usage: type("U", (), {"free": u[2]})
        )
        levels.append(only(doctor.check_disk).level)
    assert levels == ["ok", "warn", "fail"]


def test_a_blocked_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> socket.socket:
        raise PermissionError("blocked")

    monkeypatch.setattr(doctor.socket, "create_connection", refuse)
    assert only(doctor.check_loopback).level == "fail"


@pytest.mark.slow
def test_a_torch_that_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.sys, "executable", str(Path(os.devnull)))
    results = [result for result in examine() if result.what == "torch"]
    assert [result.level for result in results] == ["fail"]


def test_a_slow_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object, **__: object) -> None:
        raise subprocess.TimeoutExpired("python", 1)

    monkeypatch.setattr(doctor.subprocess, "run", slow)
    assert "not loaded after" in only(doctor.check_torch).found


def test_env_findings_become_lines(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY=\nOPENAI_BASE_URL=\n")
    assert [result.level for result in doctor.check_env()] == ["warn", "warn"]


def test_a_key_in_the_environment_that_cannot_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", " sk—proj ")
    found = only(doctor.check_env)
    assert (found.level, found.found) == (
        "fail",
        "OPENAI_API_KEY in your system's environment: the key contains a long dash.",
    )


def test_a_hosted_endpoint_is_not_called(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY=sk-proj-x\n")
    assert only(doctor.check_endpoint).found == "openai, gpt-6-luna"
    (tmp_path / ".env").write_text("OPENAI_BASE_URL=https://example.org/v1\n")
    assert only(doctor.check_endpoint).level == "fail"


def test_a_shared_sandbox_is_asked(tmp_path: Path) -> None:
    shared = "OPENAI_API_KEY=sk-sandbox-x\nOPENAI_BASE_URL=http://127.0.0.1:9/v1\n"
    (tmp_path / ".env").write_text(shared)
    result = only(doctor.check_endpoint)
    assert (result.level, result.remedy) == ("fail", "Correct .env, or look at the log.")
    assert result.found == "No sandbox answers at http://127.0.0.1:9/v1/. Is it running?"


def test_a_check_that_breaks_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def check_broken() -> Iterator[Result]:
        raise RuntimeError("oh")
        yield

    def check_fine() -> Iterator[Result]:
        yield Result("ok", "fine", "yes")

    monkeypatch.setattr(doctor, "CHECKS", (check_broken, check_fine))
    assert [(result.level, result.what) for result in examine()] == [
        ("fail", "broken"),
        ("ok", "fine"),
    ]


def findings(folder: Path, text: str | bytes, name: str = ".env") -> list[str]:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    found = check_env_file(folder / ".env")
    for finding in found:
        assert finding.remedy
        assert KEY not in str(finding)
    return [f"{finding.level} {finding.where}: {finding.problem}" for finding in found]


def test_a_good_file_and_no_file_are_fine(tmp_path: Path) -> None:
    assert check_env_file(tmp_path / ".env") == []
    text = f"# mine\n\nOPENAI_API_KEY={KEY}\nOPENAI_BASE_URL=https://example.org/v1\nEDITOR=vi\n"
    assert findings(tmp_path, text) == []


def test_the_shipped_example_is_fine_as_it_is(tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / ".env.example"
    assert findings(tmp_path, example.read_bytes()) == []
    uncommented = example.read_text().replace("# OPENAI", "OPENAI").replace("# HEROES", "HEROES")
    assert "HEROES_EMBEDDING_MODEL" in uncommented
    assert [line.split(": ")[1] for line in findings(tmp_path, uncommented)] == [
        "the key is still the example text."
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"# a\n\nOPENAI_API_KEY=“{KEY}”\n", "fail .env, line 3: the key is in curly quotes."),
        (f"OPENAI_API_KEY={KEY}—x", "fail .env, line 1: the key contains a long dash."),
        (f"OPENAI_API_KEY={KEY[:9]} {KEY[9:]}", "there is a blank or a line break inside the key."),
        (f"OPENAI_API_KEY='{KEY}'x\n", "fail .env, line 1: cannot be read."),
        (f'OPENAI_API_KEY=" {KEY}"', "warn .env, line 1: the key has blanks or quotes around it"),
        ("OPENAI_API_KEY=\n", "warn .env, line 1: the key is blank"),
        ("OPENAI_API_KEY\n", "fail .env, line 1: has no equals sign."),
        ("OPENAI_API_KEY=your-api-key", "fail .env, line 1: the key is still the example text."),
        (f"OPEN_AI_KEY={KEY}", "fail .env, line 1: OPEN_AI_KEY is not read by anything."),
        (f"OPENAI_APIKEY={KEY}", "fail .env, line 1: OPENAI_APIKEY is not read by anything."),
        (f"openai_api_key={KEY}", "fail .env, line 1: openai_api_key is not read by anything."),
        (f"OPNAI_API_KEY={KEY}", "fail .env, line 1: OPNAI_API_KEY is not read by anything."),
        (
            "HEROES_EMBEDING_MODEL=x",
            "fail .env, line 1: HEROES_EMBEDING_MODEL is not read by anything.",
        ),
        ("HEROES_BASE_MODLE=x", "fail .env, line 1: HEROES_BASE_MODLE is not read by anything."),
        ("OPENAI_BASE_URL=\n", "warn .env, line 1: OPENAI_BASE_URL is there but blank"),
        ("OPENAI_BASE_URL=example.org/v1", "the address does not begin with https://."),
        ("OPENAI_BASE_URL=https://e.org/v1/chat/completions", "the address goes too far."),
        (f"OPENAI_API_KEY={KEY}\nOPENAI_API_KEY=", "OPENAI_API_KEY is there more than once"),
        (b"\xef\xbb\xbfOPENAI_API_KEY=" + KEY.encode(), "begins with an invisible mark (a BOM)."),
        (f"OPENAI_API_KEY={KEY}".encode("utf-16"), "is saved as UTF-16"),
    ],
)
def test_every_mistake_has_its_words(tmp_path: Path, text: str | bytes, expected: str) -> None:
    assert any(expected in found for found in findings(tmp_path, text))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("sk—sandbox", "long dash"),
        ("“sk-sandbox”", "curly quotes"),
        ('sk-sandbox"', "stray quote"),
        ("sk-sandbox\\n", "newline"),
        ("Bearer sk-sandbox", "Bearer"),
        ("sk-sand box", "blank"),
        ("sk-sändbox", "plain letter"),
    ],
)
def test_what_cannot_be_repaired_in_a_key_is_named(value: str, words: str) -> None:
    problem, remedy = value_problem(value) or ("", "")
    assert words in problem
    assert remedy.endswith(".")
    assert value_problem(KEY) is None


@pytest.mark.parametrize("name", [".env.txt", "env.txt", "env"])
def test_a_file_with_the_wrong_name(tmp_path: Path, name: str) -> None:
    assert findings(tmp_path, f"OPENAI_API_KEY={KEY}", name) == [
        f"fail {name}: is not read: the file must be called .env, with nothing behind it."
    ]


def test_a_folder_called_env(tmp_path: Path) -> None:
    (tmp_path / ".env").mkdir()
    assert [finding.problem for finding in check_env_file(tmp_path / ".env")] == ["is a folder."]


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-another")
    assert findings(tmp_path, f"OPENAI_API_KEY={KEY}") == [
        "warn .env: OPENAI_API_KEY is also set in your system's environment, and that one wins."
    ]
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert findings(tmp_path, f"OPENAI_API_KEY={KEY}") == []


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, timeout=300)


def test_a_key_in_git(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    text = f"OPENAI_API_KEY={KEY}\n"
    assert findings(tmp_path, text) == ["warn .env: is not ignored by git."]
    (tmp_path / ".gitignore").write_text(".env\n")
    assert findings(tmp_path, text) == []
    (tmp_path / "notebook.ipynb").write_text(f'client = OpenAI(api_key="{KEY}")')
    assert findings(tmp_path, text) == []
    git(tmp_path, "add", "notebook.ipynb")
    assert findings(tmp_path, text) == [
        "fail notebook.ipynb: contains your key, and git tracks it."
    ]
    git(tmp_path, "rm", "-q", "--cached", "notebook.ipynb")
    git(tmp_path, "add", "-f", ".env")
    assert findings(tmp_path, text)[0] == "fail .env: is tracked by git."
    git(tmp_path, "commit", "-q", "-m", "oops")
    git(tmp_path, "rm", "-q", "--cached", ".env")
    assert "fail .env: was committed to git once." in findings(tmp_path, text)
