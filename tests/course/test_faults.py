"""course.faults and `heroes fault`, on the real sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import openai
import pytest
from openai import OpenAI

from course.faults import NoSandboxError, clear_faults, known_faults, list_faults, set_fault
from tests.support.live_sandbox import LiveSandbox, live_sandbox

__all__ = ["live_sandbox"]


@pytest.fixture
def client(live_sandbox: LiveSandbox) -> Iterator[OpenAI]:
    with live_sandbox.client(max_retries=0) as made:
        yield made
        clear_faults(made)


@pytest.fixture
def heroes(live_sandbox: LiveSandbox, client: OpenAI):
    """The command, with the key of the sandbox that the tests share."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "HEROES_"))}
    environment |= {
        "OPENAI_API_KEY": live_sandbox.key,
        "OPENAI_BASE_URL": live_sandbox.url,
        "HEROES_ENV_FILE": str(live_sandbox.state / "none.env"),
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "heroes", "fault", *arguments],
            env=environment,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )

    return run


def test_a_fault_from_set_to_clear(client: OpenAI) -> None:
    assert list_faults(client) == []
    shown = set_fault(client, "rate_limit", times=3, retry_after=4)
    assert [(each["name"], each["times_left"], each["details"]) for each in shown] == [
        ("rate_limit", 3, {"retry_after": 4})
    ]
    with pytest.raises(openai.RateLimitError) as caught:
        client.files.list()
    assert caught.value.response.headers["retry-after"] == "4"
    assert list_faults(client)[0]["times_left"] == 2
    assert clear_faults(client) == 1
    assert list_faults(client) == []
    client.files.list()


def test_every_known_fault_can_be_set_by_its_name(client: OpenAI) -> None:
    names = [each["name"] for each in known_faults(client)]
    assert len(names) == 10
    for name in names:
        set_fault(client, name.replace("_N_", "_7_"))
    assert {each["name"] for each in list_faults(client)} == {
        name.replace("_N_", "_7_") for name in names
    }


def test_an_unknown_fault_names_all(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        set_fault(client, "rain")
    for each in known_faults(client):
        assert each["name"] in caught.value.body["message"]


def test_a_hosted_provider_has_no_faults(live_sandbox: LiveSandbox) -> None:
    elsewhere = live_sandbox.url.removesuffix("/v1") + "/elsewhere"
    client = OpenAI(api_key="sk-x", base_url=elsewhere, max_retries=0)
    with client, pytest.raises(NoSandboxError, match="Only the sandbox"):
        set_fault(client, "rate_limit")


def test_the_command_sets_shows_and_ends(heroes) -> None:
    shown = heroes("rate_limit", "--times", "2", "retry_after=3")
    assert shown.returncode == 0
    assert shown.stdout.splitlines()[1].split() == ["rate_limit", "2", "retry_after=3"]
    told = heroes("--json")
    assert json.loads(told.stdout)["set"][0]["details"] == {"retry_after": 3}
    assert "broken_stream" in heroes().stdout
    assert heroes("off").stdout == "All faults are off.\n"
    assert heroes("off").stdout == "No fault was set.\n"
    assert "No fault is set." in heroes().stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["rain"], "There is no fault 'rain'. There are: rate_limit, "),
        (["rate_limit", "soon"], "'soon' is no detail. Write it as key=value"),
        (["rate_limit", "minutes=3"], "has no detail 'minutes'"),
    ],
)
def test_the_command_refuses_in_one_line(heroes, arguments: list[str], says: str) -> None:
    refused = heroes(*arguments)
    assert refused.returncode == 1
    assert refused.stdout == ""
    assert says in refused.stderr
    assert refused.stderr.count("\n") == 1
