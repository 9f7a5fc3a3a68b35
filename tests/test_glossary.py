"""The glossary: every term in one sentence, linked where it is met first, and no link in vain."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from notebook_rules import markdown

from tools.notebooks import NOTEBOOKS, ROOT, read

GLOSSARY = ROOT / "docs" / "glossary.md"
TERM = re.compile(r"^## (.+)\n\n(.+)\n", re.MULTILINE)
FIRST = re.compile(
    r"First met in (?:\[notebook (\d\d)\]\(\.\./notebooks/([\w.]+)\)|notebook (\d\d))\.$"
)
LINK = re.compile(r"\]\(\.\./docs/glossary\.md(?:#([^)\s]*))?\)")

TERMS = dict(TERM.findall(GLOSSARY.read_text(encoding="utf-8")))
NOTEBOOK_FILES = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))


def anchor(term: str) -> str:
    """The anchor that GitHub, JupyterLab and the book make of a heading in small letters."""
    return term.replace(" ", "-")


def linked(path: Path) -> list[str]:
    """The anchors that a notebook links to, in order."""
    return [anchor for text in markdown(read(path)) for anchor in LINK.findall(text)]


LINKED = {path.name[:2]: linked(path) for path in NOTEBOOK_FILES}


def first_met(term: str) -> str:
    """The number of the notebook that the glossary names."""
    found = FIRST.search(TERMS[term])
    assert found, f"{term}: it does not say where it is met first"
    return found[1] or found[3]


def test_the_terms_were_found() -> None:
    headings = re.findall(r"^## ", GLOSSARY.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(TERMS) == len(headings) > 60
    assert {"token", "prompt", "epoch", "learning rate", "api key", "lora"} <= TERMS.keys()


def test_the_terms_are_in_order() -> None:
    assert list(TERMS) == sorted(TERMS)


@pytest.mark.parametrize("term", TERMS)
def test_a_heading_gives_the_same_anchor_everywhere(term: str) -> None:
    """Capitals and marks are turned into anchors differently by GitHub and by JupyterLab."""
    assert re.fullmatch(r"[a-z0-9]+([ -][a-z0-9]+)*", term)


@pytest.mark.parametrize("term", TERMS)
def test_a_term_is_told_in_one_sentence(term: str) -> None:
    told = FIRST.sub("", TERMS[term]).strip()
    assert re.match(rf"(?:An? |The )?\*\*{re.escape(term)}\*\* ", told, re.IGNORECASE)
    assert told.endswith(".")
    assert not re.search(r"[.!?] [A-Z]", told), "one sentence is enough"
    assert len(told.split()) <= 45


@pytest.mark.parametrize("term", TERMS)
def test_a_term_is_linked_where_it_is_met_first(term: str) -> None:
    links = [number for number, anchors in LINKED.items() if anchor(term) in anchors]
    if first_met(term) in LINKED:
        assert links, f"no notebook links to {term}"
        assert first_met(term) == links[0], f"the first notebook that links to it is {links[0]}"
    else:  # a notebook that is still being written
        assert not links, f"notebook {links[0]} links to it already"


@pytest.mark.parametrize("term", TERMS)
def test_the_first_notebook_is_linked(term: str) -> None:
    found = FIRST.search(TERMS[term])
    assert found
    names = {path.name[:2]: path.name for path in NOTEBOOK_FILES}
    assert found[2] == names.get(first_met(term)), "it is named with a link as soon as it exists"


@pytest.mark.parametrize("path", NOTEBOOK_FILES, ids=lambda path: path.stem)
def test_links_into_the_glossary_hit_a_term(path: Path) -> None:
    known = {anchor(term) for term in TERMS}
    assert set(linked(path)) <= known


@pytest.mark.parametrize("path", NOTEBOOK_FILES, ids=lambda path: path.stem)
def test_a_notebook_links_each_term_once(path: Path) -> None:
    anchors = linked(path)
    assert len(anchors) == len(set(anchors)), "the second link of a term only makes noise"
