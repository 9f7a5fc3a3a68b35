"""The fixtures of all tests. From cheap to dear:

`api`      the sandbox's API in a thread, answered for by a scripted sampler: shapes and errors;
`server`   a whole sandbox in a process of its own, on a tiny model: jobs, texts, the commands.

Each pytest-xdist worker has its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from openai import OpenAI

from sandbox.bases import NAMED, NamedBase
from sandbox.fetch import FetchError, fetch
from sandbox.store.database import Store
from tests.support.api import Api, running_api
from tests.support.heroes_command import Heroes, HeroesInProcess, environment
from tests.support.server import Server
from tests.support.tiny import kept_base

# A busy machine is slow, so there is no deadline; in CI the same inputs are tried each time.
settings.register_profile("local", max_examples=50, deadline=None)
settings.register_profile("ci", settings.get_profile("local"), derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """`make quick` does not even import a file whose tests are all slow: torch takes seconds."""
    if config.option.markexpr != "not slow" or collection_path.suffix != ".py":
        return None
    text = collection_path.read_text(encoding="utf-8")
    return "\npytestmark = pytest.mark.slow\n" in text or None


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Torch, where a test has loaded it, uses one core: the other one has tests of its own.

    Equal results need equal sums besides, and the order of sums may change with the threads.
    """
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny() -> Path:
    """A base model of two layers with random weights. No test may write into it."""
    return kept_base()


@pytest.fixture(scope="session")
def tiny_gqa() -> Path:
    """The same with grouped heads, as larger models have them."""
    return kept_base(num_key_value_heads=2)


@pytest.fixture(scope="session")
def real_base() -> Callable[[str], NamedBase]:
    """Gives a base that bases.toml names; fetches it first, as the installer has, if it must.

    Where that cannot be, the test is skipped: the course goes on without it, too. Not in CI.
    """

    def find(name: str) -> NamedBase:
        try:
            fetch(NAMED[name])
        except FetchError as error:
            if os.environ.get("CI"):
                raise
            pytest.skip(str(error))
        return NAMED[name]

    return find


@pytest.fixture(scope="session")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """The API without a model and without trainers: a job waits in the queue for good."""
    with running_api(tmp_path_factory.mktemp("api") / "state") as running:
        yield running


@pytest.fixture(scope="session")
def client(api: Api) -> Iterator[OpenAI]:
    """The SDK on `api`, with a key of the project "learner"."""
    with api.client() as made:
        yield made


@pytest.fixture(scope="session")
def other_client(api: Api) -> Iterator[OpenAI]:
    """The SDK on `api`, with a key of another project."""
    with api.client(api.other_key) as made:
        yield made


@pytest.fixture(scope="session")
def base_model() -> str:
    """The name of the tiny model."""
    return "tiny"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One sandbox for all tests that leave it running."""
    running = Server(tmp_path_factory.mktemp("sandbox") / "state")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def live_sandbox(server: Server) -> Server:
    """The sandbox that the tests of helpers, course and commands share."""
    return server


@pytest.fixture(scope="session")
def live_client(server: Server) -> Iterator[OpenAI]:
    """The SDK on `server`."""
    with server.client() as made:
        yield made


@pytest.fixture(scope="session")
def live_model(base_model: str) -> str:
    """The name of the model on `server` that tests use; the shipped one is there besides."""
    return base_model


@pytest.fixture
def heroes(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HeroesInProcess:
    """The command `heroes` in this process, talking to `server`."""
    named = environment(tmp_path, OPENAI_API_KEY=server.key, OPENAI_BASE_URL=server.url)
    return HeroesInProcess(named)


@pytest.fixture
def heroes_process(server: Server, tmp_path: Path) -> Heroes:
    """The command as a process of its own: for Ctrl-C, pipes, terminals and encodings."""
    return Heroes(environment(tmp_path, OPENAI_API_KEY=server.key, OPENAI_BASE_URL=server.url))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    with Store(tmp_path / "state") as made:
        yield made
