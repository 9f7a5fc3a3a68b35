"""The faults there are: their names, where they can happen, and what may be said about each."""

import re
from dataclasses import dataclass, field
from typing import Any

from sandbox.api.errors import BadRequest

STEPS_NAME = "job_fails_after_N_steps"
MOST_STEPS = 1_000_000


@dataclass(frozen=True)
class Number:
    """A detail of a fault: its default and the range it may have. None: it must be given."""

    default: float | None
    low: float
    high: float
    whole: bool = False

    def read(self, name: str, given: Any) -> float:
        """Return a value as a number. Raises BadRequest."""
        try:
            value = float(given) if not isinstance(given, bool) else float("nan")
        except (TypeError, ValueError, OverflowError):
            value = float("nan")
        if not self.low <= value <= self.high or (self.whole and value != int(value)):
            kind = "a whole number" if self.whole else "a number"
            raise BadRequest(
                f"'{name}' of a fault must be {kind} from {self.low:g} to {self.high:g}.",
                param=name,
            )
        return int(value) if self.whole else value


@dataclass(frozen=True)
class Choice:
    """A detail that is one of a few numbers."""

    default: int
    among: tuple[int, ...]

    def read(self, name: str, given: Any) -> int:
        """Return the number. Raises BadRequest."""
        for number in self.among:
            if str(given) == str(number):
                return number
        choices = ", ".join(map(str, self.among))
        raise BadRequest(f"'{name}' of a fault must be one of {choices}.", param=name)


@dataclass(frozen=True)
class Lines:
    """A detail that names lines of a file: "4,13"."""

    default: str

    def read(self, name: str, given: Any) -> str:
        """Return the line numbers, tidied. Raises BadRequest."""
        numbers = re.findall(r"[0-9]+", str(given))
        if not re.fullmatch(r"[0-9]{1,9}( *, *[0-9]{1,9}){0,49}", str(given).strip()):
            raise BadRequest(f"'{name}' of a fault must be line numbers: 4,13", param=name)
        return ", ".join(numbers)


@dataclass(frozen=True)
class Kind:
    """One sort of fault. ``aims`` names the calls that it can happen to (see calls.py)."""

    name: str
    aims: tuple[str, ...]
    what: str
    details: dict[str, Number | Choice | Lines] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """A fault that was asked for, with all its details."""

    kind: Kind
    details: dict[str, Any]

    @property
    def name(self) -> str:
        """The name as it was asked for: with the number of steps in it, if it has one."""
        return self.kind.name.replace("_N_", f"_{self.details.get('steps')}_")


WAIT = Number(1, 1, 120, whole=True)
STATUS = Choice(500, (500, 502, 503, 504))

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("rate_limit", ("any",), "429: too many calls. Ask again soon.", {"retry_after": WAIT}),
        Kind("insufficient_quota", ("model", "job"), "429: the money is used up."),
        Kind("server_error", ("any",), "500 to 504: the provider has failed.", {"status": STATUS}),
        Kind(
            "timeout",
            ("any",),
            "The work is done, but the answer comes too late.",
            {"seconds": Number(5, 0.01, 600)},
        ),
        Kind(
            "slow_stream",
            ("stream",),
            "A stream that waits before each piece.",
            {"seconds": Number(0.5, 0.01, 60)},
        ),
        Kind(
            "broken_stream",
            ("stream",),
            "A stream whose connection is cut.",
            {"chunks": Number(4, 1, 100_000, whole=True)},
        ),
        Kind("training_not_available", ("job",), "403: this account may not train models."),
        Kind("model_retired", ("model", "job"), "404: the model is gone for good."),
        Kind(
            "moderation",
            ("text", "job"),
            "400: the prompt is flagged; or the job fails, because its file is.",
            {"lines": Lines("1")},
        ),
        Kind(
            STEPS_NAME,
            ("job",),
            "The job fails in the middle of its training.",
            {"steps": Number(None, 1, MOST_STEPS, whole=True)},
        ),
    )
}


def build_fault(name: str, details: dict[str, Any]) -> Fault:
    """Return the fault of this name. Raises BadRequest for a name or a detail nobody knows."""
    given = dict(details)
    inside = re.fullmatch(r"job_fails_after_([0-9]{1,9})_steps", name)
    if inside:
        name = STEPS_NAME
        given["steps"] = inside[1]
    kind = KINDS.get(name)
    if kind is None:
        raise BadRequest(
            f"There is no fault '{name}'. There are: {', '.join(KINDS)}.", code="unknown_fault"
        )
    for key in given:
        if key not in kind.details:
            known = ", ".join(kind.details) or "none"
            raise BadRequest(f"The fault '{name}' has no detail '{key}' (it has: {known}).")
    return Fault(kind, {key: _value(kind, key, given) for key in kind.details})


def parse_header(text: str) -> tuple[Fault, int | None]:
    """Return the fault of a header, and how many attempts it is for (None: all of them).

    Raises BadRequest.
    """
    name, *pairs = [part.strip() for part in text.split(";")]
    details: dict[str, Any] = {}
    for pair in filter(None, pairs):
        key, equals, value = pair.partition("=")
        if not equals:
            raise BadRequest(f"X-Sandbox-Fault: '{pair}' has no '='. Write NAME;key=value")
        details[key.strip()] = value.strip()
    times = details.pop("times", None)
    fault = build_fault(name, details)
    return fault, None if times is None else int(TIMES.read("times", times))


TIMES = Number(1, 1, 1000, whole=True)


def _value(kind: Kind, key: str, given: dict[str, Any]) -> Any:
    detail = kind.details[key]
    value = given.get(key, detail.default)
    if value is None:
        raise BadRequest(
            "After how many steps? Write the number into the name (job_fails_after_20_steps) or "
            f"give '{key}'.",
            param=key,
        )
    return detail.read(key, value)
