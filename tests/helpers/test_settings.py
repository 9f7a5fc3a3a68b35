"""Settings and files: what `.env` and the environment say, and where files are kept."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from course.env_file import value_problem
from helpers import data
from helpers.data import find, my, replace_text
from helpers.settings import (
    ROOT,
    SettingsError,
    clean_value,
    env_path,
    fetched_model,
    load_settings,
    read_env_file,
    read_key,
    read_variable,
)
from sandbox import bases

KEY = "sk-sandbox-" + "a1B2" * 10
HOSTED_KEY = "sk-proj-abcdefgh"
OTHER = f"OPENAI_API_KEY={HOSTED_KEY}\nOPENAI_BASE_URL=http://x/v1\n"


@pytest.fixture(autouse=True)
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An `.env` of the test's own, and none of the developer's variables."""
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "HEROES_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HEROES_ENV_FILE", str(tmp_path / ".env"))
    fetched = tmp_path / "models" / "smollm2-135m-instruct" / "config.json"
    fetched.parent.mkdir(parents=True)
    fetched.touch()
    monkeypatch.setenv("SANDBOX_MODELS", str(tmp_path / "models"))
    return tmp_path / ".env"


def test_nothing_configured_is_the_sandbox() -> None:
    found = load_settings()
    assert (found.endpoint, found.provider, found.base_url) == ("sandbox", "sandbox", None)
    assert found.generator_model == "superhero-mini"
    assert found.base_model == "smollm2-135m-instruct"
    assert found.embedding_model == "all-minilm-l6-v2"
    assert (found.concurrency, found.seeds, found.chat_options) == (64, True, {})
    assert found.options_for("gpt-6-luna") == {}


def test_without_the_fetched_model_the_course_goes_on_with_mini(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SANDBOX_MODELS", str(tmp_path))
    assert load_settings().base_model == "superhero-mini"
    monkeypatch.setenv("HEROES_BASE_MODEL", "a-model-of-my-own")
    assert load_settings().base_model == "a-model-of-my-own"


def test_fetched_models_are_where_the_sandbox_keeps_them(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "smollm2-135m-instruct"
    assert fetched_model(name) == bases.NAMED[name].path
    assert fetched_model("all-minilm-l6-v2") is None
    monkeypatch.delenv("SANDBOX_MODELS")
    assert fetched_model(name) in (bases.NAMED[name].path, None)


def test_a_hosted_key_is_openai_and_not_in_the_settings(env_file: Path) -> None:
    env_file.write_text(f"OPENAI_API_KEY='{HOSTED_KEY}'\n")
    found = load_settings()
    assert (found.endpoint, found.provider) == ("hosted", "openai")
    assert found.base_url == "https://api.openai.com/v1"
    assert (found.generator_model, found.base_model) == ("gpt-6-luna", "gpt-4.1-mini-2025-04-14")
    assert found.chat_options == {"reasoning_effort": "none"}
    assert (found.concurrency, found.seeds) == (8, False)
    assert found.embedding_model == "text-embedding-3-small"
    assert HOSTED_KEY not in repr(found) + str(vars(found))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"OPENAI_API_KEY={KEY}\n", ("sandbox", None, "smollm2-135m-instruct", "all-minilm-l6-v2")),
        (
            f"OPENAI_API_KEY={KEY}\nOPENAI_BASE_URL=http://teacher:8765/v1\n",
            ("sandbox", "http://teacher:8765/v1", "smollm2-135m-instruct", "all-minilm-l6-v2"),
        ),
        (OTHER + "HEROES_GENERATOR_MODEL=only\n", ("other", "http://x/v1", "only", None)),
        ("HEROES_BASE_MODEL=else\n", ("sandbox", None, "else", "all-minilm-l6-v2")),
        (
            "HEROES_BASE_MODEL=else\nHEROES_EMBEDDING_MODEL=vectors\n",
            ("sandbox", None, "else", "vectors"),
        ),
    ],
)
def test_what_the_file_says_decides(env_file: Path, text: str, found: tuple[Any, ...]) -> None:
    env_file.write_text(text)
    made = load_settings()
    assert (made.provider, made.base_url, made.base_model, made.embedding_model) == found


def test_the_real_environment_wins(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env_file.write_text("OPENAI_API_KEY=sk-from-file\n")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-outside\n")
    assert read_key() == "sk-from-outside"
    monkeypatch.setenv("OPENAI_API_KEY", "  ")
    assert read_key() == "sk-from-file"
    env_file.write_text("OPENAI_API_KEY=sk-edited\nOPENAI_BASE_URL=\n")
    assert read_key() == "sk-edited"
    assert read_variable("OPENAI_BASE_URL") is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("OPENAI_API_KEY=sk—x\n", "heroes doctor"),
        ("OPENAI_API_KEY=sk-x\nOPENAI_BASE_URL=example.org\n", "begins with https"),
        ("OPENAI_BASE_URL=https://example.org/v1\n", "OPENAI_API_KEY is not"),
        (OTHER, "HEROES_GENERATOR_MODEL"),
    ],
)
def test_nonsense_is_refused_with_a_remedy(env_file: Path, text: str, words: str) -> None:
    env_file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=words):
        load_settings()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(key=st.text(st.sampled_from("aZ9-_. —“'\"\\\tné\u200b~"), min_size=1, max_size=6))
def test_a_key_is_refused_exactly_when_the_first_aid_has_words_for_it(
    env_file: Path, key: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", key)
        if cleaned := clean_value(key):
            problem = value_problem(cleaned)
            try:
                assert read_key() == cleaned
            except SettingsError as error:
                assert problem, cleaned
                assert cleaned not in str(error) or len(cleaned) < 3
            else:
                assert problem is None, cleaned


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_any_editors_encoding(env_file: Path, encoding: str) -> None:
    env_file.write_bytes(f"# für später\r\nOPENAI_API_KEY={KEY}\r\n".encode(encoding))
    assert read_env_file(env_file) == {"OPENAI_API_KEY": KEY}
    assert read_env_file(env_file.with_name("none")) == {}


@pytest.mark.parametrize(
    "line",
    [
        f"export OPENAI_API_KEY = {KEY}  ",
        f'OPENAI_API_KEY="{KEY}"',
        f'OPENAI_API_KEY=" {KEY}\n"',
        f"OPENAI_API_KEY=\u200b{KEY}\u00a0",
        f"OPENAI_API_KEY='\"{KEY}\"'",
    ],
)
def test_what_pasting_adds_is_taken_off(env_file: Path, line: str) -> None:
    env_file.write_text(line, encoding="utf-8")
    assert read_key() == KEY


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(raw=st.binary(max_size=200))
def test_any_bytes_can_be_read(env_file: Path, raw: bytes) -> None:
    env_file.write_bytes(raw)
    for value in read_env_file(env_file).values():
        value_problem(clean_value(value))


def test_a_blank_address_is_removed_with_a_hint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    assert load_settings().provider == "sandbox"
    assert "blank" in capsys.readouterr().out
    assert "OPENAI_BASE_URL" not in os.environ


def test_the_env_file_is_the_projects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEROES_ENV_FILE")
    assert env_path() == ROOT / ".env"


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own."""
    monkeypatch.setattr(data, "DATA", tmp_path / "shipped")
    (tmp_path / "shipped").mkdir()
    return tmp_path / "shipped"


def test_your_own_file_comes_first(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shipped / "train.jsonl").write_text("shipped")
    assert my("model.json") == shipped / "my" / "model.json"
    monkeypatch.setenv("HEROES_MY", str(tmp_path / "my"))
    assert find("train.jsonl") == shipped / "train.jsonl"
    my("train.jsonl").write_text("own")
    assert find("train.jsonl") == tmp_path / "my" / "train.jsonl"
    with pytest.raises(FileNotFoundError, match=r"no heros\.csv (?s:.*)Run the notebook"):
        find("heros.csv")
    monkeypatch.setenv("HEROES_MY", "data/elsewhere")
    monkeypatch.chdir(tmp_path)
    assert data.my_folder() == ROOT / "data" / "elsewhere"


@pytest.mark.parametrize("name", ["../secret", "a/b", "", "a\\b", ".."])
def test_a_name_leads_nowhere_else(name: str) -> None:
    with pytest.raises(ValueError, match="plain file name"):
        my(name)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.csv"
    replace_text(path, "a\n")
    replace_text(path, "ä\nb\n")
    with pytest.raises(UnicodeEncodeError):
        replace_text(path, "\ud800")
    assert path.read_bytes() == "ä\nb\n".encode()
    assert [entry.name for entry in path.parent.iterdir()] == ["file.csv"]
