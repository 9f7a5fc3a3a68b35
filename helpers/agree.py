"""Print the price of a paid step in a notebook, and wait for a yes."""

from __future__ import annotations

from helpers.money import Estimate, allow
from helpers.settings import read_variable


class NotAgreed(RuntimeError):
    """The price was not agreed to. Nothing was called."""


def agree(estimate: Estimate) -> None:
    """Print what a step costs and wait for a yes. A free step passes without a word.

    HEROES_MAX_USD says yes in advance to each step that can't cost more. Raises BudgetExceeded for
    one that can, and NotAgreed for any other answer than yes.
    """
    if estimate.most_usd == 0:
        return
    allow(estimate)
    print(estimate)
    if read_variable("HEROES_MAX_USD"):
        return
    try:
        answer = input("Go on? Type yes: ")
    except (EOFError, NotImplementedError):  # nobody is there to answer
        answer = ""
    if answer.strip().casefold() not in ("y", "yes"):
        raise NotAgreed("Nothing was created. Answer yes, or set HEROES_MAX_USD in .env.")
