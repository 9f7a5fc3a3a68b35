"""The repository as a whole: no secrets, no machine's paths, and documents that tell the truth."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from packaging.requirements import Requirement

from heroes.app import app
from tests.support.notebook_rules import ODD_WORDS
from tools.notebooks import LEAKS, NOTEBOOKS, ROOT, read

LARGEST = 8 * 1024 * 1024
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
# Tests plant keys and paths, to see that they are found.
PLANTED = ("tests/",)
TARGET = re.compile(r"^([a-z][\w-]*):", re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def repository_files() -> list[Path]:
    """What belongs to the repository: all that git does not ignore."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
        names = [name for name in done.stdout.decode().split("\0") if name]
    except (OSError, subprocess.CalledProcessError):  # a downloaded copy, without git
        names = [path.relative_to(ROOT).as_posix() for path in walk(ROOT)]
    return sorted(path for name in names if (path := ROOT / name).is_file())


def walk(folder: Path) -> Iterator[Path]:
    """The files below, but for what commands make."""
    for path in folder.iterdir():
        if path.is_dir():
            made = path.name.startswith(".") and path.name != ".ci"
            if not made and path.name not in ("build", "dist", "__pycache__", "my"):
                yield from walk(path)
        elif not path.name.startswith(".env") or path.name == ".env.example":
            yield path


FILES = repository_files()


def text_of(path: Path) -> str | None:
    """The file's text, or None if it is no text."""
    data = path.read_bytes()
    if b"\0" in data[:4096]:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


TEXTS = {path.relative_to(ROOT).as_posix(): text for path in FILES if (text := text_of(path))}


def test_the_files_were_found() -> None:
    assert {"README.md", "Makefile", "helpers/connect.py", "sandbox/__main__.py"} <= TEXTS.keys()


@pytest.mark.parametrize("what", ["a key", "an organisation id"])
def test_no_file_holds_a_secret(what: str) -> None:
    found = {
        name: match[0][:14]
        for name, text in TEXTS.items()
        if not name.startswith(PLANTED) and (match := LEAKS[what].search(text))
    }
    assert not found


def test_no_test_holds_a_key_that_could_be_real() -> None:
    """Planted keys are put together from pieces or are plainly no keys."""
    for name, text in TEXTS.items():
        for match in LEAKS["a key"].finditer(text):
            assert len(set(match[0])) < 24, f"{name}: {match[0][:14]}..."


def test_no_file_holds_a_path_of_a_machine() -> None:
    found = {
        name: match[0]
        for name, text in TEXTS.items()
        if not name.startswith(PLANTED) and (match := LEAKS["a path of the machine"].search(text))
    }
    assert not found


def test_no_file_is_large() -> None:
    assert not [f"{path.name}" for path in FILES if path.stat().st_size > LARGEST]


def test_text_files_end_their_lines_as_on_every_system() -> None:
    assert not [name for name, text in TEXTS.items() if "\r\n" in text]


def test_the_licence_is_there() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert text.startswith("MIT License")
    assert "Permission is hereby granted" in text


def requirements() -> list[Requirement]:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line.split("#")[0]) for line in lines if line.split("#")[0].strip()]


def pins() -> list[Requirement]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_requirements_and_constraints_agree() -> None:
    exact = {plain(pin.name): next(iter(pin.specifier)) for pin in pins()}
    assert len(exact) == len(pins()), "a package is pinned twice"
    assert all(pin.operator == "==" for pin in exact.values())
    for wanted in requirements():
        pin = exact.get(plain(wanted.name))
        assert pin is not None, f"{wanted.name} is not pinned"
        assert wanted.specifier.contains(pin.version), f"{wanted} but {pin}"


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+)", changes, re.MULTILINE)
    assert newest is not None
    assert newest[1] == project["version"]


def documented_commands() -> Iterator[str]:
    """Each line of a code block and each piece of code in a sentence, in documents and lessons."""
    texts = [path.read_text(encoding="utf-8") for path in DOCUMENTS]
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        texts += [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]
    for text in texts:
        for block in re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL):
            yield from (line.split("#")[0].strip() for line in block.splitlines())
        yield from re.findall(r"`([^`\n]+)`", text)


def commands(program: str) -> set[str]:
    """What follows the program's name in the documented commands that call it."""
    # As `make run`, `.venv/bin/heroes doctor`, `.venv\Scripts\python -m jupyter lab`.
    pattern = re.compile(rf"(?:\S*[/\\])?{program} +([\w-].*)")
    return {m[1].strip() for command in documented_commands() if (m := pattern.fullmatch(command))}


def test_every_documented_target_exists() -> None:
    targets = set(TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))
    used = {word for line in commands("make") for word in line.split() if "=" not in word}
    assert {"run", "lab", "test"} <= used
    assert used <= targets, f"not in the Makefile: {used - targets}"


def test_every_target_is_documented() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    told = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8") + makefile.split("help:\n")[1]
    for target in set(TARGET.findall(makefile)) - {"help"}:
        assert f"make {target}" in told, f"nobody is told about make {target}"


def test_every_documented_python_command_exists() -> None:
    used = commands(r"python(?:3(?:\.\d+)?)?")
    assert used
    for line in used:
        words = line.split()
        if words[0] == "-m":
            module = words[1].split(".")[0] if words[1] == "jupyter" else words[1]
            assert importlib.util.find_spec(module), f"python {line}"
        elif words[0].endswith(".py"):
            assert (ROOT / words[0].replace("\\", "/")).is_file(), f"python {line}"


def test_every_documented_heroes_command_exists() -> None:
    used = commands("heroes")
    assert used
    for line in used:
        command = typer.main.get_command(app)
        for word in line.split():
            if word.startswith("-") or not hasattr(command, "commands"):
                break
            assert word in command.commands, f"heroes {line}"
            command = command.commands[word]


@pytest.mark.parametrize("path", [*DOCUMENTS, ROOT / "CHANGELOG.md"], ids=lambda path: path.name)
def test_links_in_documents_lead_somewhere(path: Path) -> None:
    targets = LINK.findall(path.read_text(encoding="utf-8"))
    local = [target.split("#")[0] for target in targets if not target.startswith("http")]
    assert not [target for target in local if target and not (ROOT / target).exists()]


def test_the_readme_names_every_notebook() -> None:
    named = set(re.findall(r"notebooks/(\w+\.ipynb)", (ROOT / "README.md").read_text()))
    assert named == {path.name for path in NOTEBOOKS.glob("*.ipynb")}


def test_documents_and_quizzes_use_the_fields_own_words() -> None:
    """As the notebooks do, which have a rule of their own."""
    found = {
        name: match[0]
        for name, text in TEXTS.items()
        if name.endswith(".md") or name.startswith(("course/quizzes/", "course/exercises.toml"))
        if (match := ODD_WORDS.search(text))
    }
    assert not found


def test_the_readme_is_short() -> None:
    text = re.sub(r"[|`*#\-]", " ", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(text.split()) <= 900
