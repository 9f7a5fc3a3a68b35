from __future__ import annotations

import os
from pathlib import Path

import pytest

from helpers.settings import (
    ROOT,
    SettingsError,
    chat_options_for,
    env_path,
    load_settings,
    read_key,
    read_variable,
)

KEY = "sk-sandbox-" + "a1B2" * 10
HOSTED_KEY = "sk-proj-abcdefgh"


@pytest.fixture(autouse=True)
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An `.env` of the test's own, and none of the developer's variables."""
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "HEROES_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HEROES_ENV_FILE", str(tmp_path / ".env"))
    return tmp_path / ".env"


def test_nothing_configured_is_the_sandbox() -> None:
    settings = load_settings()
    assert (settings.endpoint, settings.provider, settings.base_url) == ("sandbox", "sandbox", None)
    assert settings.generator_model == settings.base_model == "superhero-mini"
    assert (settings.concurrency, settings.seeds, settings.chat_options) == (64, True, {})
    assert settings.embedding_model == settings.base_model


def test_a_hosted_key_is_openai(env_file: Path) -> None:
    env_file.write_text(f"OPENAI_API_KEY='{HOSTED_KEY}'\n")
    settings = load_settings()
    assert (settings.endpoint, settings.provider) == ("hosted", "openai")
    assert settings.base_url == "https://api.openai.com/v1"
    assert (settings.generator_model, settings.base_model) == (
        "gpt-6-luna",
        "gpt-4.1-mini-2025-04-14",
    )
    assert settings.chat_options == {"reasoning_effort": "none"}
    assert (settings.concurrency, settings.seeds) == (8, False)
    assert settings.embedding_model == "text-embedding-3-small"


def test_a_sandbox_key_without_an_address_is_the_own_sandbox(env_file: Path) -> None:
    env_file.write_text(f"OPENAI_API_KEY={KEY}\n")
    assert (load_settings().provider, load_settings().base_url) == ("sandbox", None)


def test_a_sandbox_key_with_an_address_is_somebody_elses(env_file: Path) -> None:
    env_file.write_text(f"OPENAI_API_KEY={KEY}\nOPENAI_BASE_URL=http://teacher:8765/v1\n")
    settings = load_settings()
    assert (settings.provider, settings.base_url) == ("sandbox", "http://teacher:8765/v1")


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://eu.api.openai.com/v1", "openai"),
        ("https://api.tokenfactory.nebius.com/v1/", "nebius"),
        ("https://api.tokenfactory.eu-west1.nebius.com/v1/", "nebius"),
        ("https://mine.openai.azure.com/openai/v1/", "azure"),
        ("https://mine.services.ai.azure.com/api/projects/p/openai/v1/", "azure"),
        ("http://127.0.0.1:8000/v1", "other"),
        ("https://api.openai.com.example.org/v1", "other"),
    ],
)
def test_the_address_tells_the_provider(url: str, provider: str, env_file: Path) -> None:
    env_file.write_text(
        f"OPENAI_API_KEY={HOSTED_KEY}\nOPENAI_BASE_URL={url}\n"
        "HEROES_GENERATOR_MODEL=writer\nHEROES_BASE_MODEL=pupil\n"
    )
    settings = load_settings()
    assert settings.provider == provider
    assert (settings.generator_model, settings.base_model) == ("writer", "pupil")
    assert settings.chat_options == {}
    assert ("extra_body" in settings.job_options) == (provider == "azure")
    expected = "text-embedding-3-small" if provider == "openai" else None
    assert settings.embedding_model == expected


def test_an_unknown_provider_must_name_its_models(env_file: Path) -> None:
    text = f"OPENAI_API_KEY={HOSTED_KEY}\nOPENAI_BASE_URL=http://127.0.0.1:8000/v1\n"
    env_file.write_text(text)
    with pytest.raises(SettingsError, match="HEROES_GENERATOR_MODEL"):
        load_settings()
    env_file.write_text(text + "HEROES_GENERATOR_MODEL=only\n")
    assert load_settings().base_model == "only"


def test_the_model_for_embeddings_can_be_named(env_file: Path) -> None:
    env_file.write_text("HEROES_BASE_MODEL=other\n")
    assert load_settings().embedding_model == "other"
    env_file.write_text("HEROES_BASE_MODEL=other\nHEROES_EMBEDDING_MODEL=vectors\n")
    assert load_settings().embedding_model == "vectors"
    assert "vectors" in str(load_settings())


def test_the_real_environment_wins(env_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env_file.write_text("OPENAI_API_KEY=sk-from-file\n")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-outside\n")
    assert read_key() == "sk-from-outside"
    monkeypatch.setenv("OPENAI_API_KEY", "  ")
    assert read_key() == "sk-from-file"
    env_file.write_text("OPENAI_API_KEY=sk-edited\n")
    assert read_key() == "sk-edited"
    assert read_variable("HEROES_BASE_MODEL") is None


def test_a_blank_address_is_removed_with_a_hint(
    env_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    env_file.write_text("OPENAI_BASE_URL=\n")
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    assert load_settings().provider == "sandbox"
    assert "blank" in capsys.readouterr().out
    assert "OPENAI_BASE_URL" not in os.environ


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("OPENAI_API_KEY=sk—x\n", "long dash"),
        ("OPENAI_API_KEY=sk-x\nOPENAI_BASE_URL=example.org\n", "begins with https"),
        ("OPENAI_BASE_URL=https://example.org/v1\n", "OPENAI_API_KEY is not"),
    ],
)
def test_nonsense_is_refused_with_a_remedy(env_file: Path, text: str, words: str) -> None:
    env_file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=words):
        load_settings()


def test_the_key_is_nowhere_in_the_settings(env_file: Path) -> None:
    env_file.write_text(f"OPENAI_API_KEY={HOSTED_KEY}\n")
    settings = load_settings()
    assert HOSTED_KEY not in repr(settings) + str(settings) + str(vars(settings))
    assert "gpt-6-luna" in str(settings)


def test_options_depend_on_the_model() -> None:
    assert chat_options_for("openai", "gpt-5.6-luna") == {"reasoning_effort": "none"}
    assert chat_options_for("openai", "ft:gpt-4.1-mini-2025-04-14:me::x") == {}
    assert chat_options_for("openai", "gpt-5-nano") == {}
    assert chat_options_for("sandbox", "gpt-6-luna") == {}
    assert load_settings().options_for("superhero-mini") == {}


def test_the_env_file_is_the_projects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEROES_ENV_FILE")
    assert env_path() == ROOT / ".env"
    assert (ROOT / "helpers" / "settings.py").is_file()
