"""The plan of the house: who imports whom, no circles, and sizes that only ever go down.

Most of it reads the source with `ast`; two tests import in a process of their own and look.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

# At most so many lines in all, and in one file. Lower a number when you have reached less.
LINES = {
    "helpers": (2_000, 150),
    "course": (1_800, 260),
    "heroes": (1_500, 260),
    "tools bench docs scripts": (2_200, 260),
    "sandbox": (11_072, 370),
}
CONNECT_MODULES = 5  # ours, that `import helpers.connect` loads
FIRST_NOTEBOOK_LINES = 1_300  # in the modules of ours that notebook 00 loads
KNOWN_CIRCLES = {"sandbox.api": 14}  # a package whose modules import each other: how many may

# What the modules of a folder (or of a package in it) may import of ours.
MAY_IMPORT = {
    "helpers": {"helpers"},
    "course": {"course", "helpers"},
    "heroes": {"heroes", "course", "helpers"},
    "sandbox": {"sandbox"},
    "sandbox.store": {"sandbox.store"},
    "sandbox.engine": {"sandbox.engine", "sandbox.store"},
    "sandbox.base_model": {"sandbox.base_model"},
    "tools": {"tools", "course", "helpers", "sandbox"},
    "bench": {"bench", "course", "helpers", "sandbox"},
    "docs": {"docs", "tools", "heroes", "course", "helpers"},
    "scripts": {"course", "helpers"},
    "notebooks": {"course", "helpers"},
}
FOLDERS = sorted({name.partition(".")[0] for name in MAY_IMPORT} - {"notebooks"})
# In these, imports of ours inside functions are allowed: a quick --help, and torch only where used.
LATE_IMPORTS = ("heroes", "sandbox", "bench")
# A package that is part of one that requirements.txt names.
COMES_WITH = {
    "IPython": "jupyterlab",
    "ipykernel": "jupyterlab",
    "jupyter_client": "nbclient",
    "docutils": "sphinx",
    "starlette": "fastapi",
    "pydantic_core": "pydantic",
    "huggingface_hub": "transformers",
}
# Installed by `python -m bench` where it is measured, and a module of ours that Sphinx loads.
NOT_DECLARED = {"datasets", "trl", "course_notebooks"}


class Import(NamedTuple):
    """One imported name, in which line, and whether inside a function."""

    name: str
    line: int
    inside: bool


def files(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(source: str) -> Iterator[Import]:
    def walk(node: ast.AST, inside: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(each.name, child.lineno, inside) for each in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert not child.level, f"line {child.lineno}: write the whole name of the module"
                for each in child.names:
                    yield Import(f"{child.module}.{each.name}", child.lineno, inside)
            function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from walk(child, inside or function)

    yield from walk(ast.parse(source), False)


@cache
def modules() -> dict[str, Path]:
    return {module_of(path): path for folder in FOLDERS for path in files(folder)}


@cache
def imported(path: Path) -> list[Import]:
    return list(imports(path.read_text(encoding="utf-8")))


def code_of(notebook: Path) -> list[str]:
    """The code of a notebook: its cells, and the solutions in its text."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    texts = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    fences = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
    code = [text for kind, text in texts if kind == "code"]
    code += [found for kind, text in texts if kind == "markdown" for found in fences.findall(text)]
    return [re.sub(r"^(\s*)[%!].*", r"\1pass", text, flags=re.MULTILINE) for text in code]


def notebook_imports(notebook: Path) -> list[Import]:
    return [each for code in code_of(notebook) for each in imports(code)]


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


@pytest.mark.parametrize("place", MAY_IMPORT)
def test_imports_go_one_way(place: str) -> None:
    if place == "notebooks":
        found = {path.name: notebook_imports(path) for path in NOTEBOOKS}
    else:
        paths = {name: path for name, path in modules().items() if within(name, place)}
        found = {name: imported(path) for name, path in paths.items()}
    assert found, f"There is nothing in {place}."
    wrong = [
        f"{name}, line {each.line}: {each.name}"
        for name, all_of_it in found.items()
        for each in all_of_it
        if each.name.partition(".")[0] in FOLDERS
        and not any(within(each.name, package) for package in MAY_IMPORT[place])
    ]
    assert not wrong, f"{place} may import {sorted(MAY_IMPORT[place])} of ours only"


def test_imports_of_ours_are_at_the_top() -> None:
    wrong = [
        f"{name}, line {each.line}: {each.name}"
        for name, path in modules().items()
        for each in imported(path)
        if each.inside and each.name.partition(".")[0] in FOLDERS
        if name.partition(".")[0] not in LATE_IMPORTS
    ]
    assert not wrong


def test_the_store_needs_only_python() -> None:
    wrong = [
        f"{path.name}: {each.name}"
        for path in files("sandbox/store")
        for each in imported(path)
        if (top := each.name.partition(".")[0]) != "sandbox" and top not in sys.stdlib_module_names
    ]
    assert not wrong


def test_no_module_leads_back_to_itself() -> None:
    ours = modules()
    # `from a import b` leads to the module a.b if there is one, else to a.
    leads_to = {
        name: {
            each.name if each.name in ours else each.name.rpartition(".")[0]
            for each in imported(path)
        }
        & (set(ours) - {name})
        for name, path in ours.items()
    }

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        left = list(leads_to[start])
        while left:
            if (name := left.pop()) not in seen:
                seen.add(name)
                left += leads_to[name]
        return seen

    beyond = {name: reached(name) for name in ours}
    circles = {frozenset(n for n in beyond[name] if name in beyond[n]) for name in ours} - {
        frozenset()
    }
    for package, most in KNOWN_CIRCLES.items():
        known = {circle for circle in circles if all(within(name, package) for name in circle)}
        assert sum(map(len, known)) <= most, f"the circle in {package} has grown"
        circles -= known
    assert not [sorted(circle) for circle in circles]


@pytest.mark.parametrize("folders", LINES)
def test_sizes_only_go_down(folders: str) -> None:
    most, most_in_one = LINES[folders]
    lengths = {
        path.relative_to(ROOT).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for folder in folders.split()
        for path in files(folder)
    }
    assert not {name: lines for name, lines in lengths.items() if lines > most_in_one}
    assert sum(lengths.values()) <= most


def loaded_by(source: str) -> dict[str, int]:
    """The modules of ours that this code loads, with their lines, seen in a fresh process."""
    code = f"{source}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    names = set(json.loads(run.stdout.splitlines()[-1])) & set(modules())
    return {n: len(modules()[n].read_text(encoding="utf-8").splitlines()) for n in sorted(names)}


def test_connect_is_small() -> None:
    found = set(loaded_by("import helpers.connect")) - {"helpers"}
    assert len(found) <= CONNECT_MODULES, sorted(found)


def test_the_first_notebook_pulls_in_little() -> None:
    names = {each.name for each in notebook_imports(NOTEBOOKS[0])}
    ours = {name.rpartition(".")[0] for name in names if name.partition(".")[0] in FOLDERS}
    # `from course.exercises import step_00` names a module, all the others name what is in one.
    ours |= names & set(modules())
    found = loaded_by("\n".join(f"import {name}" for name in sorted(ours)))
    assert sum(found.values()) <= FIRST_NOTEBOOK_LINES, found


def test_every_package_that_is_imported_is_declared() -> None:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    declared = {name.lower() for name in re.findall(r"^[A-Za-z][\w.-]*", text, re.MULTILINE)}
    makers = packages_distributions()
    found = [(name, each) for name, path in modules().items() for each in imported(path)]
    found += [(path.name, each) for path in NOTEBOOKS for each in notebook_imports(path)]
    tops = {each.name.partition(".")[0]: where for where, each in found}
    for ours in {*FOLDERS, *sys.stdlib_module_names, *NOT_DECLARED}:
        tops.pop(ours, None)
    undeclared = {
        top: where
        for top, where in tops.items()
        if not {COMES_WITH.get(top, top).lower(), *map(str.lower, makers.get(top, []))} & declared
    }
    assert not undeclared, "Add it to requirements.txt, with a word on what needs it."


def test_contributing_names_every_folder() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    folders = {name.partition("/")[0] for name in listed if "/" in name and name[0] != "."}
    assert not {folder for folder in folders if f"`{folder}/" not in text}
