"""The notebooks at three hosted providers that the sandbox poses as.

`make test` runs a part of them; `HOSTED=all python -m pytest tests/house/test_hosted.py` runs all,
and `HOSTED="04 05"` those.
"""

from __future__ import annotations

import os
from collections import Counter

import pytest

from tests.support.posing import POSES, failures, hosted
from tools.notebooks import find_notebooks

pytestmark = pytest.mark.slow

CHOSEN = {"deploys": ["06"], "plain": ["05"], "shared": ["04", "13"]}
ASKED = os.environ.get("HOSTED", "").split()


def notebooks(chosen: list[str]) -> list:
    """The notebooks that were asked for, or else the chosen ones."""
    return find_notebooks([] if ASKED == ["all"] else ASKED or chosen)


@pytest.mark.parametrize("pose", POSES)
def test_no_cell_fails_and_nothing_is_created_twice(pose: str) -> None:
    with hosted(pose) as provider:
        failed = [problem for path in notebooks(CHOSEN[pose]) for problem in failures(path)]
        created = Counter(provider.paid())
    assert not failed, "\n".join(failed)
    assert created or ASKED, "the notebooks have created nothing"
    assert not {what: count for what, count in created.items() if count > 1}


@pytest.mark.parametrize("pose", POSES if ASKED else ["shared"])
def test_nothing_paid_is_created_without_a_yes(pose: str) -> None:
    with hosted(pose, answer="no") as provider:
        for path in notebooks(["04", "13"]):
            failures(path)
        assert provider.paid() == []
