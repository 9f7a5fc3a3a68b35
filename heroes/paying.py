"""Before a call that costs: the estimate, the ceiling, and the question whether to go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from heroes.output import confirm, note

if TYPE_CHECKING:
    from helpers.money.costs import Estimate

MaxUsd = Annotated[
    float | None, typer.Option(min=0, help="Refuse to spend more dollars than this.")
]
Agreed = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask before a call that costs money.")
]


@contextmanager
def paying(estimate: Estimate, yes: bool, max_usd: float | None) -> Iterator[None]:
    """Tell what it will cost and ask; inside the block no more than `max_usd` is spent.

    On the sandbox, which is free, nothing is told or asked. Raises BudgetExceeded before any call
    if a ceiling forbids it.
    """
    from helpers.money.spending import at_most

    with at_most(max_usd):
        agree(estimate, yes)
        yield


def agree(estimate: Estimate, yes: bool) -> None:
    """Tell what it will cost and ask, unless it is free."""
    from helpers.money.spending import diary
    from helpers.settings import load_settings

    if load_settings().provider != "sandbox":
        diary().check(estimate.model, estimate.usd)
        note(str(estimate))
        confirm("Go on?", yes)
