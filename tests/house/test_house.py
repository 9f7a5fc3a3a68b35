"""The rules of the repository: who imports whom, no circles, and sizes that only go down."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import NamedTuple

import pytest

from conftest import LONGEST_FIRST

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

# At most so many lines in all, and in one file. Lower a number when you have reached less.
LINES = {
    "helpers": (3_885, 213),
    "course": (3_499, 230),
    "heroes": (3_621, 165),
    "tools bench docs scripts": (4_331, 232),
    "sandbox": (12_830, 300),
}
CONNECT_MODULES = 5  # ours, that `import helpers.connect` loads
FIRST_NOTEBOOK_LINES = 3_920  # in the modules of ours that notebook 00 loads

# What the modules of a folder, or of a package in it, may import of ours.
MAY_IMPORT = {
    "helpers": {"helpers"},
    "course": {"course", "helpers"},
    "heroes": {"heroes", "course", "helpers"},
    "sandbox": {"sandbox"},
    "sandbox.store": {"sandbox.store"},
    "sandbox.engine": {"sandbox.engine", "sandbox.bases", "sandbox.parameters", "sandbox.store"},
    "sandbox.engine.trainer": {
        "sandbox.engine.trainer",
        "sandbox.engine.text",
        "sandbox.engine.load",
        "sandbox.engine.pipe",
    },
    "sandbox.base_model": {"sandbox.base_model"},
    "tools": {"tools", "course", "helpers", "sandbox"},
    "bench": {"bench", "course", "helpers", "sandbox", "tools"},
    "docs": {"docs", "tools", "heroes", "course", "helpers"},
    "scripts": {"course", "helpers"},
    "notebooks": {"course", "helpers"},
}
FOLDERS = {name.partition(".")[0] for name in MAY_IMPORT} - {"notebooks"}
# In these, imports of ours inside functions are allowed: a quick --help, and torch only where used.
LATE_IMPORTS = {"heroes", "sandbox", "bench"}
# A package that is part of one that requirements.txt names.
COMES_WITH = {
    "IPython": "jupyterlab",
    "ipykernel": "jupyterlab",
    "jupyter_client": "nbclient",
    "docutils": "sphinx",
    "starlette": "fastapi",
    "h11": "uvicorn",
    "httpx2": "openai",
    "pydantic_core": "pydantic",
    "huggingface_hub": "transformers",
}
# Installed by `python -m bench` where they are measured, and a module of ours that Sphinx loads.
NOT_DECLARED = {"datasets", "trl", "course_notebooks"}


class Import(NamedTuple):
    """One imported name: in which module or notebook, in which line, inside a function or not."""

    where: str
    line: int
    name: str
    inside: bool

    @property
    def top(self) -> str:
        return self.name.partition(".")[0]


def imports(where: str, node: ast.AST, inside: bool = False) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            stem = f"{child.module}." if isinstance(child, ast.ImportFrom) else ""
            yield from (Import(where, child.lineno, stem + n.name, inside) for n in child.names)
        function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        yield from imports(where, child, inside or function)


def code_of(notebook: Path) -> str:
    """The code of a notebook: its cells, and the solutions in its text."""
    code = []
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        fenced = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
        code += [text] if cell["cell_type"] == "code" else fenced
    return "\n".join(code)


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for folder in sorted(FOLDERS)
    for path in sorted((ROOT / folder).rglob("*.py"))
}
SOURCES = {name: path.read_text(encoding="utf-8") for name, path in MODULES.items()}
SOURCES |= {f"notebooks.{path.stem}": code_of(path) for path in NOTEBOOKS}
IMPORTS = {name: list(imports(name, ast.parse(source))) for name, source in SOURCES.items()}
ALL = [each for found in IMPORTS.values() for each in found]


@pytest.mark.parametrize("place", MAY_IMPORT)
def test_imports_go_one_way(place: str) -> None:
    found = [each for each in ALL if within(each.where, place) and each.top in FOLDERS]
    allowed = MAY_IMPORT[place]
    assert found or place == "sandbox.base_model", f"{place} imports nothing of ours?"
    assert not [e for e in found if not any(within(e.name, package) for package in allowed)]


def test_imports_of_ours_are_at_the_top() -> None:
    late = [each for each in ALL if each.inside and each.top in FOLDERS]
    assert not [e for e in late if e.where.partition(".")[0] not in {*LATE_IMPORTS, "notebooks"}]


def test_the_store_needs_only_python() -> None:
    found = [each for each in ALL if within(each.where, "sandbox.store")]
    assert found
    assert {each.top for each in found} <= {"sandbox", *sys.stdlib_module_names}


def test_no_module_leads_back_to_itself() -> None:
    """Imports for type checkers count, too."""

    def with_packages(name: str) -> set[str]:
        # Importing a.b.c runs a and a.b first.
        parts = name.split(".")
        return {".".join(parts[:end]) for end in range(1, len(parts) + 1)}

    leads_to = {
        name: {each for e in IMPORTS[name] for each in with_packages(e.name)}
        & (set(MODULES) - {name})
        for name in MODULES
    }

    def reached_from(start: str) -> set[str]:
        seen: set[str] = set()
        left = [start]
        while left:
            new = leads_to[left.pop()] - seen
            seen |= new
            left += new
        return seen

    reached = {name: reached_from(name) for name in MODULES}
    in_circle = {name for name in MODULES if name in reached[name]}
    assert not in_circle


@pytest.mark.parametrize("folders", LINES)
def test_sizes_only_go_down(folders: str) -> None:
    most, most_in_one = LINES[folders]
    paths = [path for folder in folders.split() for path in (ROOT / folder).rglob("*.py")]
    lengths = {path.relative_to(ROOT).as_posix(): lines_of(path) for path in paths}
    total = sum(lengths.values())
    assert not {name: lines for name, lines in lengths.items() if lines > most_in_one}
    assert total <= most


def loaded_by(names: set[str]) -> dict[str, int]:
    """The modules of ours that a fresh process has after these imports, with their lines."""
    code = "import sys\n" + "".join(f"import {name}\n" for name in sorted(names))
    command = [sys.executable, "-c", code + "print(*sys.modules)"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    return {name: lines_of(MODULES[name]) for name in run.stdout.split() if name in MODULES}


def test_connect_loads_few_modules() -> None:
    found = set(loaded_by({"helpers.connect"})) - {"helpers"}
    assert len(found) <= CONNECT_MODULES, sorted(found)


def test_the_first_notebook_loads_little() -> None:
    names = {
        e.name for e in ALL if e.where == f"notebooks.{NOTEBOOKS[0].stem}" and e.top in FOLDERS
    }
    lengths = loaded_by({name if name in MODULES else name.rpartition(".")[0] for name in names})
    total = sum(lengths.values())
    assert total <= FIRST_NOTEBOOK_LINES, lengths


def test_every_package_that_is_imported_is_declared() -> None:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    declared = {name.lower() for name in re.findall(r"^[A-Za-z][\w.-]*", text, re.MULTILINE)}
    makers = packages_distributions()
    tops = {each.top: each.where for each in ALL}
    undeclared = {
        top: where
        for top, where in tops.items()
        if top not in FOLDERS | NOT_DECLARED | sys.stdlib_module_names
        if not {COMES_WITH.get(top, top).lower(), *map(str.lower, makers.get(top, []))} & declared
    }
    assert not undeclared, "Add it to requirements.txt, with a word on what needs it."


def test_the_files_that_are_tested_first_are_there() -> None:
    found = [*(ROOT / "tests").rglob("test_*.py"), *NOTEBOOKS]
    assert set(LONGEST_FIRST) <= {path.stem for path in found}


def test_contributing_names_every_folder() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    command = ["git", "ls-tree", "-d", "--name-only", "HEAD"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    folders = {name for name in run.stdout.split() if not name.startswith(".")}
    assert not {folder for folder in folders if f"`{folder}/" not in text}
