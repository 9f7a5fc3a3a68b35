"""Signature drift: every call on the SDK that the course makes exists in the SDK as installed.

When a release renames a method or a keyword, this test says so before a learner finds out. It
reads the code without running it: the notebooks' cells, the solutions in their text, and our own
modules.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI

from helpers.providers import PROVIDERS
from tests.support.notebook_rules import code_cells, markdown, parse
from tools.notebooks import ROOT, find_notebooks, read

SYNC = OpenAI(api_key="none")
CLIENTS = {"OpenAI": SYNC, "AsyncOpenAI": AsyncOpenAI(api_key="none")}
FOLDERS = ("helpers", "course", "heroes", "scripts", "tools", "bench")
MODULES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
FENCE = re.compile(r"```python\n(.*?)```", re.DOTALL)
# What gives a client: a variable that is given one, or annotated as one, is known as a client.
MAKERS = ("connect", "connect_async", "with_options", "OpenAI", "AsyncOpenAI")


@dataclass
class SdkCall:
    """One call: the path from the client to the method, and the keywords that it is given."""

    path: tuple[str, ...]
    line: int
    positional: int = 0
    keywords: list[str] = field(default_factory=list)

    def problems(self) -> Iterator[str]:
        """What the installed SDK would not accept, in both of its clients."""
        for name, client in CLIENTS.items():
            for problem in self._problems_with(client):
                yield f"line {self.line}: {name}().{'.'.join(self.path)}: {problem}"

    def _problems_with(self, client: object) -> Iterator[str]:
        method: Any = client
        for step in self.path:
            if not hasattr(method, step):
                yield f"there is no {step}"
                return
            method = getattr(method, step)
        parameters = inspect.signature(method).parameters.values()
        names = {p.name for p in parameters if p.kind is not p.POSITIONAL_ONLY}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            yield from (f"there is no {word}=" for word in self.keywords if word not in names)
        places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        if self.positional > len(places) and not any(
            p.kind is p.VAR_POSITIONAL for p in parameters
        ):
            yield f"it takes {len(places)} values without a name, not {self.positional}"


def sdk_calls(tree: ast.Module) -> Iterator[SdkCall]:
    """Every call on a client of the SDK, or on something that is reached through one."""
    dicts, clients = literal_dicts(tree), client_names(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if path := sdk_path(chain(node.func), clients):
            yield SdkCall(path, node.lineno, positional(node), list(keywords(node, dicts)))


def sdk_path(names: tuple[str, ...], clients: set[str]) -> tuple[str, ...]:
    """The path from the client on; empty if this is no call on the SDK."""
    if names[-1] == "with_options":
        return names[-1:]
    if "with_options" in names:  # it gives another client
        return names[names.index("with_options") + 1 :]
    if names[0] in clients:
        return names[1:]
    return names[2:] if names[:2] == ("self", "client") else ()


def chain(node: ast.expr) -> tuple[str, ...]:
    """`client.with_options(…).files.create` as its names; "" means anything else."""
    if isinstance(node, ast.Attribute):
        return (*chain(node.value), node.attr)
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Call) and (names := chain(node.func))[-1] == "with_options":
        return names
    return ("",)


def client_names(tree: ast.Module) -> set[str]:
    """The variables that hold a client: given one, opened as one, or annotated as one."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and makes_client(node.value):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.withitem) and makes_client(node.context_expr):
            names |= {node.optional_vars.id} if isinstance(node.optional_vars, ast.Name) else set()
        elif isinstance(node, ast.arg) and isinstance(node.annotation, ast.Name | ast.Attribute):
            names |= {node.arg} if chain(node.annotation)[-1] in MAKERS else set()
    return names


def makes_client(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
        return False
    return chain(node.func)[-1] in MAKERS


def positional(call: ast.Call) -> int:
    """How many values are given without a name; `...` says that something is left out."""
    told = [a for a in call.args if not (isinstance(a, ast.Constant) and a.value is ...)]
    return sum(not isinstance(argument, ast.Starred) for argument in told)


def keywords(call: ast.Call, dicts: list[tuple[int, str, set[str]]]) -> Iterator[str]:
    """The keywords of a call, those out of a literal dictionary `**request` included."""
    for keyword in call.keywords:
        if keyword.arg:
            yield keyword.arg
        elif isinstance(keyword.value, ast.Name):
            name, line = keyword.value.id, call.lineno
            above = [keys for at, known, keys in dicts if known == name and at <= line]
            yield from sorted(above[-1] if above else ())


def literal_dicts(tree: ast.Module) -> list[tuple[int, str, set[str]]]:
    """The dictionaries that are written out and given a name: line, name and text keys."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Dict):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            keys = {k.value for k in node.value.keys if isinstance(k, ast.Constant)}
            texts = {key for key in keys if type(key) is str}
            found += [(node.lineno, t.id, texts) for t in targets if isinstance(t, ast.Name)]
        elif isinstance(node, ast.arg):
            found.append((node.lineno, node.arg, set()))  # what a caller hands in is not known
    return sorted(found, key=lambda each: each[0])


def notebook_code(path: Path) -> ast.Module:
    """A notebook's cells and the solutions in its text, as one module."""
    notebook = read(path)
    sources = [cell.source for cell in code_cells(notebook)]
    fenced = [code for text in markdown(notebook) for code in FENCE.findall(text)]
    sources += [textwrap.dedent(code) for code in fenced]
    return parse("\n\n".join(source for source in sources if is_python(source)))


def is_python(source: str) -> bool:
    """A fragment that is shown as an example need not be a whole program."""
    try:
        parse(source)
    except SyntaxError:
        return False
    return True


PLACES = [*find_notebooks(), *sorted(MODULES)]


def calls_in(path: Path) -> list[SdkCall]:
    if path.suffix == ".ipynb":
        return list(sdk_calls(notebook_code(path)))
    return list(sdk_calls(parse(path.read_text(encoding="utf-8"))))


@pytest.mark.parametrize("path", PLACES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_every_call_fits_the_installed_sdk(path: Path) -> None:
    problems = [problem for call in calls_in(path) for problem in call.problems()]
    assert not problems, "\n".join(problems)


def test_the_calls_of_the_lesson_were_found() -> None:
    """So that the test above cannot pass because it looks at nothing."""
    found = {call.path for path in find_notebooks() for call in calls_in(path)}
    lesson = {
        ("chat", "completions", "create"),
        ("completions", "create"),
        ("files", "create"),
        ("fine_tuning", "jobs", "create"),
        ("fine_tuning", "jobs", "retrieve"),
        ("fine_tuning", "jobs", "list"),
        ("fine_tuning", "jobs", "list_events"),
        ("fine_tuning", "jobs", "cancel"),
        ("fine_tuning", "jobs", "checkpoints", "list"),
        ("with_options",),
    }
    assert lesson <= found, f"not found: {lesson - found}"
    in_helpers = {call.path for path in MODULES for call in calls_in(path)}
    assert ("fine_tuning", "jobs", "create") in in_helpers


def test_the_options_that_settings_add_exist() -> None:
    create = inspect.signature(SYNC.chat.completions.create).parameters
    for provider in PROVIDERS.values():
        model = provider.generator_model or "gpt-6-luna"
        assert provider.chat_options(model).keys() <= create.keys()


GOOD = [
    "client.files.create(file=path, purpose='fine-tune')",
    "client.with_options(max_retries=0).fine_tuning.jobs.retrieve(job_id, timeout=5)",
    "me = connect_async()\nawait me.chat.completions.create(model=m, messages=[], seed=1)",
    "client.fine_tuning.jobs.checkpoints.list(job.id, limit=3)",
    "client.completions.with_raw_response.create(model=m, prompt='x')",
    "with OpenAI() as ai:\n    ai.with_raw_response.models.list()",
    "self.client.models.delete(name)",
    "def show(them: openai.OpenAI): them.models.retrieve('x')",
    "once = client.with_options(max_retries=0)\nonce.fine_tuning.jobs.create(...)",
    "request = {'model': m, 'suffix': s}\nclient.fine_tuning.jobs.create(**request)",
    "r = {'file': f}\nr = {'model': m}\nclient.fine_tuning.jobs.create(**r)\nr = {'x': 1}",
]
BAD = [
    ("client.files.create(file=path, purpos='fine-tune')", "no purpos="),
    ("client.fine_tunes.create(training_file=f)", "there is no fine_tunes"),
    ("ai = connect()\nai.file.create(file=f)", "there is no file"),
    ("client.fine_tuning.job.create(model=m)", "there is no job"),
    ("client.fine_tuning.jobs.follow(job.id)", "there is no follow"),
    ("me = OpenAI()\nme.chat.completions.create(model=m, messages=[], max_token=5)", "max_token="),
    ("client.with_options(retries=0)", "no retries="),
    ("client.with_options(max_retries=0).files.list(pages=1)", "no pages="),
    ("client.models.with_raw_response.find(name)", "there is no find"),
    ("client.files.delete(one, two)", "takes 1 values"),
    ("request: dict = {'modle': m}\nclient.fine_tuning.jobs.create(**request)", "no modle="),
    ("r = {'model': m}\nr = {'modle': m}\nclient.fine_tuning.jobs.create(**r)", "no modle="),
]


@pytest.mark.parametrize("code", GOOD)
def test_a_good_call_is_found_and_fits(code: str) -> None:
    calls = list(sdk_calls(parse(f"client = connect()\n{code}")))
    assert calls
    assert not [problem for call in calls for problem in call.problems()]


@pytest.mark.parametrize(("code", "wanted"), BAD)
def test_a_call_that_does_not_fit_is_noticed(code: str, wanted: str) -> None:
    tree = parse(f"client = connect()\n{code}")
    problems = [problem for call in sdk_calls(tree) for problem in call.problems()]
    assert any(wanted in problem for problem in problems), problems


def test_other_objects_are_not_taken_for_the_sdk() -> None:
    code = "frame.groupby(by=1)\nfiles.create(a=1)\nself.completions.add(1)\nclient.sendall(b'')"
    assert list(sdk_calls(parse(code))) == []
