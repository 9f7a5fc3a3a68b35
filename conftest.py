"""For all tests and for the notebooks that nbval runs: nothing of the learner's own is touched.

pytest's fixtures never reach a notebook's cells, so the conditions are set by hooks: the
environment at the start of the session, and before each notebook's kernel a fresh sandbox.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from nbval.plugin import IPyNbCell

from sandbox.fetch import FetchError
from tests.support.notebook_solutions import Solution, with_solutions
from tools.conditions import conditions, own_environment
from tools.trained import state_for

# The files that take longest, in this order before all others: else one process works on the last
# of them while the other has nothing left to do.
LONGEST_FIRST = (
    "test_kills",
    "07_evaluation",
    "10_rag_or_fine_tuning",
    "05_polling",
    "test_hosted",
    "08_experiments",
    "12_your_own_model",
    "09_trainer_by_hand",
    "00_start_here",
    "test_server",
    "test_notebook_tools",
    "02_synthetic_superheroes",
    "06_prediction",
    "13_beyond_one_laptop",
    "test_trainers",
    "11_when_things_go_wrong",
    "test_connect",
    "test_docs",
    "test_recorded",
    "test_fuzz",
    "test_book_browser",
)
FOR_ALL = pytest.StashKey[ExitStack]()
FOR_NOTEBOOKS = pytest.StashKey["NotebookConditions"]()


def pytest_configure(config: pytest.Config) -> None:
    """Leave the learner's environment before anything is collected."""
    # A shell starts its background jobs deaf to Ctrl-C, which some tests send.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.stash[FOR_ALL] = ExitStack()
    config.stash[FOR_ALL].enter_context(own_environment())
    config.stash[FOR_NOTEBOOKS] = NotebookConditions()
    if rules := config.option.nbval_sanitize_with:
        # So that pytest may be called from any folder.
        config.option.nbval_sanitize_with = str(config.rootpath / rules)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what runs and go back, however the session has ended."""
    config.stash[FOR_NOTEBOOKS].end()
    config.stash[FOR_ALL].close()


class NotebookConditions:
    """The conditions of the notebook whose cells run at the moment."""

    def __init__(self) -> None:
        self._notebook: Path | None = None
        self._stack = ExitStack()
        self._failure: str | None = None

    def begin(self, notebook: Path) -> None:
        """Make the conditions, unless this notebook has them already."""
        if notebook != self._notebook:
            self.end()
            self._notebook = notebook
            try:
                self._stack.enter_context(conditions(state_for(notebook)))
            except (OSError, RuntimeError, FetchError) as error:
                self._failure = str(error)
        if self._failure:
            # Said again for each cell, but not tried again: that could take minutes.
            pytest.fail(self._failure, pytrace=False)

    def end(self) -> None:
        """Stop the sandbox and go back to the environment of the other tests."""
        self._notebook = self._failure = None
        self._stack.close()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The solutions of a notebook's exercises are tests, too; long files come first."""
    items[:] = with_solutions(items)
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before nbval starts the kernel, which takes over the environment of this process."""
    if isinstance(item, IPyNbCell | Solution):
        item.config.stash[FOR_NOTEBOOKS].begin(item.path)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """After nbval has stopped the kernel."""
    try:
        return (yield)
    finally:
        if nextitem is None or nextitem.path != item.path:
            item.config.stash[FOR_NOTEBOOKS].end()
