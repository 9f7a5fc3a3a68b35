"""The glossary: every term in one sentence, linked where it is met first, and no link in vain."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools import glossary
from tools.glossary import NOTEBOOKS, PAGE, anchor, links

TEXT = PAGE.read_text(encoding="utf-8")
TERMS = {found["term"]: found for found in glossary.TERM.finditer(TEXT)}
NOTEBOOK_FILES = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
MET = glossary.first_met()


def test_the_terms_were_found() -> None:
    assert len(TERMS) == len(re.findall(r"^## ", TEXT, re.MULTILINE)) > 60
    assert {"token", "prompt", "epoch", "learning rate", "api key", "lora"} <= TERMS.keys()


def test_the_terms_are_in_order() -> None:
    assert list(TERMS) == sorted(TERMS)


@pytest.mark.parametrize("term", TERMS)
def test_a_heading_gives_the_same_anchor_everywhere(term: str) -> None:
    """Capitals and marks are turned into anchors differently by GitHub and by JupyterLab."""
    assert re.fullmatch(r"[a-z0-9]+([ -][a-z0-9]+)*", term)


@pytest.mark.parametrize("term", TERMS)
def test_a_term_is_told_in_one_sentence(term: str) -> None:
    told = TERMS[term]["told"]
    assert re.match(rf"(?:An? |The )?\*\*{re.escape(term)}\*\* ", told, re.IGNORECASE)
    assert told.endswith(".")
    assert not re.search(r"[.!?] [A-Z]", told), "one sentence is enough"
    assert len(told.split()) <= 45


@pytest.mark.parametrize("term", TERMS)
def test_a_term_is_linked_where_it_is_met_first(term: str) -> None:
    """At a term of a notebook that is still being written stands the notebook's number alone."""
    where = TERMS[term]["where"]
    if number := re.fullmatch(r"notebook (\d\d)", where):
        assert anchor(term) not in MET, "run tools/glossary.py"
        assert number[1] not in {path.name[:2] for path in NOTEBOOK_FILES}, (
            "no notebook links to it"
        )
    else:
        name = MET.get(anchor(term))
        assert name, "no notebook links to it"
        assert where == f"[notebook {name[:2]}](../notebooks/{name})", "run tools/glossary.py"


@pytest.mark.parametrize("path", NOTEBOOK_FILES, ids=lambda path: path.stem)
def test_links_into_the_glossary_hit_a_term(path: Path) -> None:
    assert set(links(path)) <= {anchor(term) for term in TERMS}


@pytest.mark.parametrize("path", NOTEBOOK_FILES, ids=lambda path: path.stem)
def test_a_notebook_links_each_term_once(path: Path) -> None:
    found = links(path)
    assert len(found) == len(set(found)), "the second link of a term only makes noise"


def test_a_new_link_changes_where_a_term_is_met() -> None:
    page = "# Glossary\n\n## stop sign\n\nA **stop sign** stops. First met in notebook 09.\n"
    assert glossary.updated(page, {"other": "01_b.ipynb"}) == page
    expected = page.replace("notebook 09", "[notebook 03](../notebooks/03_a.ipynb)")
    assert glossary.updated(page, {"stop-sign": "03_a.ipynb"}) == expected
    assert glossary.updated(expected, {"stop-sign": "03_a.ipynb"}) == expected
