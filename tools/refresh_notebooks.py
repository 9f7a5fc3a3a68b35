"""Run the notebooks and store their outputs anew: `make notebooks`, or this file by itself.

    python tools/refresh_notebooks.py [--only 03 04] [--check]

Each notebook runs under the conditions of the tests, on a sandbox of its own; those of TOGETHER
share one. A notebook whose outputs are the same as before, but for what the tests do not compare
(ids, times, tagged cells), is left as it is, so that a refresh changes no more than it must.
"""

from __future__ import annotations

import argparse
import copy
import json
import re
import sys
import time
from collections.abc import Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from nbformat import NotebookNode
from nbval.plugin import get_sanitize_patterns

from tools.conditions import conditions
from tools.notebooks import (
    ANSI,
    ROOT,
    NotebookFailed,
    code_cells,
    execute,
    find_notebooks,
    output_problems,
    read,
    tags,
    write,
)
from tools.trained import state_for

# The job that the first creates is followed by the second and asked by the third: so the ids that a
# reader sees are the same. A test starts each of them by itself, and must find the same outputs.
TOGETHER = ("04", "05", "06")
SANITIZE = ROOT / "tests" / "sanitize.cfg"
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE = {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"}
WIDGETS = "application/vnd.jupyter.widget-state+json"
VIEW = "application/vnd.jupyter.widget-view+json"
ABOUT_A_RUN = ("execution", "ExecuteTime", "collapsed", "scrolled")
NOT_COMPARED = {"nbval-ignore-output", "nbval-skip"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Refresh or check the notebooks; the exit code is 0 if all went well."""
    parser = argparse.ArgumentParser(description="Store the notebooks' outputs anew.")
    parser.add_argument("--only", nargs="+", default=[], metavar="NN", help="these notebooks")
    parser.add_argument("--check", action="store_true", help="store nothing; fail if out of date")
    options = parser.parse_args(arguments)
    try:
        paths = find_notebooks(options.only)
    except ValueError as error:
        parser.error(str(error))
    try:
        groups = groupby(paths, lambda path: path.name[:2] not in TOGETHER and path)
        good = [refresh(*group, check=options.check) for _, group in groups]
    except KeyboardInterrupt:
        print("\nStopped. The notebooks that were done are stored; the others are as before.")
        return 130
    return 0 if all(good) else 1


def refresh(*paths: Path, check: bool = False) -> bool:
    """Run notebooks one after the other on one sandbox; if one has changed, store them all.

    False if one of them can't be stored, or with `check` if one is out of date.
    """
    with conditions(state_for(paths[0])):
        made = {path: notebook for path in paths if (notebook := _run(path))}
    if len(made) < len(paths):
        return False
    changed = {path: differences(read(path), notebook) for path, notebook in made.items()}
    if not any(changed.values()):
        print(*(f"{path.name}: up to date" for path in paths), sep="\n", flush=True)
        return True
    for path, found in changed.items():
        why = "; ".join(found) or "the ids of its neighbours"
        print(f"{path.name}: {'out of date' if check else 'stored'}: {why}", flush=True)
        if not check:
            write(made[path], path)
    return not check


def _run(path: Path) -> NotebookNode | None:
    """The notebook with new outputs; None if it fails or shows what must not be stored."""
    started, notebook = time.monotonic(), read(path)
    try:
        execute(notebook, path)
    except NotebookFailed as error:
        print(f"{path.name}: failed in code cell {error.cell}: {error.error}")
        return None
    tidy(notebook)
    if problems := list(output_problems(notebook)):
        print(f"{path.name}: not stored, because of")
        print("\n".join(f"  {problem}" for problem in problems))
        return None
    print(f"{path.name}: {time.monotonic() - started:.0f} s", flush=True)
    return notebook


def tidy(notebook: NotebookNode) -> None:
    """Take out what differs between machines and runs without meaning anything."""
    notebook.metadata["kernelspec"] = NotebookNode(KERNELSPEC)
    notebook.metadata["language_info"] = NotebookNode(LANGUAGE)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen: set[str] = set()
    for number, cell in enumerate(notebook.cells):
        if cell.get("id", "") in seen | {""}:
            cell.id = f"cell-{number:02}"
        seen.add(cell.id)
        for name in ABOUT_A_RUN:
            cell.metadata.pop(name, None)
    for cell in code_cells(notebook):
        for output in cell.outputs:
            if output.output_type == "error":
                output.traceback = short_traceback(output.traceback)
    tidy_widgets(notebook)


def short_traceback(traceback: Sequence[str]) -> list[str]:
    """The notebook's own part of a traceback: not the frames inside libraries, nor their paths."""
    plain = [ANSI.sub("", frame) for frame in traceback]
    return [frame for frame in plain if not frame.lstrip().startswith("File ")]


def tidy_widgets(notebook: NotebookNode) -> None:
    """Keep the state of the widgets that are shown, and give them names that do not change.

    With it a reader sees them, as they were at the end, without running anything.
    """
    state: dict[str, Any] = notebook.metadata.get("widgets", {}).get(WIDGETS, {}).get("state", {})
    datas = [output.get("data", {}) for cell in code_cells(notebook) for output in cell.outputs]
    views = [data[VIEW] for data in datas if VIEW in data]
    # In the order in which they are shown, so that the same notebook gets the same names.
    names: dict[str, str] = {}
    waiting = [view["model_id"] for view in views]
    while waiting:
        model = waiting.pop(0)
        if model in state and model not in names:
            names[model] = f"{len(names) + 1:032x}"
            waiting[:0] = re.findall(r"IPY_MODEL_(\w+)", json.dumps(state[model]))
    notebook.metadata.pop("widgets", None)
    if names:
        shown = json.dumps({model: state[model] for model in names})
        for old, new in names.items():
            shown = shown.replace(old, new)
        whole = {"state": json.loads(shown), "version_major": 2, "version_minor": 0}
        notebook.metadata["widgets"] = {WIDGETS: whole}
    for view in views:
        view["model_id"] = names.get(view["model_id"], "0" * 32)


def differences(before: NotebookNode, after: NotebookNode) -> list[str]:
    """What has changed between two runs of a notebook, apart from what the tests let pass."""
    found = []
    pairs = zip(code_cells(before), code_cells(after), strict=True)
    for number, (old, new) in enumerate(pairs, start=1):
        if old.execution_count != new.execution_count:
            found.append(f"code cell {number} is counted anew")
        elif is_compared(new) and comparable(old) != comparable(new):
            found.append(f"code cell {number} has other outputs")
    if not found and _frame(before) != _frame(after):
        found.append("metadata")
    return found


def is_compared(cell: NotebookNode) -> bool:
    """Whether the tests compare what the cell gives."""
    return not NOT_COMPARED & tags(cell)


def comparable(cell: NotebookNode) -> str:
    """A cell's outputs as one text, with what may differ replaced as nbval does it."""
    outputs = copy.deepcopy(cell.outputs)
    for output in outputs:
        output.get("data", {}).pop(VIEW, None)
        output.pop("traceback", None)
    return json.dumps(_sanitized(outputs), sort_keys=True)


def sanitize(text: str, rules: Sequence[tuple[str, str]] | None = None) -> str:
    """Apply the rules, those of tests/sanitize.cfg unless given, in their order."""
    for pattern, replacement in sanitize_rules() if rules is None else rules:
        text = re.sub(pattern, replacement, text)
    return text


@cache
def sanitize_rules() -> list[tuple[str, str]]:
    """Patterns and what replaces them, as nbval reads them."""
    return get_sanitize_patterns(SANITIZE.read_text(encoding="ascii"))


def _sanitized(value: Any) -> Any:
    if isinstance(value, str):
        return sanitize(value)
    if isinstance(value, dict):
        return {key: _sanitized(part) for key, part in value.items()}
    return [_sanitized(part) for part in value] if isinstance(value, list) else value


def _frame(notebook: NotebookNode) -> list[Any]:
    """All of a notebook that is neither output nor widget."""
    cells = [(c.get("id"), c.cell_type, c.source, c.metadata) for c in notebook.cells]
    return [{k: v for k, v in notebook.metadata.items() if k != "widgets"}, cells]


if __name__ == "__main__":
    sys.exit(main())
