"""A paid step waits for a yes; a free one does not ask."""

from __future__ import annotations

import builtins

import pytest

from helpers.agree import NotAgreed, agree
from helpers.money import BudgetExceeded, estimate_answer

PAID = estimate_answer("Hi", "gpt-6-luna", 1000)
FREE = estimate_answer("Hi", "gpt-6-luna", 1000, provider="sandbox")
UNKNOWN = estimate_answer("Hi", "gpt-6-luna", 1000, provider="other")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The answers that are left to give; without one, nobody is there."""
    answers: list[str] = []

    def answer(question: str) -> str:
        if not answers:
            raise EOFError
        return answers.pop()

    monkeypatch.setattr(builtins, "input", answer)
    monkeypatch.delenv("HEROES_MAX_USD", raising=False)
    return answers


def test_what_is_free_passes(asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    agree(FREE)
    assert capsys.readouterr().out == ""


def test_a_paid_step_shows_its_price_and_waits_for_a_yes(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for answer in ("yes", " Y "):
        asked.append(answer)
        agree(PAID)
        assert capsys.readouterr().out == f"{PAID}\n"
    for refusal in (["no"], [""], []):
        asked[:] = refusal
        with pytest.raises(NotAgreed, match="Nothing was created"):
            agree(UNKNOWN)


def test_a_ceiling_is_a_yes_in_advance(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEROES_MAX_USD", "1")
    agree(PAID)
    with pytest.raises(BudgetExceeded, match="is not known"):
        agree(UNKNOWN)
    monkeypatch.setenv("HEROES_MAX_USD", "0.00001")
    with pytest.raises(BudgetExceeded):
        agree(PAID)
