"""The widgets' buttons do what they say, and problems are told in plain words."""

from __future__ import annotations

from typing import Any

import pytest
from openai import OpenAI, OpenAIError

from helpers.playground import hero_form, playground
from tests.support.live_sandbox import live_client, live_model, live_sandbox  # noqa: F401


def test_the_playground_asks_the_model(live_client: OpenAI, live_model: str) -> None:  # noqa: F811
    play = playground(live_client, live_model, system="You imagine superheroes.")
    play.temperature.value, play.max_tokens.value = 0.0, 8
    assert [message["role"] for message in play.messages] == ["system", "user"]
    play.button.click()
    assert "cut at max tokens, 8 tokens" in play.answer.value
    assert not play.button.disabled
    first = play.answer.value
    play.ask()
    assert play.answer.value == first, "temperature 0 repeats itself"
    play.system.value = " "
    assert [message["role"] for message in play.messages] == ["user"]
    play.user.value = ""
    play.ask()
    assert "Write a message" in play.answer.value


def test_the_playground_tells_what_went_wrong(live_client: OpenAI) -> None:  # noqa: F811
    play = playground(live_client, "<no-such-model>")
    play.ask()
    assert "That did not work" in play.answer.value
    assert "&lt;no-such-model&gt;" in play.answer.value
    assert not play.button.disabled


def test_the_form_draws_the_predicted_hero() -> None:
    asked: list[tuple[int, str, str]] = []

    def predict(age: int, gender: str, power: str) -> str:
        asked.append((age, gender, power))
        return f"Meet Ada, a {age}-year-old {gender} with <{power}>."

    form = hero_form(predict)
    form.age.value, form.gender.value, form.power.value = 33, "man", " folding maps "
    form.button.click()
    assert asked == [(33, "man", "folding maps")]
    assert "<svg" in form.card.value
    assert "&lt;folding maps&gt;" in form.card.value
    form.power.value = ""
    form.predict()
    assert "power first" in form.card.value
    assert len(asked) == 1


def test_the_form_tells_what_went_wrong() -> None:
    def predict(age: int, gender: str, power: str) -> str:
        raise OpenAIError("no <model>")

    form = hero_form(predict)
    form.predict()
    assert "no &lt;model&gt;" in form.card.value
    assert not form.button.disabled


@pytest.mark.parametrize("make", [lambda: hero_form(lambda *_: ""), lambda: playground(None, "m")])  # type: ignore[arg-type]
def test_where_it_cannot_be_drawn_words_stand_in_its_place(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    widget = make()
    widget._ipython_display_()
    assert shown[0]["application/vnd.jupyter.widget-view+json"]["model_id"] == widget.box.model_id
    assert "works in a running notebook" in shown[0]["text/plain"]
