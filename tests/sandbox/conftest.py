"""Fixtures: servers, clients of them, stores."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from openai import OpenAI

from sandbox.store import Store
from tests.support.server import Server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that leave it running."""
    running = Server(tmp_path_factory.mktemp("sandbox") / "state")
    yield running
    running.stop()


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for the tests of one module that stop, kill or restart it."""
    running = Server(tmp_path_factory.mktemp("own") / "state")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def client(server: Server) -> Iterator[OpenAI]:
    """The SDK with a key of the project "learner"."""
    with server.client() as made:
        yield made


@pytest.fixture(scope="session")
def other_client(server: Server) -> Iterator[OpenAI]:
    """The SDK with a key of another project."""
    with server.client(server.other_key) as made:
        yield made


@pytest.fixture(scope="session")
def base_model(client: OpenAI) -> str:
    """The name of the server's default base model."""
    return client.models.list().data[0].id


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    with Store(tmp_path / "state") as made:
        yield made
