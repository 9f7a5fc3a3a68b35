"""The README's commands, run as printed, with the names that they print themselves."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
from openai import OpenAI

from helpers.data import DATA
from tests.support.heroes_command import ROOT, HeroesInProcess
from tests.support.server import Server

pytestmark = pytest.mark.slow

# The model's name in the README is a stand-in for the one that `jobs create` prints.
STAND_IN = "ft:smollm2-135m-instruct:…"


def recipe() -> list[list[str]]:
    """The words of each command, without `heroes`."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"## From the command line\n.*?```\n(.*?)```", text, re.DOTALL)
    assert block, "README.md shows no commands"
    lines = [shlex.split(line) for line in block[1].splitlines()]
    assert all(words[0] == "heroes" for words in lines)
    return [words[1:] for words in lines]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the course's table: nothing is written beside the original.

    Its descriptions are cut, because the model of the tests reads 192 tokens at most.
    """
    (tmp_path / "data").mkdir()
    table = pd.read_csv(DATA / "superheroes.csv")
    table["response_txt"] = table["response_txt"].str[:80]
    table.to_csv(tmp_path / "data" / "superheroes.csv", index=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_readmes_commands_lead_to_a_model_that_answers(
    heroes: HeroesInProcess,
    elsewhere: Path,
    live_sandbox: Server,
    live_client: OpenAI,
    live_model: str,
) -> None:
    prepare, create, chat, export = recipe()
    untouched = sorted(DATA.iterdir())
    # The small model of the tests trains in seconds.
    settings = {"HEROES_BASE_MODEL": live_model, "HEROES_GENERATOR_MODEL": live_model}

    # The README's commands are for a terminal, where prepare's questions can be answered.
    prepared = heroes(*prepare, "--yes", **settings)
    assert prepared.returncode == 0, prepared.stderr
    train = elsewhere / create[create.index("-t") + 1]
    assert train.is_file()
    assert sorted(DATA.iterdir()) == untouched

    created = heroes(*create, **settings)
    assert created.returncode == 0, created.stderr
    model = created.stdout.split()[-1]  # as printed, which a terminal could turn into an emoji
    assert ":superhero:" in model.lower()
    assert model in [each.id for each in live_client.models.list()]

    assert STAND_IN in chat
    words = [model if word == STAND_IN else word for word in chat]
    # Its context has room for no more, and a small model's chance might begin with the end.
    said = heroes(*words, "--max-tokens", "20", "--temperature", "0", **settings)
    assert (said.returncode, bool(said.stdout.strip())) == (0, True), said.stderr

    words = [model if word == STAND_IN else word for word in export]
    assert heroes(*words, HEROES_SANDBOX_STATE=str(live_sandbox.state)).returncode == 0
    assert (elsewhere / words[-1] / "model.safetensors").is_file()
