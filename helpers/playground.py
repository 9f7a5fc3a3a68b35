"""A chat playground: one model or several, their most used settings as sliders, a button."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import ipywidgets
import openai
from openai import OpenAI

from helpers.display import show

WIDE = {"layout": {"width": "100%", "max_width": "680px"}}


def labelled(label: str) -> dict[str, Any]:
    """What a widget needs for a label of the common width, enough for "temperature"."""
    return {"description": label, "style": {"description_width": "6.5em"}}


def fill(button: ipywidgets.Button, field: ipywidgets.HTML, write: Callable[[], str]) -> None:
    """What a pressed button does: show the HTML that `write` returns, or what went wrong."""
    button.disabled, field.value = True, "<em>The model is writing …</em>"
    try:
        field.value = write()
    except openai.OpenAIError as error:
        field.value = f"<p><strong>That did not work.</strong> {escape(str(error))}</p>"
    finally:
        button.disabled = False


class Playground:
    """The same question to one model, or to several side by side; `options` go to every call.

    `models` is a name, or names by the heading that each answer gets.
    """

    def __init__(
        self,
        client: OpenAI,
        models: str | Mapping[str, str],
        *,
        system: str = "",
        user: str = "Imagine a superhero.",
        temperature: float = 1.0,
        **options: Any,
    ) -> None:
        self.client, self.options = client, options
        self.models = {"": models} if isinstance(models, str) else dict(models)
        self.system = ipywidgets.Textarea(system, rows=2, **labelled("system"), **WIDE)
        self.user = ipywidgets.Textarea(user, rows=3, **labelled("user"), **WIDE)
        self.temperature = ipywidgets.FloatSlider(
            temperature, max=2, step=0.1, **labelled("temperature")
        )
        self.max_tokens = ipywidgets.IntSlider(150, min=1, max=300, **labelled("max tokens"))
        self.button = ipywidgets.Button(description="Ask", button_style="primary")
        self.answer = ipywidgets.HTML(**WIDE)
        self.button.on_click(lambda _: fill(self.button, self.answer, self.ask))
        settings = [self.temperature, self.max_tokens, self.button]
        self.box = ipywidgets.VBox([self.system, self.user, *settings, self.answer])

    def ask(self) -> str:
        """Send what the fields hold; the answers as HTML. An empty system field is left out."""
        if not self.user.value.strip():
            return "<p>Write a message into the field <em>user</em> first.</p>"
        fields = (("system", self.system.value), ("user", self.user.value))
        messages: Any = [{"role": role, "content": text} for role, text in fields if text.strip()]
        answers = {name: self._answer(model, messages) for name, model in self.models.items()}
        if len(answers) == 1:
            return "".join(answers.values())
        columns = (
            f'<div style="flex: 1 1 14em"><strong>{escape(name)}</strong>{answer}</div>'
            for name, answer in answers.items()
        )
        return f'<div style="display: flex; flex-wrap: wrap; gap: 1.5em">{"".join(columns)}</div>'

    def _answer(self, model: str, messages: Any) -> str:
        reply = self.client.chat.completions.create(
            model=model,
            messages=messages,
            temperature=self.temperature.value,
            max_completion_tokens=self.max_tokens.value,
            **self.options,
        )
        choice = reply.choices[0]
        text = escape(choice.message.content or "(no text)").replace("\n", "<br>")
        end = "cut at max tokens" if choice.finish_reason == "length" else "finished"
        used = f", {reply.usage.completion_tokens} tokens" if reply.usage else ""
        return f"<p>{text}</p><p><small>{end}{used}</small></p>"

    def _ipython_display_(self) -> None:
        show(
            self.box,
            "(A playground: fields for a system and a user message, sliders for temperature and "
            f"max tokens, and a button that asks {_count(len(self.models))}. It works in a running "
            "notebook.)",
        )


def _count(models: int) -> str:
    return "the model" if models == 1 else f"{models} models side by side"
