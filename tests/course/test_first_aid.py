from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from course.env_file import check_env_file

KEY = "sk-sandbox-" + "a1B2" * 10


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


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
    assert [line.split(": ")[1] for line in findings(tmp_path, uncommented)] == [
        "the key is still the example text."
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"# a\n\nOPENAI_API_KEY=“{KEY}”\n", "fail .env, line 3: the key stands in curly quotes."),
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
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, timeout=30)


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
