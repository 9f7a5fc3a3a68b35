"""The solutions in the notebooks, run after the last cell of each: they must pass their checks.

A solution is in a collapsed markdown cell, so nbval does not run it. Here it becomes a test of
its own that runs in the notebook's kernel, where everything is as a learner would have it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from queue import Empty

import pytest
from jupyter_client import BlockingKernelClient
from nbformat import NotebookNode
from nbval.plugin import IPyNbCell, IPyNbFile

SECONDS = 300
FENCE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
VERDICT = re.compile(r"^Exercise ([\d.]+) .*?: (done|not yet)", re.MULTILINE)


class SolutionFailed(Exception):
    """A solution does not solve its exercise; the message shows what it printed."""


class Solution(pytest.Item):
    """One solution, run in the kernel of its notebook."""

    def __init__(self, *, source: str, **rest: object) -> None:
        super().__init__(**rest)  # type: ignore[arg-type]
        self.source = source

    def runtest(self) -> None:
        printed, error = run(self.parent.kernel.kc, self.source)  # type: ignore[union-attr]
        verdicts = VERDICT.findall(printed)
        if error or not verdicts or any(verdict != "done" for _, verdict in verdicts):
            raise SolutionFailed(f"{self.source}\n\nprinted:\n{printed}\n{error}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> str:  # type: ignore[override]
        return str(excinfo.value)

    def reportinfo(self) -> tuple[object, int, str]:  # type: ignore[override]
        return self.path, 0, f"{self.path.name}: {self.name}"


def run(client: BlockingKernelClient, source: str) -> tuple[str, str]:
    """Run code in a kernel; what it printed, and the error that it ended in, if any."""
    message_id = client.execute(source, allow_stdin=False)
    deadline, printed, error = time.monotonic() + SECONDS, [], ""
    while time.monotonic() < deadline:
        try:
            message = client.get_iopub_msg(timeout=1)
        except Empty:
            continue
        if message["parent_header"].get("msg_id") != message_id:
            continue
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            printed.append(content["text"])
        elif kind == "error":
            error = f"{content['ename']}: {content['evalue']}"
        elif kind == "status" and content["execution_state"] == "idle":
            return "".join(printed), error
    return "".join(printed), f"still running after {SECONDS} s"


def solutions(notebook: NotebookNode) -> Iterator[tuple[str, str]]:
    """The id of each cell with a solution, and the solution's code."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and "<summary>Solution</summary>" in cell.source:
            yield cell.id, "\n".join(FENCE.findall(cell.source))


def with_solutions(items: list[pytest.Item]) -> list[pytest.Item]:
    """The tests, with a notebook's solutions after the last of its cells."""
    extended: list[pytest.Item] = []
    for item, following in zip(items, [*items[1:], None], strict=True):
        extended.append(item)
        if isinstance(item, IPyNbCell) and (following is None or following.parent != item.parent):
            extended += of_file(item.parent)
    return extended


def of_file(file: IPyNbFile) -> Iterator[Solution]:
    """The solutions of one notebook as tests."""
    for name, source in solutions(file.nb):
        yield Solution.from_parent(file, name=name, source=source)
