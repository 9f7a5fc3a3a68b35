"""Before a call that costs money: the estimate, the ceiling, and the question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heroes.output import confirm, note

if TYPE_CHECKING:
    from helpers.money import Estimate


def agree(estimate: Estimate, yes: bool, max_usd: float | None = None) -> None:
    """Say what it will cost and ask; on the sandbox, which is free, do neither.

    Raises BudgetExceeded above `max_usd` or HEROES_MAX_USD, CommandError without a yes.
    """
    from helpers.money import allow
    from helpers.settings import load_settings

    if load_settings().provider != "sandbox":
        allow(estimate, max_usd)
        note(str(estimate))
        confirm("Go on?", yes)
