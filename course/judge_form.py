"""A text to edit, and under it what the judge says, as the text is now."""

from __future__ import annotations

from html import escape

import ipywidgets

from course.judge import fair
from helpers.display import show
from helpers.playground import WIDE


class JudgeForm:
    """A description of a hero in a field that can be edited, and the judge's verdict below it."""

    def __init__(self, text: str, age: int, gender: str, power: str) -> None:
        self.hero = (age, gender, power)
        self.text = ipywidgets.Textarea(text, rows=7, **WIDE)
        self.verdict = ipywidgets.HTML(**WIDE)
        self.text.observe(lambda _: self.judge(), names="value")
        self.box = ipywidgets.VBox([self.text, self.verdict])
        self.judge()

    def judge(self) -> None:
        """Show the verdict on the text as it is now, a line for each reason."""
        reasons = fair(self.text.value, *self.hero).reasons
        lines = "".join(f"<li>{escape(reason)}</li>" for reason in reasons)
        self.verdict.value = f"<strong>Refused</strong><ul>{lines}</ul>" if reasons else "Passed."

    def _ipython_display_(self) -> None:
        hero = ", ".join(map(str, self.hero))
        show(self.box, f"({hero}: a text to edit, and the judge's verdict, in a running notebook.)")
