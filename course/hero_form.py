"""A form that asks for a hero, draws its card, and says what the judge thinks of it."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import ipywidgets

from course.hero_card import hero_card
from course.judge import fair
from course.powers import power_names
from helpers.display import show
from helpers.playground import WIDE, fill, labelled


class HeroForm:
    """A form for age, gender and power; its button draws the hero that `write` describes.

    `write` takes (age, gender, power) and gives the description: the call is the notebook's.
    """

    def __init__(self, write: Callable[[int, str, str], str], power: str = "Healing") -> None:
        self.write = write
        self.age = ipywidgets.IntSlider(40, min=1, max=120, **labelled("age"))
        self.gender = ipywidgets.ToggleButtons(options=("woman", "man"), **labelled("gender"))
        any_power = {"options": power_names(), "placeholder": "a power of your own"}
        self.power = ipywidgets.Combobox(value=power, **any_power, **labelled("power"))
        self.button = ipywidgets.Button(description="Predict my hero", button_style="primary")
        self.card = ipywidgets.HTML(**WIDE)
        self.button.on_click(lambda _: fill(self.button, self.card, self.predict))
        self.box = ipywidgets.VBox([self.age, self.gender, self.power, self.button, self.card])

    def predict(self) -> str:
        """The card of the hero that the fields describe, and the judge's verdict below it."""
        wanted = self.age.value, self.gender.value, self.power.value.strip()
        if not wanted[2]:
            return "<p>Give your hero a power first.</p>"
        text = self.write(*wanted)
        verdict = escape(str(fair(text, *wanted)))
        return f"{hero_card(text, *wanted).svg}<p><strong>The judge:</strong> {verdict}</p>"

    def _ipython_display_(self) -> None:
        show(
            self.box,
            "(A form: a slider for the age, a switch for the gender, a field for the power, and a "
            "button that draws the predicted hero. It works in a running notebook.)",
        )
