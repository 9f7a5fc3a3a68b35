"""Before a call that costs: the estimate, the ceiling, and the question whether to go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from heroes.output import confirm, note

if TYPE_CHECKING:
    from helpers.money import Estimate

MaxUsd = Annotated[
    float | None, typer.Option(min=0, help="Refuse a step that could cost more dollars than this.")
]
Agreed = Annotated[
    bool, typer.Option("--yes", "-y", help="Do not ask before a call that costs money.")
]


@contextmanager
def paying(estimate: Estimate, yes: bool, max_usd: float | None) -> Iterator[None]:
    """Tell what it will cost and ask, before the block with the call.

    On the sandbox, which is free, nothing is told or asked. Raises BudgetExceeded if the call could
    cost more than a ceiling allows.
    """
    agree(estimate, yes, max_usd)
    yield


def agree(estimate: Estimate, yes: bool, max_usd: float | None = None) -> None:
    """Tell what it will cost and ask, unless it is free. Raises BudgetExceeded above a ceiling."""
    from helpers.money import allow
    from helpers.settings import load_settings

    if load_settings().provider != "sandbox":
        allow(estimate, max_usd)
        note(str(estimate))
        confirm("Go on?", yes)
