"""The test that runs solutions: it must be able to fail."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_client import BlockingKernelClient
from jupyter_client.manager import run_kernel
from nbformat.v4 import new_markdown_cell, new_notebook

from tests.support.notebook_solutions import Solution, SolutionFailed, run, solutions

EXERCISE = """
from course.exercise import Exercise, expect
one = Exercise("1.1", "one", lambda n: [expect(n == 1, "one", n)], ("a", "b", "c"))
"""


@pytest.fixture(scope="module")
def client() -> Iterator[BlockingKernelClient]:
    with run_kernel() as made:
        run(made, EXERCISE)
        yield made


def try_out(client: BlockingKernelClient, source: str) -> None:
    kernel = SimpleNamespace(kernel=SimpleNamespace(kc=client))
    solution: Any = SimpleNamespace(parent=kernel, source=source)
    Solution.runtest(solution)


def test_a_right_solution_passes(client: BlockingKernelClient) -> None:
    try_out(client, "one.check(1)")


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("one.check(2)", "not yet.\nExpected one, saw 2"),
        ("one.check(1)\none.check(2)", "not yet"),
        ("x = 1", "printed"),
        ("one.check(1)\n1 / 0", "ZeroDivisionError"),
        ("one.chek(1)", "AttributeError"),
    ],
)
def test_a_wrong_one_fails_and_says_how(
    client: BlockingKernelClient, source: str, shown: str
) -> None:
    with pytest.raises(SolutionFailed, match=shown):
        try_out(client, source)


def test_the_code_is_taken_from_the_collapsed_cells_only() -> None:
    text = "<details><summary>Solution</summary>\n\n```python\nx = 1\n```\n\nBecause.\n</details>"
    cells = [new_markdown_cell("```python\nnot_me()\n```", id="a"), new_markdown_cell(text, id="b")]
    assert list(solutions(new_notebook(cells=cells))) == [("b", "x = 1\n")]
