"""The exercises of notebook 11: a batch file without mistakes, and a model that is still there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from course.exercise import Exercise, Expectation, expect

URL = "/v1/chat/completions"
FIELDS = ("custom_id", "method", "url", "body")


def broken_lines(model: str) -> list[dict[str, Any]]:
    """Three requests of a batch, each with a mistake of its own."""

    def body(note: str) -> dict[str, Any]:
        return {"messages": [{"role": "user", "content": note}]}

    return [
        {
            "custom_id": "hero-1",
            "method": "POST",
            "url": "https://api.openai.com/v1/chat/completions",
            "body": {"model": model} | body("40, woman, Healing ->"),
        },
        {
            "custom_id": "hero-1",
            "method": "POST",
            "url": URL,
            "body": {"model": model} | body("20, man, flight ->"),
        },
        {
            "custom_id": "hero-3",
            "method": "POST",
            "url": URL,
            "body": body("60, woman, telepathy ->"),
        },
    ]


def _lines(lines: Sequence[Mapping[str, Any]], model: str) -> Iterator[Expectation]:
    yield expect(isinstance(lines, list), "a list of requests", type(lines).__name__)
    yield expect(len(lines) == 3, "three requests", len(lines))
    for number, line in enumerate(lines, 1):
        missing = [name for name in FIELDS if not line.get(name)]
        yield expect(not missing, f"all four fields in line {number}", f"no {', '.join(missing)}")
        yield expect(line["method"] == "POST", f"POST in line {number}", line["method"])
        yield expect(
            line["url"] == URL,
            f"an address in line {number} that is the endpoint of the batch, without the server",
            line["url"],
        )
        body = line["body"]
        yield expect("model" in body, f"a model in the body of line {number}", "none")
        yield expect(body["model"] == model, "the same model in all lines", body["model"])
        yield expect(body.get("messages"), f"messages in the body of line {number}", "none")
    ids = Counter(line["custom_id"] for line in lines)
    twice = [name for name, count in ids.items() if count > 1]
    yield expect(not twice, "every custom_id once", f"{', '.join(map(str, twice))} twice")
    known = {line["body"]["messages"][0]["content"] for line in broken_lines(model)}
    asked = {line["body"]["messages"][0]["content"] for line in lines}
    yield expect(asked == known, "the same three heroes as before", "other notes")


DAY = date(2027, 1, 14)
# A shutdown date as a server tells it, a day, and whether the model still answers on that day.
CASES: tuple[tuple[str | None, date, bool, str], ...] = (
    ("2027-01-14", date(2026, 11, 20), True, "a model that ends in eight weeks"),
    ("2026-09-28", date(2026, 11, 20), False, "a model that ended in September"),
    ("2027-01-14", DAY, False, "a model on the day of its end"),
    (None, DAY, True, "a model without a date"),
)


def _still_there(function: Callable[[str | None, date], bool]) -> Iterator[Expectation]:
    yield expect(callable(function), "a function", type(function).__name__)
    for shutdown_date, day, right, name in CASES:
        said = function(shutdown_date, day)
        yield expect(isinstance(said, bool), f"True or False for {name}", _told(said))
        yield expect(said == right, f"{right} for {name}", said)


def _told(value: object) -> str:
    return "nothing" if value is None else type(value).__name__


lines = Exercise(
    "11.1",
    "a batch file without mistakes",
    _lines,
    (
        "Compare the three requests with the first line of the file in section 2, field by field.",
        "One address is too long, one name is there twice, and one body does not say who is asked.",
        "`url` is the same text as `endpoint` in `batches.create`. Each `custom_id` may occur "
        "once. A `model` stands in each body.",
    ),
)

still_there = Exercise(
    "11.2",
    "a model that is still there",
    _still_there,
    (
        "Two dates can be compared with < once both are dates.",
        "`date.fromisoformat` makes a date of a text. What if there is no text?",
        "No date: True, nobody has announced an end. Else the day must come before the date: on "
        "the day itself the model is gone.",
    ),
)
