"""The guard: every notebook keeps the rules, and every rule notices when it is broken."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.support import notebook_rules as rules
from tests.support.notebook_rules import RULES, Rule
from tools.notebooks import NOTEBOOKS, code_cells, find_notebooks, read

PATHS = find_notebooks()
NOT_COMPARED = Path(__file__).parents[1] / "support" / "cells_not_compared.txt"
LARGEST_SHARE = 0.4
ROAD = (
    "00_start_here",
    "01_api_key_setup",
    "02_synthetic_superheroes",
    "03_jsonl_preparation",
    "04_job_submission",
    "05_polling",
    "06_prediction",
)


def test_the_whole_road_is_there() -> None:
    names = [path.stem for path in sorted(NOTEBOOKS.glob("*.ipynb"))]
    assert tuple(names[: len(ROAD)]) == ROAD
    assert [path.stem for path in PATHS] == names, "a notebook without a number is never run"


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_notebook_keeps_the_rule(rule: Rule, path: Path) -> None:
    problems = list(rule(read(path), path))
    assert not problems, "\n".join([path.name, *problems])


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_notebook_is_valid(path: Path) -> None:
    nbformat.validate(read(path))


def test_cells_that_are_not_compared_are_few_and_known() -> None:
    """A new one needs a line in cells_not_compared.txt, so that nobody adds one by accident."""
    found, known = {}, {}
    for path in PATHS:
        notebook = read(path)
        found[path.stem] = rules.not_compared(notebook)
        share = len(found[path.stem]) / max(1, len(code_cells(notebook)))
        assert share <= LARGEST_SHARE, f"{path.name}: {share:.0%} of the cells are not compared"
    for line in NOT_COMPARED.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            name, _, cells = line.partition(":")
            known[name] = cells.split()
    wanted = "\n".join(f"{name}: {' '.join(cells)}".rstrip() for name, cells in found.items())
    assert found == known, f"If this is meant, {NOT_COMPARED.name} should say:\n{wanted}"


# The rules themselves: a notebook that keeps them all, and one small fault after the other.


def good_notebook() -> NotebookNode:
    """A notebook that keeps every rule, under the name of the last one."""
    details = "<details><summary>Solution</summary>\n\n```python\nmine = 1\n```\n\n</details>"
    ran = [new_output("stream", name="stdout", text="one\n")]
    cells = [
        new_markdown_cell("# Do something\n\nHere we are. One thing will exist."),
        new_markdown_cell(f"![Road map of the course: we are at the end.]({road_map()})"),
        new_markdown_cell("**You will** do it. **You need** nothing."),
        new_code_cell("client = connect()", execution_count=1, outputs=ran),
        new_markdown_cell("Now an exercise."),
        new_code_cell("one.check(...)", execution_count=2, outputs=open_exercise()),
        new_markdown_cell(details),
        new_code_cell("two.check(await something())", execution_count=3, outputs=open_exercise()),
        new_markdown_cell(details),
        new_markdown_cell("## What you did\n\nYou did it."),
    ]
    kernel = {"name": "python3", "display_name": "Python 3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def open_exercise() -> list[NotebookNode]:
    return [new_output("stream", name="stdout", text="Exercise 1.1 (x): not yet. Expected y.\n")]


def last_path() -> Path:
    return PATHS[-1] if PATHS else NOTEBOOKS / "06_prediction.ipynb"


def road_map() -> str:
    return f"images/road_{last_path().name[:2]}.svg"


def broken(change: Callable[[NotebookNode], object]) -> NotebookNode:
    notebook = good_notebook()
    change(notebook)
    return notebook


def error(notebook: NotebookNode, message: str = "no") -> None:
    output = new_output("error", ename="ValueError", evalue=message, traceback=[message])
    notebook.cells[5].outputs = [output]


def prints(text: str) -> Callable[[NotebookNode], object]:
    output = new_output("stream", name="stdout", text=text)
    return lambda notebook: notebook.cells[3].update(outputs=[output])


def says(cell: int, source: str) -> Callable[[NotebookNode], object]:
    """Change a cell's source; ID in it becomes the id of the first code cell, which says "one"."""

    def change(notebook: NotebookNode) -> None:
        notebook.cells[cell].update(source=source.replace("ID", notebook.cells[3].id))

    return change


def tagged(*tags: str) -> Callable[[NotebookNode], object]:
    return lambda notebook: notebook.cells[5].metadata.update(tags=list(tags))


KEY = "sk-" + "proj-" + "a1B2" * 8
FAULTS: list[tuple[Rule, Callable[[NotebookNode], object], str]] = [
    (rules.every_cell_was_run_in_order, lambda nb: nb.cells[5].update(execution_count=7), "7"),
    (rules.every_cell_was_run_in_order, lambda nb: nb.cells[5].update(execution_count=None), "N"),
    (rules.every_cell_was_run_in_order, lambda nb: nb.update(cells=nb.cells[:3]), "no code"),
    (rules.errors_are_where_they_belong, tagged("raises-exception"), "code cell 2"),
    (rules.errors_are_where_they_belong, tagged("nbval-ignore-outputs"), "unknown tags"),
    (rules.outputs_can_be_shown, error, "code cell 2: ValueError"),
    (rules.outputs_can_be_shown, prints(f"my key is {KEY}"), "a key"),
    (rules.outputs_can_be_shown, prints("org-" + "Ab1" * 8), "an organisation id"),
    (rules.outputs_can_be_shown, prints("see /home/ada/course/x.py"), "a path"),
    (rules.outputs_can_be_shown, prints("see '/tmp/heroes-x1/my'"), "a path"),
    (rules.outputs_can_be_shown, prints(r"see C:\Users\ada\x"), "a path"),
    (rules.outputs_can_be_shown, prints("File lib/site-packages/x.py"), "a library"),
    (rules.outputs_can_be_shown, lambda nb: nb.metadata.update(widgets={"s": KEY}), "widgets"),
    (rules.it_is_framed, says(0, "Do something"), "title"),
    (rules.it_is_framed, says(1, "No map."), "road map"),
    (rules.it_is_framed, says(2, "**You will** do it."), "You need"),
    (rules.it_is_framed, says(9, "Bye."), "What you did"),
    (rules.it_is_framed, says(4, "It takes MINUTES minutes."), "MINUTES"),
    (rules.it_has_exercises, says(5, "print(1)"), "1 checked"),
    (rules.it_has_exercises, says(6, "Think."), "1 solutions"),
    (rules.its_exercises_are_open, lambda nb: nb.cells[5].update(outputs=[]), "code cell 2"),
    (rules.its_cells_are_small, says(3, "\n".join(["1"] * 30)), "long"),
    (rules.its_cells_are_small, lambda nb: nb.cells.pop(4), "no word between"),
    (rules.its_code_is_plain, says(3, "!pip install x"), "magic"),
    (rules.its_code_is_plain, says(3, "%matplotlib inline"), "magic"),
    (rules.its_code_is_plain, says(3, "ask(model='gpt-6-luna')"), "gpt-6-luna"),
    (rules.its_code_is_plain, says(3, "r = {'model': 'ft:superhero-mini:me:x:12345678'}"), "ft:"),
    (rules.its_code_is_plain, says(3, "name = input()"), "keyboard"),
    (rules.it_is_short, says(4, "word " * 1_600), "words of prose"),
    (rules.it_is_short, says(3, "import a\n" * 7), "7 imports"),
    (rules.its_words_are_the_fields_own, says(4, "It crams for the exam."), "'exam'"),
    (rules.its_words_are_the_fields_own, says(3, "text = 'learned by heart'"), "by heart"),
    (rules.its_prose_says_what_its_outputs_say, says(4, "It has 2 <!-- cell: ID -->."), "'2'"),
    (rules.its_prose_says_what_its_outputs_say, says(4, "So <!-- cell: ID --> it is."), "nothing"),
    (rules.its_pictures_have_words, says(1, f"![]({road_map()})"), "alt text"),
    (rules.its_pictures_have_words, says(1, f"![ALT]({road_map()})"), "ALT"),
    (rules.its_pictures_have_words, says(1, "<img src='x.png' alt=''>"), "picture"),
    (rules.its_links_lead_somewhere, says(4, "See [this](99_nowhere.ipynb)."), "99_nowhere"),
    (rules.its_links_lead_somewhere, says(1, "![A map of it](images/x.svg)"), "images/x.svg"),
    (rules.its_links_lead_somewhere, says(4, "See [this](../../..)."), "../../.."),
    (rules.its_metadata_is_plain, lambda nb: nb.metadata.pop("kernelspec"), "kernel"),
    (
        rules.its_metadata_is_plain,
        lambda nb: nb.metadata.update(language_info={"name": "python", "version": "3.11.4"}),
        "version",
    ),
    (
        rules.its_metadata_is_plain,
        lambda nb: nb.cells[3].metadata.update(execution={"iopub.status.busy": "x"}),
        "times",
    ),
]


@pytest.mark.parametrize(("rule", "change", "word"), FAULTS)
def test_rule_notices_the_fault(
    rule: Rule, change: Callable[[NotebookNode], object], word: str
) -> None:
    problems = list(rule(broken(change), last_path()))
    assert any(word in problem for problem in problems), problems


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_is_content_with_a_good_notebook_and_is_tested(rule: Rule) -> None:
    assert list(rule(good_notebook(), last_path())) == []
    assert any(tested is rule for tested, _, _ in FAULTS)


@pytest.mark.parametrize("claim", ["*one*", '"one"', "`one`,"])
def test_a_claim_that_its_cell_printed_is_kept(claim: str) -> None:
    notebook = broken(says(4, f"It printed {claim} <!-- cell: ID -->."))
    assert list(rules.its_prose_says_what_its_outputs_say(notebook, last_path())) == []


@pytest.mark.parametrize(
    "text",
    [
        "key sk-sandbox-...x7Qz",
        "http://127.0.0.1:8765/home/docs",
        "data/my/superheroes.csv and .sandbox/files",
        "either/or, and/home/or",
        "org-sandbox",
        "n/a: 3/4 of them",
    ],
)
def test_harmless_text_is_no_leak(text: str) -> None:
    assert list(rules.outputs_can_be_shown(broken(prints(text)), last_path())) == []


def test_a_price_list_may_speak_of_any_model() -> None:
    notebook = broken(says(3, "for name in ('gpt-6-luna', 'gpt-4.1-mini'):\n    price_of(name)"))
    assert list(rules.its_code_is_plain(notebook, last_path())) == []


def test_a_tagged_error_is_fine() -> None:
    notebook = broken(tagged("raises-exception"))
    error(notebook)
    assert list(rules.errors_are_where_they_belong(notebook, last_path())) == []
    assert list(rules.outputs_can_be_shown(notebook, last_path())) == []
