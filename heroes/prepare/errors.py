"""The one error of this package: what is wrong, where, and what to do about it."""

from __future__ import annotations


class InputError(ValueError):
    """The file can't be prepared. Its text is one line: file, place, field, problem, remedy."""

    def __init__(
        self, name: str, problem: str, remedy: str, *, place: str = "", field: str = ""
    ) -> None:
        where = ", ".join(part for part in (name, place, field) if part)
        super().__init__(f"{where}: {problem} {remedy}")
        self.place = place
        self.field = field
        self.problem = problem
        self.remedy = remedy
