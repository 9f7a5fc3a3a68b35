"""The course's notebooks: where they are, how one is run, and what no stored output may hold."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
from ipykernel.kernelspec import RESOURCES, get_kernel_dict
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
CELL_SECONDS = 300
ANSI = re.compile(r"\x1b\[[0-9;]*m")

# Called before each code cell with its number, counted from 1, and how many there are.
OnCell = Callable[[int, int], None]

# What gives away a secret, an account, or the machine that a file was made on.
LEAKS = {
    "a key": re.compile(r"\bsk-[A-Za-z0-9_-]{20,}"),
    "an organisation id": re.compile(r"\borg-[A-Za-z0-9]{20,}"),
    "a path of the machine": re.compile(
        r"(?<![\w.~/:-])/(?:home|root|Users|tmp|var|private|mnt|workspace)/[\w.-]+"
        r"|\b[A-Za-z]:\\{1,2}[A-Za-z][\w.-]*\\"
    ),
}


class NotebookFailed(RuntimeError):
    """A notebook did not run to its end: which one, in which cell, and why."""

    def __init__(self, path: Path, cell: int, source: str, error: str) -> None:
        super().__init__(f"{path.name}, code cell {cell}: {error}")
        self.path, self.cell, self.source, self.error = path, cell, source, error


class _ThisPython(KernelSpecManager):
    """Knows one kernel, whatever is installed elsewhere: the Python that runs this program."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return self.kernel_spec_class(resource_dir=RESOURCES, **get_kernel_dict())


def find_notebooks(only: Sequence[str] = ()) -> list[Path]:
    """The numbered notebooks in their order, or those that `only` names.

    A name may be a number ("3", "03") or a file. Raises ValueError if there is none.
    """
    paths = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
    wanted = {Path(name).name.split("_")[0].zfill(2) for name in only}
    unknown = wanted - {path.name[:2] for path in paths}
    if unknown or not paths:
        have = ", ".join(path.stem for path in paths) or "none"
        raise ValueError(f"There is no notebook {' '.join(sorted(unknown))}. There are: {have}.")
    return [path for path in paths if not only or path.name[:2] in wanted]


def read(path: Path) -> NotebookNode:
    """The notebook, in today's format."""
    return nbformat.read(path, as_version=4)


def write(notebook: NotebookNode, path: Path) -> None:
    """Store a notebook; a reader, or a crash, never meets half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8", newline="\n")
    draft.replace(path)


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """The cells that hold code, in order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def tags(cell: NotebookNode) -> set[str]:
    """The cell's tags, such as raises-exception."""
    return set(cell.metadata.get("tags", []))


def execute(
    notebook: NotebookNode,
    path: Path,
    on_cell: OnCell | None = None,
    cell_seconds: float = CELL_SECONDS,
) -> None:
    """Run all cells in a fresh kernel of this Python, in the folder of `path`.

    The outputs land in `notebook` itself, up to the error and with it if a cell fails; that raises
    NotebookFailed.
    """
    cells = code_cells(notebook)
    # Nobody may take outputs of an earlier run for outputs of this one.
    for cell in cells:
        cell.outputs, cell.execution_count = [], None
    numbers = {id(cell): number for number, cell in enumerate(cells, start=1)}
    current = 0

    def starting(cell: NotebookNode, cell_index: int) -> None:
        nonlocal current
        if id(cell) in numbers:
            current = numbers[id(cell)]
            if on_cell:
                on_cell(current, len(cells))

    client = NotebookClient(
        notebook,
        timeout=cell_seconds,
        coalesce_streams=True,
        record_timing=False,
        on_cell_start=starting,
    )
    try:
        _run(client, path.parent)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        source = cells[current - 1].source if current else ""
        reason = _reason(error, cell_seconds)
        raise NotebookFailed(path, current, source, reason) from error


def _run(client: NotebookClient, cwd: Path) -> None:
    """Run the client on an event loop of its own, which is gone afterwards."""
    client.km = AsyncKernelManager(kernel_spec_manager=_ThisPython())
    client.owns_km = True
    # zmq does not work with the event loop that asyncio chooses on Windows.
    factory = asyncio.SelectorEventLoop if sys.platform == "win32" else None
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(_interruptible(client, cwd))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _interruptible(client: NotebookClient, cwd: Path) -> None:
    """Run the client; Ctrl-C ends the kernel and comes out as a cancellation.

    By itself, nbclient would say that the kernel had died.
    """
    task = asyncio.current_task()
    assert task is not None

    def interrupt() -> None:
        client.shutdown_kernel = "immediate"
        task.cancel()

    def listen(notebook: NotebookNode) -> None:
        with suppress(NotImplementedError):  # Windows: asyncio's runner does it there
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupt)

    client.on_notebook_start = listen
    try:
        # What the kernel's own program logs is no output of the notebook.
        await client.async_execute(cwd=str(cwd), stderr=subprocess.DEVNULL)
    except DeadKernelError:
        if task.cancelling():
            raise asyncio.CancelledError from None
        raise


def _reason(error: Exception, cell_seconds: float) -> str:
    """The error in one line: its type and its message, no traceback."""
    if isinstance(error, CellExecutionError):
        return f"{error.ename}: {ANSI.sub('', error.evalue).strip()}"
    if isinstance(error, CellTimeoutError):
        return f"the cell was not done after {cell_seconds:.0f} seconds"
    return "the kernel ended in the middle of the cell (out of memory?)"


def leaks_in(text: str) -> Iterator[str]:
    """What `text` gives away that it must not, each finding with a few characters of proof."""
    for what, pattern in LEAKS.items():
        for match in pattern.finditer(text):
            yield f"{what}: {match[0][:12]}..."


def output_problems(notebook: NotebookNode) -> Iterator[str]:
    """Why the outputs cannot be stored or shown as they are: leaks, and errors without a tag."""
    for number, cell in enumerate(code_cells(notebook), start=1):
        for output in cell.outputs:
            if output.output_type == "error" and "raises-exception" not in tags(cell):
                yield f"code cell {number}: {output.ename}, and the cell has no raises-exception"
            for leak in leaks_in(output_text(output)):
                yield f"code cell {number}: its output holds {leak}"
    for leak in leaks_in(json.dumps(notebook.metadata.get("widgets", {}), ensure_ascii=False)):
        yield f"the widgets' state holds {leak}"


def output_text(output: NotebookNode) -> str:
    """All that can be read in an output, without colour codes; pictures are left out."""
    shown: dict[str, Any] = output.get("data", {})
    parts = [_flat(value) for kind, value in shown.items() if not _is_picture(kind)]
    parts += [_flat(output.get(name, "")) for name in ("text", "ename", "evalue", "traceback")]
    return ANSI.sub("", "\n".join(part for part in parts if part))


def _is_picture(kind: str) -> bool:
    return kind.startswith("image/") and kind != "image/svg+xml"


def _flat(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return "".join(value)
    return json.dumps(value, ensure_ascii=False)
