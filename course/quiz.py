"""A short quiz at the end of each notebook; every wrong answer says why it is wrong.

The questions stand in course/quizzes, one file for each step, in jupyterquiz's own format.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "quizzes"
COLOURS = {
    "--jq-multiple-choice-bg": "#0b6e8f",
    "--jq-many-choice-bg": "#7a4a12",
    "--jq-numeric-bg": "#2b2b33",
    "--jq-incorrect-color": "#9c2f14",
    "--jq-correct-color": "#1d6b3a",
}


def questions(step: int) -> list[dict[str, Any]]:
    """The questions of a step. Raises FileNotFoundError if there are none."""
    return json.loads((FOLDER / f"{step:02}.json").read_text(encoding="utf-8"))


def quiz(step: int) -> None:
    """Show the quiz of a step. It works in a running notebook and in the book."""
    from IPython.display import display
    from IPython.utils.capture import capture_output
    from jupyterquiz import display_quiz

    asked = questions(step)
    before = random.getstate()
    random.seed(step)  # it names its parts at random: the same names keep stored outputs the same
    try:
        with capture_output() as parts:
            display_quiz(asked, colors=COLOURS, border_radius=8, max_width=680)
    finally:
        random.setstate(before)
    words = [f"(A quiz of {len(asked)} questions: it works in a running notebook and in the book.)"]
    for part in parts.outputs:
        # Where no script runs, one sentence stands for all its parts.
        display({**_offline(part.data), "text/plain": words.pop() if words else " "}, raw=True)


def _offline(data: dict[str, str]) -> dict[str, str]:
    """The same part, with a script that sees no MathJax: it would fetch one from the internet."""
    script = data.get("application/javascript")
    return {**data, "application/javascript": f"((MathJax) => {{{script}}})();"} if script else data
