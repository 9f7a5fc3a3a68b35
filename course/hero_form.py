"""A form that asks for a hero, draws its card, and says what the judge thinks of it."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import ipywidgets
import openai

from course.hero_card import hero_card
from course.judge import GENDERS, judge
from course.powers import power_names
from helpers.live import show
from helpers.playground import ASKING, LABELS, WIDE, problem


class HeroForm:
    """A form for age, gender and power; its button predicts a hero and draws the card.

    `predict` takes (age, gender, power) and gives the description: the call is the notebook's.
    """

    def __init__(self, predict: Callable[[int, str, str], str], power: str = "Healing") -> None:
        self.write = predict
        self.age = ipywidgets.IntSlider(value=40, min=16, max=99, description="age", style=LABELS)
        self.gender = ipywidgets.ToggleButtons(
            options=GENDERS[::-1], description="gender", style=LABELS
        )
        self.power = ipywidgets.Combobox(
            value=power,
            options=power_names(),
            ensure_option=False,
            description="power",
            placeholder="a power of your own",
            style=LABELS,
        )
        self.button = ipywidgets.Button(description="Predict my hero", button_style="primary")
        self.card = ipywidgets.HTML(value="", layout=WIDE)
        self.button.on_click(self.predict)
        self.box = ipywidgets.VBox([self.age, self.gender, self.power, self.button, self.card])

    def predict(self, _button: object = None) -> None:
        """Ask for the hero that the fields describe; show its card and the judge's verdict."""
        wanted = self.age.value, self.gender.value, self.power.value.strip()
        if not wanted[2]:
            self.card.value = "<p>Give your hero a power first.</p>"
            return
        self.button.disabled, self.card.value = True, ASKING
        try:
            text = self.write(*wanted)
        except openai.OpenAIError as error:
            self.card.value = problem(error)
        else:
            verdict = f"<p><strong>The judge:</strong> {escape(str(judge(text, *wanted)))}</p>"
            self.card.value = hero_card(text, *wanted).svg + verdict
        finally:
            self.button.disabled = False

    def _ipython_display_(self) -> None:
        show(
            self.box,
            "(A form: a slider for the age, a switch for the gender, a field for the power, and a "
            "button that draws the predicted hero. It works in a running notebook.)",
        )


def hero_form(predict: Callable[[int, str, str], str], power: str = "Healing") -> HeroForm:
    """A form that draws the hero `predict(age, gender, power)` writes; see `HeroForm`."""
    return HeroForm(predict, power)
