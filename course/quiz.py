"""A short quiz at the end of each notebook; every wrong answer says why it is wrong.

The questions are in course/quizzes, one file for each step, in jupyterquiz's own format.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from IPython.display import display
from IPython.utils.capture import capture_output
from jupyterquiz import display_quiz

FOLDER = Path(__file__).parent / "quizzes"
COLOURS = {
    "--jq-multiple-choice-bg": "#0b6e8f",
    "--jq-many-choice-bg": "#7a4a12",
    "--jq-numeric-bg": "#2b2b33",
    # Read on white paper and on JupyterLab's dark one alike.
    "--jq-numeric-input-label": "#787878",
    "--jq-incorrect-color": "#cf4a30",
    "--jq-correct-color": "#2b8656",
}


def questions(step: int) -> list[dict[str, Any]]:
    """The questions of a step. Raises FileNotFoundError if there are none."""
    return json.loads((FOLDER / f"{step:02}.json").read_text(encoding="utf-8"))


def quiz(step: int) -> None:
    """Show the quiz of a step. It works in a running notebook and in the book."""
    asked = questions(step)
    state = random.getstate()
    random.seed(step)  # jupyterquiz draws random element ids: the same ids keep stored outputs
    try:
        with capture_output() as parts:
            display_quiz(asked, colors=COLOURS, border_radius=8, max_width=680)
    finally:
        random.setstate(state)
    words = f"(A quiz of {len(asked)} questions: it works in a running notebook and in the book.)"
    for number, part in enumerate(parts.outputs):
        data = dict(part.data)
        if script := data.get("application/javascript"):
            # With MathJax in sight, jupyterquiz would fetch one from the internet.
            data["application/javascript"] = f"((MathJax) => {{{script}}})();"
        # Where no script runs, one sentence describes all the parts.
        display({**data, "text/plain": " " if number else words}, raw=True)
