from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.env_file import clean_value, read_env_file, value_problem

KEY = "sk-sandbox-" + "a1B2" * 10


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_any_editors_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / ".env"
    path.write_bytes(f"# für später\r\nOPENAI_API_KEY={KEY}\r\n".encode(encoding))
    assert read_env_file(path) == {"OPENAI_API_KEY": KEY}


@pytest.mark.parametrize(
    "line",
    [
        f"OPENAI_API_KEY={KEY}",
        f"export OPENAI_API_KEY = {KEY}  ",
        f'OPENAI_API_KEY="{KEY}"',
        f"OPENAI_API_KEY='{KEY}'",
        f'OPENAI_API_KEY=" {KEY}\n"',
        f"OPENAI_API_KEY=\u200b{KEY}\u00a0",
        f"OPENAI_API_KEY='\"{KEY}\"'",
    ],
)
def test_what_pasting_adds_is_taken_off(tmp_path: Path, line: str) -> None:
    path = tmp_path / ".env"
    path.write_text(line, encoding="utf-8")
    assert clean_value(read_env_file(path)["OPENAI_API_KEY"]) == KEY


def test_no_file_is_no_variables(tmp_path: Path) -> None:
    assert read_env_file(tmp_path / ".env") == {}


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
def test_what_cannot_be_repaired_is_named(value: str, words: str) -> None:
    problem = value_problem(value)
    assert problem is not None
    assert words in problem[0]
    assert problem[1].endswith(".")


def test_a_good_key_has_no_problem() -> None:
    assert value_problem(KEY) is None


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_can_be_read(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("env") / ".env"
    path.write_bytes(data)
    for value in read_env_file(path).values():
        value_problem(clean_value(value))
