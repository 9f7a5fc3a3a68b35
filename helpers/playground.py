"""Two widgets to play with: a chat playground and a form that asks for a hero.

Each is a small object with plain methods (`ask`, `predict`), which the button calls and tests
call too. A rendered page can't run them; there a sentence says what would be.
"""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

import ipywidgets
import openai
from openai import OpenAI

from course.hero_card import hero_card
from course.powers import power_names
from helpers.display import show

WIDE = {"width": "100%", "max_width": "680px"}
ASKING = "<em>The model is writing …</em>"


def _problem(error: Exception) -> str:
    return f"<p><strong>That did not work.</strong> {escape(str(error))}</p>"


class Playground:
    """A chat with every knob in view. Displaying it shows the widget, or its text twin.

    `options` go to every call (`settings.chat_options`).
    """

    def __init__(
        self,
        client: OpenAI,
        model: str,
        *,
        system: str = "",
        user: str = "Imagine a superhero.",
        **options: Any,
    ) -> None:
        self.client, self.model, self.options = client, model, options
        wide = ipywidgets.Layout(**WIDE)
        self.system = ipywidgets.Textarea(value=system, description="system", rows=2, layout=wide)
        self.user = ipywidgets.Textarea(value=user, description="user", rows=3, layout=wide)
        self.temperature = ipywidgets.FloatSlider(
            value=1.0, min=0.0, max=2.0, step=0.1, description="temperature"
        )
        self.max_tokens = ipywidgets.IntSlider(value=150, min=1, max=300, description="max tokens")
        self.button = ipywidgets.Button(description="Ask", button_style="primary")
        self.answer = ipywidgets.HTML(value="", layout=wide)
        self.button.on_click(self.ask)
        knobs = [self.temperature, self.max_tokens, self.button]
        self.box = ipywidgets.VBox([self.system, self.user, *knobs, self.answer])

    @property
    def messages(self) -> list[dict[str, str]]:
        """The messages as the fields stand now; an empty system field sends none."""
        fields = (("system", self.system.value), ("user", self.user.value))
        return [{"role": role, "content": text} for role, text in fields if text.strip()]

    def ask(self, _button: object = None) -> None:
        """Send what the fields hold and show the answer, or in plain words why there is none."""
        if not self.user.value.strip():
            self.answer.value = "<p>Write a message into the field <em>user</em> first.</p>"
            return
        self.button.disabled, self.answer.value = True, ASKING
        try:
            reply = self.client.chat.completions.create(
                model=self.model,
                messages=self.messages,  # type: ignore[arg-type]
                temperature=self.temperature.value,
                max_completion_tokens=self.max_tokens.value,
                **self.options,
            )
            choice = reply.choices[0]
            text = escape(choice.message.content or "(no text)").replace("\n", "<br>")
            end = "cut at max tokens" if choice.finish_reason == "length" else "finished"
            used = f", {reply.usage.completion_tokens} tokens" if reply.usage else ""
            self.answer.value = f"<p>{text}</p><p><small>{end}{used}</small></p>"
        except openai.OpenAIError as error:
            self.answer.value = _problem(error)
        finally:
            self.button.disabled = False

    def _ipython_display_(self) -> None:
        show(
            self.box,
            "(A playground: fields for a system and a user message, sliders for temperature and "
            "max tokens, and a button that asks the model. It works in a running notebook.)",
        )


class HeroForm:
    """A form for age, gender and power; its button predicts a hero and draws the card.

    `predict` takes (age, gender, power) and gives the description: the call is the notebook's.
    """

    def __init__(self, predict: Callable[[int, str, str], str], power: str = "Healing") -> None:
        self.write = predict
        self.age = ipywidgets.IntSlider(value=40, min=16, max=99, description="age")
        self.gender = ipywidgets.ToggleButtons(
            options=["woman", "man"], value="woman", description="gender"
        )
        self.power = ipywidgets.Combobox(
            value=power,
            options=power_names(),
            ensure_option=False,
            description="power",
            placeholder="a power of your own",
        )
        self.button = ipywidgets.Button(description="Predict my hero", button_style="primary")
        self.card = ipywidgets.HTML(value="", layout=ipywidgets.Layout(**WIDE))
        self.button.on_click(self.predict)
        self.box = ipywidgets.VBox([self.age, self.gender, self.power, self.button, self.card])

    def predict(self, _button: object = None) -> None:
        """Ask for the hero that the fields describe and draw its card."""
        age, gender, power = self.age.value, self.gender.value, self.power.value.strip()
        if not power:
            self.card.value = "<p>Give your hero a power first.</p>"
            return
        self.button.disabled, self.card.value = True, ASKING
        try:
            self.card.value = hero_card(self.write(age, gender, power), age, gender, power).svg
        except openai.OpenAIError as error:
            self.card.value = _problem(error)
        finally:
            self.button.disabled = False

    def _ipython_display_(self) -> None:
        show(
            self.box,
            "(A form: a slider for the age, a switch for the gender, a field for the power, and a "
            "button that draws the predicted hero. It works in a running notebook.)",
        )


def playground(client: OpenAI, model: str, **settings: Any) -> Playground:
    """A chat playground for this model; see `Playground`."""
    return Playground(client, model, **settings)


def hero_form(predict: Callable[[int, str, str], str], power: str = "Healing") -> HeroForm:
    """A form that draws the hero `predict(age, gender, power)` writes; see `HeroForm`."""
    return HeroForm(predict, power)
