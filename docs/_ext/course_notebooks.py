"""The notebooks as pages: what a page can't show is left out, and pictures get their descriptions.

- A widget needs a running notebook. Each prints a sentence or a result that says the same, so the
  page leaves the widget itself out (and with it 3.6 MB of JavaScript that would only look alive).
- A chart prints what it shows. On the page this is the picture's alt text, and said once.
- Each picture of an output gets the alt text that the notebook stores with it.
- Each code cell gets an anchor, `#cell-<its id>`, so that other pages can point at it.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path, PurePosixPath
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

WIDGET = "application/vnd.jupyter.widget-view+json"
FOLDER = "notebooks/"
# For a picture without words: a picture says what it is, or the build fails.
NO_WORDS = "{page}: a picture in the output of cell {cell} has no alt text"


def text_of(value: str | list[str]) -> str:
    """A multi-line string of a notebook file, which may be a list of lines."""
    return value if isinstance(value, str) else "".join(value)


def load(path: Path) -> dict[str, Any]:
    """A notebook file as plain data."""
    return json.loads(path.read_text(encoding="utf-8"))


def cell(notebook: dict[str, Any], cell_id: str) -> dict[str, Any]:
    """The cell with this id. Raises ExtensionError if it is gone."""
    for each in notebook["cells"]:
        if each.get("id") == cell_id:
            return each
    raise ExtensionError(f"there is no cell {cell_id!r} any more")


def without_widgets(app: Sphinx, docname: str, content: list[str]) -> None:
    """Before a notebook is parsed: take its widgets out."""
    if not docname.startswith(FOLDER):
        return
    notebook = json.loads(content[0])
    notebook["metadata"].pop("widgets", None)
    for each in notebook["cells"]:
        if each["cell_type"] == "code":
            for output in each["outputs"]:
                if WIDGET in output.get("data", {}):
                    # A page has no live widgets: these words replace one.
                    output["data"] = {"text/plain": output["data"]["text/plain"]}
            leave_out_what_alt_texts_say(each["outputs"])
    content[0] = json.dumps(notebook, ensure_ascii=False)


def leave_out_what_alt_texts_say(outputs: list[dict[str, Any]]) -> None:
    """Take the sentences out of printed text that are alt texts of the cell's pictures."""
    for output in outputs:
        said = output.get("metadata", {}).get("image/png", {}).get("alt")
        for printed in outputs if said else []:
            if "text" in printed:
                printed["text"] = text_of(printed["text"]).replace(said + "\n", "", 1)
    outputs[:] = [output for output in outputs if output.get("text") != ""]


def described(notebook: dict[str, Any], page: str) -> dict[str, str]:
    """The alt texts of a notebook's pictures, by the name that the page's file gets."""
    words: dict[str, str] = {}
    for each in notebook["cells"]:
        for output in each.get("outputs", []):
            data = output.get("data", {})
            for kind in ("image/png", "image/jpeg", "image/svg+xml"):
                if kind not in data:
                    continue
                raw = text_of(data[kind])
                svg = kind == "image/svg+xml"
                content = "\n".join(raw.splitlines()).encode() if svg else base64.b64decode(raw)
                alt = output.get("metadata", {}).get(kind, {}).get("alt", "")
                # A card's plain text is its description; a figure's would be "<Figure size …>".
                alt = alt or (text_of(data.get("text/plain", "")) if svg else "")
                if not alt:
                    raise ExtensionError(NO_WORDS.format(page=page, cell=each["id"]))
                words[hashlib.sha256(content).hexdigest()] = alt
    return words


def give_words_and_anchors(app: Sphinx, doctree: nodes.document) -> None:
    """After a notebook is parsed: alt texts for pictures, anchors for code cells."""
    docname = app.env.docname
    if not docname.startswith(FOLDER):
        return
    notebook = load(app.env.doc2path(docname))
    words = described(notebook, docname)
    for picture in doctree.findall(nodes.image):
        alt = words.get(PurePosixPath(picture["uri"]).stem)
        if alt:
            picture["alt"] = alt
    for container in doctree.findall(nodes.container):
        if "cell" in container["classes"] and "cell_index" in container:
            container["ids"].append(f"cell-{notebook['cells'][container['cell_index']]['id']}")


def glossary_in_full(app: Sphinx, doctree: nodes.document) -> None:
    """Show each term as it is written inside a sentence, such as LoRA.

    In the file the headings are small letters throughout: GitHub, JupyterLab and this book make
    the same anchor of those, and of no others.
    """
    if app.env.docname != "docs/glossary":
        return
    for section in doctree.findall(nodes.section):
        term = next(section.findall(nodes.strong), None)
        title = section[0]
        if term is not None and title.astext() == term.astext().lower():
            word = term.astext()
            at_the_start_only = word[1:] == word[1:].lower()
            title.children = [nodes.Text(word.lower() if at_the_start_only else word)]


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("source-read", without_widgets)
    app.connect("doctree-read", give_words_and_anchors)
    # Before the table of contents is collected.
    app.connect("doctree-read", glossary_in_full, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
