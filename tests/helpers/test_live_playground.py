"""Moving things: progress, the live view of a job, the playground and the hero form."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest
from openai import OpenAI, OpenAIError
from tqdm.notebook import tqdm_notebook

from course.hero_form import HeroForm
from course.judge_form import JudgeForm
from helpers import display, live
from helpers.live import LiveView, loss_svg, progress_bar
from helpers.playground import Playground
from tests.support.provider import Provider, completion, error

VIEW = "application/vnd.jupyter.widget-view+json"
LOSSES = pd.DataFrame(
    {"step": [1, 2], "train_loss": [2.0, float("inf")], "valid_loss": [None, 1.5]}
)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    displayed: list[dict[str, Any]] = []
    monkeypatch.setattr(display, "display", lambda data, raw: displayed.append(data))
    return displayed


@pytest.fixture
def provider() -> Iterator[Provider]:
    def script(number: int, body: dict[str, Any]) -> Any:
        if body["model"] != "m":
            return 404, {}, error("model_not_found", "There is no <such> model.")
        return 200, {}, completion("Two\n<lines>", tokens_out=8)

    with Provider(script) as server:
        yield server


@pytest.fixture
def client(provider: Provider) -> Iterator[OpenAI]:
    with OpenAI(api_key="k", base_url=provider.url, max_retries=0) as made:
        yield made


def test_a_bar_is_a_line_outside_of_a_notebook(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(4, 1, "row") as bar:
        bar.update(3)
    assert "4/4" in capsys.readouterr().err
    with progress_bar(4, 0, "row", quiet=True) as bar:
        bar.update(4)
    assert capsys.readouterr() == ("", "")


def test_a_bar_is_a_widget_in_a_notebook(
    shown: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "in_notebook", lambda: True)
    with progress_bar(294, 0, "row") as bar:
        assert isinstance(bar, tqdm_notebook)
        bar.update(294)
    assert [data[VIEW]["model_id"] for data in shown] == [bar.container.model_id]
    assert shown[0]["text/plain"].startswith("(A progress bar, up to 294 rows")


def test_the_live_view_moves(shown: list[dict[str, Any]]) -> None:
    view = LiveView()
    view.show()
    view.update("step 2 <of> 10", 2, 10, LOSSES)
    assert [data[VIEW]["model_id"] for data in shown] == [view.box.model_id]
    assert view.state.value == "<span>step 2 &lt;of&gt; 10</span>"
    assert (view.bar.value, view.bar.max) == (2, 10)
    first = view.curve.value
    assert 'aria-label="Training loss does not fall: it goes from 2.00 to inf in 2' in first
    view.update("", 10, 10, LOSSES.assign(train_loss=0.5))
    assert "to 0.50 in 2 steps" in view.curve.value, "the last step is always drawn"
    assert LiveView(curve=False).curve is None


def test_the_loss_is_a_picture_with_words() -> None:
    root = ElementTree.fromstring(loss_svg(LOSSES.assign(train_loss=[2.0, 1.0]), total=10))
    assert root.get("aria-label").startswith("Training loss falls from 2.00 to 1.00 in 2 steps. V")
    assert root.find(".//{http://www.w3.org/2000/svg}path") is not None
    assert loss_svg(LOSSES[:0]) == "", "nothing to draw yet"


def test_the_playground_asks_the_model(
    provider: Provider, client: OpenAI, shown: list[dict[str, Any]]
) -> None:
    play = Playground(client, "m", system="You imagine superheroes.", temperature=0.7, seed=1)
    assert play.temperature.value == 0.7
    play._ipython_display_()
    assert "works in a running notebook" in " ".join(shown[0]["text/plain"].split())
    play.temperature.value, play.max_tokens.value = 0.0, 8
    play.button.click()
    assert (
        play.answer.value == "<p>Two<br>&lt;lines&gt;</p><p><small>finished, 8 tokens</small></p>"
    )
    assert not play.button.disabled
    sent = provider.calls[0]
    assert [message["role"] for message in sent["messages"]] == ["system", "user"]
    assert (sent["temperature"], sent["max_completion_tokens"], sent["seed"]) == (0.0, 8, 1)
    play.system.value = " "
    play.button.click()
    assert [message["role"] for message in provider.calls[1]["messages"]] == ["user"]
    play.user.value = ""
    play.button.click()
    assert "Write a message" in play.answer.value


def test_the_playground_asks_two_models_side_by_side(provider: Provider, client: OpenAI) -> None:
    play = Playground(client, {"before": "m", "<after>": "m"}, user="40, woman, Healing ->")
    play.button.click()
    assert [sent["messages"][0]["content"] for sent in provider.calls] == [play.user.value] * 2
    assert play.answer.value.index("before") < play.answer.value.index("&lt;after&gt;")
    assert play.answer.value.count("finished, 8 tokens") == 2


def test_the_playground_says_what_went_wrong(client: OpenAI) -> None:
    play = Playground(client, "other")
    play.button.click()
    assert "That did not work" in play.answer.value
    assert "&lt;such&gt;" in play.answer.value
    assert not play.button.disabled


def test_the_form_draws_the_hero_and_judges_it(shown: list[dict[str, Any]]) -> None:
    asked: list[tuple[int, str, str]] = []

    def predict(age: int, gender: str, power: str) -> str:
        asked.append((age, gender, power))
        return f"Meet Ada, a {age}-year-old woman with the power of <{power}>."

    form = HeroForm(predict)
    form._ipython_display_()
    assert "works in a running notebook" in " ".join(shown[0]["text/plain"].split())
    form.age.value, form.gender.value, form.power.value = 47, "man", " baking "
    form.button.click()
    assert asked == [(47, "man", "baking")]
    assert "<svg" in form.card.value and "&lt;baking&gt;" in form.card.value
    assert "<strong>The judge:</strong> refused." in form.card.value
    assert "gender: 0 of 1 such words speak of a man" in form.card.value
    form.power.value = ""
    form.button.click()
    assert "power first" in form.card.value
    assert len(asked) == 1


def test_the_judge_reads_a_text_while_it_is_edited(shown: list[dict[str, Any]]) -> None:
    good = "Ada is a 40-year-old woman who heals. " + "She helps all who knock at her door. " * 2
    form = JudgeForm(good, 40, "woman", "healing")
    form._ipython_display_()
    assert "40, woman, healing" in shown[0]["text/plain"]
    assert form.verdict.value == "Passed."
    form.text.value = good.replace("40", "<41>")
    assert "Refused" in form.verdict.value
    assert "age: never states the age 40" in form.verdict.value


def test_the_form_says_what_went_wrong() -> None:
    def predict(age: int, gender: str, power: str) -> str:
        raise OpenAIError("no <model>")

    form = HeroForm(predict)
    form.button.click()
    assert "no &lt;model&gt;" in form.card.value
    assert not form.button.disabled
