"""A chat playground: one model, its most used settings as sliders, a button."""

from __future__ import annotations

from html import escape
from typing import Any

import ipywidgets
import openai
from openai import OpenAI

from helpers.live import show

WIDE = {"width": "100%", "max_width": "680px"}
LABELS = {"description_width": "6.5em"}  # wide enough for "temperature"
ASKING = "<em>The model is writing …</em>"


def problem(error: Exception) -> str:
    """An error in the place of an answer."""
    return f"<p><strong>That did not work.</strong> {escape(str(error))}</p>"


class Playground:
    """A chat with every setting in view. Displaying it shows the widget, or its text twin."""

    def __init__(self, client: OpenAI, model: str, system: str, user: str, **options: Any) -> None:
        self.client, self.model, self.options = client, model, options
        text = {"layout": WIDE, "style": LABELS}
        self.system = ipywidgets.Textarea(value=system, description="system", rows=2, **text)
        self.user = ipywidgets.Textarea(value=user, description="user", rows=3, **text)
        self.temperature = ipywidgets.FloatSlider(
            value=1.0, min=0.0, max=2.0, step=0.1, description="temperature", style=LABELS
        )
        self.max_tokens = ipywidgets.IntSlider(
            value=150, min=1, max=300, description="max tokens", style=LABELS
        )
        self.button = ipywidgets.Button(description="Ask", button_style="primary")
        self.answer = ipywidgets.HTML(value="", layout=WIDE)
        self.button.on_click(self.ask)
        settings = [self.temperature, self.max_tokens, self.button]
        self.box = ipywidgets.VBox([self.system, self.user, *settings, self.answer])

    @property
    def messages(self) -> list[dict[str, str]]:
        """The messages as the fields hold them now; an empty system field sends none."""
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
            self.answer.value = problem(error)
        finally:
            self.button.disabled = False

    def _ipython_display_(self) -> None:
        show(
            self.box,
            "(A playground: fields for a system and a user message, sliders for temperature and "
            "max tokens, and a button that asks the model. It works in a running notebook.)",
        )


def playground(
    client: OpenAI,
    model: str,
    *,
    system: str = "",
    user: str = "Imagine a superhero.",
    **options: Any,
) -> Playground:
    """A chat playground for any model, so also for a tuned one (`system=""`, a note as `user`).

    `options` go to every call (`settings.chat_options`).
    """
    return Playground(client, model, system, user, **options)
