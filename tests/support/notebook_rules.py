"""The rules that every notebook of the course keeps, each a function that tells what is wrong."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from nbformat import NotebookNode

from tools.notebooks import NOTEBOOKS, ROOT, code_cells, output_problems, output_text, tags

IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)\s]+)[^)]*\)")
HTML_IMAGE = re.compile(r"<img\b[^>]*>", re.IGNORECASE)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)[^)]*\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
MODEL_NAME = re.compile(r"(ft:|gpt-|chatgpt-|o\d(-|$)|text-davinci|davinci|babbage|superhero-mini)")
NOT_COMPARED = {"nbval-ignore-output", "nbval-skip"}
KNOWN_TAGS = NOT_COMPARED | {"raises-exception", "re-entry"}
MEDIAN_LINES, NINETIETH_LINES = 8, 20
MOST_WORDS, MOST_IMPORTS = 1_600, 6
# A number or a quotation in prose, and the cell whose output it comes from.
CLAIM = re.compile(r"(.*?)<!-- cell: ([\w-]+) -->", re.DOTALL)
CLAIMED = re.compile(r"(?:[\"“*`]([^\"“”*`]+)[\"”*`]+|(\d[\d,.]*\d|\d)(?: ?%)?)[\s.,;:)*]*$")
# Words that had replaced the field's terms, or make a text sound translated.
ODD_WORDS = re.compile(
    r"\b(diary|exam|exams|cram|crammer|cramming|by heart|recites?|draws? lots|purse|shall|mend|"
    r"mended|whoever|be it ever|honesty is due|stands? in the)\b",
    re.IGNORECASE,
)

Rule = Callable[[NotebookNode, Path], Iterator[str]]


def markdown(notebook: NotebookNode) -> list[str]:
    """The texts of the markdown cells."""
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def not_compared(notebook: NotebookNode) -> list[str]:
    """The ids of the cells whose outputs the tests do not compare."""
    return [cell.id for cell in code_cells(notebook) if NOT_COMPARED & tags(cell)]


def every_cell_was_run_in_order(notebook: NotebookNode, path: Path) -> Iterator[str]:
    """Without this, nbval compares nothing and passes."""
    counts = [cell.execution_count for cell in code_cells(notebook)]
    if not counts:
        yield "it has no code"
    elif counts != list(range(1, len(counts) + 1)):
        yield f"the cells were not run once each, in order: {counts}"


def errors_are_where_they_belong(notebook: NotebookNode, path: Path) -> Iterator[str]:
    for number, cell in enumerate(code_cells(notebook), start=1):
        failed = any(output.output_type == "error" for output in cell.outputs)
        if "raises-exception" in tags(cell) and not failed:
            yield f"code cell {number} should raise an exception, and none is stored"
        if unknown := tags(cell) - KNOWN_TAGS:
            yield f"code cell {number} has unknown tags: {', '.join(sorted(unknown))}"


def outputs_can_be_shown(notebook: NotebookNode, path: Path) -> Iterator[str]:
    yield from output_problems(notebook)
    for number, cell in enumerate(code_cells(notebook), start=1):
        if any("site-packages" in output_text(output) for output in cell.outputs):
            yield f"code cell {number} shows the inside of a library (a warning or a traceback)"


def it_is_framed(notebook: NotebookNode, path: Path) -> Iterator[str]:
    """Title, road map, what you will do, and at the end what you did and where to go next."""
    texts = markdown(notebook)
    opening = "\n".join(texts[:4])
    if not re.match(r"# \S", notebook.cells[0].source if texts else ""):
        yield "the first cell is not a title"
    if f"images/road_{path.name[:2]}" not in opening:
        yield "the road map is not at the top"
    for phrase in ("You will", "You need"):
        if phrase not in opening:
            yield f"'{phrase}' is not at the top"
    if not re.search(r"^## (What you did|Recap)", "\n".join(texts[-2:]), re.MULTILINE):
        yield "there is no '## What you did' at the end"
    later = [other.name for other in sorted(NOTEBOOKS.glob("*.ipynb")) if other.name > path.name]
    if later and later[0] not in "\n".join(texts[-2:]):
        yield f"the end does not lead on to {later[0]}"
    if unfinished := set(re.findall(r"\b(MINUTES|TODO|FIXME|XXX|TBD)\b", "\n".join(texts))):
        yield f"it is not finished: {', '.join(sorted(unfinished))}"


def it_has_exercises(notebook: NotebookNode, path: Path) -> Iterator[str]:
    checks = sum(".check(" in cell.source for cell in code_cells(notebook))
    solutions = sum(text.count("<details>") for text in markdown(notebook))
    if min(checks, solutions) < 2:
        yield f"it has {checks} checked exercises and {solutions} solutions, two at least are due"


def its_exercises_are_open(notebook: NotebookNode, path: Path) -> Iterator[str]:
    """An exercise as it is handed out must fail its own check, in the same words every time."""
    for number, cell in enumerate(code_cells(notebook), start=1):
        said = "".join(output_text(output) for output in cell.outputs)
        if re.search(r"^\w[\w.]*\.check\(", cell.source, re.MULTILINE) and "not yet" not in said:
            yield f"the exercise in code cell {number} is not open: its output has no 'not yet'"


def its_cells_are_small(notebook: NotebookNode, path: Path) -> Iterator[str]:
    lengths = [len(cell.source.splitlines()) for cell in code_cells(notebook)]
    median, ninetieth = np.median(lengths), np.percentile(lengths, 90)
    if median > MEDIAN_LINES or ninetieth > NINETIETH_LINES:
        yield f"its code cells are long: median {median:.0f} lines, nine in ten {ninetieth:.0f}"
    for first, second in zip(notebook.cells, notebook.cells[1:], strict=False):
        if first.cell_type == second.cell_type == "code":
            yield f"no word between the code cells {first.id} and {second.id}"


def its_code_is_plain(notebook: NotebookNode, path: Path) -> Iterator[str]:
    """Nothing that only works in some shells, on some systems, or with some models."""
    for number, cell in enumerate(code_cells(notebook), start=1):
        if re.search(r"^\s*[!%]", cell.source, re.MULTILINE):
            yield f"code cell {number} uses a magic or the shell"
            continue
        tree = parse(cell.source)
        for name in models_asked(tree):
            yield f"code cell {number} names the model {name}"
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        if names & {"input", "getpass"}:
            yield f"code cell {number} waits for the keyboard"


def models_asked(tree: ast.Module) -> Iterator[str]:
    """Models that a call or a request names literally; a price table may speak of any."""
    for node in ast.walk(tree):
        pairs: list[tuple[Any, ast.expr]] = []
        if isinstance(node, ast.Call):
            pairs = [(keyword.arg, keyword.value) for keyword in node.keywords]
        elif isinstance(node, ast.Dict):
            keys = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
            pairs = list(zip(keys, node.values, strict=True))
        for name, value in pairs:
            literal = value.value if isinstance(value, ast.Constant) else ""
            if name == "model" and MODEL_NAME.match(str(literal)):
                yield str(literal)


def parse(source: str) -> ast.Module:
    """The cell's syntax tree; `await` may be at the top."""
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    return compile(source, "<cell>", "exec", flags=flags, dont_inherit=True)


def it_is_short(notebook: NotebookNode, path: Path) -> Iterator[str]:
    words = sum(len(text.split()) for text in markdown(notebook))
    if words > MOST_WORDS:
        yield f"it has {words} words of prose, at most {MOST_WORDS} are wanted"
    for cell in list(code_cells(notebook))[:1]:
        nodes = parse(cell.source).body
        imports = sum(isinstance(node, ast.Import | ast.ImportFrom) for node in nodes)
        if imports > MOST_IMPORTS:
            yield f"its first cell has {imports} imports, at most {MOST_IMPORTS} are wanted"


def its_words_are_the_fields_own(notebook: NotebookNode, path: Path) -> Iterator[str]:
    for cell in notebook.cells:
        for word in ODD_WORDS.findall(CODE.sub("", cell.source)):
            yield f"cell {cell.id} says {word!r}"


def its_prose_says_what_its_outputs_say(notebook: NotebookNode, path: Path) -> Iterator[str]:
    """A number or a quotation with a marker occurs in the output of the cell that it names."""
    said = {
        cell.id: " ".join(" ".join(map(output_text, cell.outputs)).split())
        for cell in code_cells(notebook)
    }
    for text in markdown(notebook):
        for before, cell in CLAIM.findall(text):
            found = CLAIMED.search(before)
            claim = found and " ".join((found[1] or found[2]).split())
            if not claim:
                yield f"nothing is claimed in front of the marker of cell {cell}: {before[-40:]!r}"
            elif claim not in said.get(cell, ""):
                yield f"{claim!r} is not in the output of cell {cell}"


def its_pictures_have_words(notebook: NotebookNode, path: Path) -> Iterator[str]:
    for text in markdown(notebook):
        for alt, target in IMAGE.findall(text):
            if len(alt.split()) < 3:
                yield f"{target} has no description (alt text): {alt!r}"
        for tag in HTML_IMAGE.findall(text):
            if not re.search(r"\balt=[\"'][^\"']{10,}", tag):
                yield f"a picture has no description: {tag}"


def its_links_lead_somewhere(notebook: NotebookNode, path: Path) -> Iterator[str]:
    for text in markdown(notebook):
        prose = CODE.sub("", text)
        for target in [*LINK.findall(prose), *(found for _, found in IMAGE.findall(prose))]:
            if re.match(r"(https?:|mailto:|#)", target):
                continue
            goal = (path.parent / unquote(target.split("#")[0])).resolve()
            if not goal.exists() or ROOT not in goal.parents:
                yield f"nothing is at {target}"


def its_metadata_is_plain(notebook: NotebookNode, path: Path) -> Iterator[str]:
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        yield "its kernel is not python3"
    if "version" in notebook.metadata.get("language_info", {}):
        yield "it names a version of Python; run `make notebooks`"
    if any("execution" in cell.metadata for cell in notebook.cells):
        yield "it holds times of execution; run `make notebooks`"


RULES: tuple[Rule, ...] = (
    every_cell_was_run_in_order,
    errors_are_where_they_belong,
    outputs_can_be_shown,
    it_is_framed,
    it_has_exercises,
    its_exercises_are_open,
    its_cells_are_small,
    its_code_is_plain,
    it_is_short,
    its_words_are_the_fields_own,
    its_prose_says_what_its_outputs_say,
    its_pictures_have_words,
    its_links_lead_somewhere,
    its_metadata_is_plain,
)
