"""The exercises of notebook 13."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from course.exercise import Expectations, exercise, expect

URL = "/v1/chat/completions"
FIELDS = ("custom_id", "method", "url", "body")
PROMPTS = ("40, woman, Healing ->", "20, man, flight ->", "60, woman, telepathy ->")

TODAY, LAST_DAY = date(2026, 11, 20), date(2027, 1, 14)
# A shutdown date as a server gives it, a day, and whether the model still answers on that day.
CASES: tuple[tuple[str | None, date, bool, str], ...] = (
    ("2027-01-14", TODAY, True, "a model that ends in eight weeks"),
    ("2026-09-28", TODAY, False, "a model that ended in September"),
    ("2027-01-14", LAST_DAY, False, "a model on the day of its end"),
    (None, LAST_DAY, True, "a model without a date"),
)


def broken_lines(model: str) -> list[dict[str, Any]]:
    """Three requests of a batch, each with a mistake of its own."""
    bodies = [{"model": model, "messages": [{"role": "user", "content": p}]} for p in PROMPTS]
    lines: list[dict[str, Any]] = [
        {"custom_id": f"hero-{number}", "method": "POST", "url": URL, "body": body}
        for number, body in enumerate(bodies, 1)
    ]
    lines[0]["url"] = f"https://api.openai.com{URL}"
    lines[1]["custom_id"] = "hero-1"
    del lines[2]["body"]["model"]
    return lines


@exercise("13.1")
def batch_lines(lines: Sequence[Mapping[str, Any]], model: str) -> Expectations:
    yield expect(isinstance(lines, list), "a list of requests", type(lines).__name__)
    yield expect(len(lines) == 3, "three requests", len(lines))
    for number, line in enumerate(lines, 1):
        missing = [name for name in FIELDS if not line.get(name)]
        yield expect(not missing, f"all four fields in line {number}", f"no {', '.join(missing)}")
        yield expect(line["method"] == "POST", f"POST in line {number}", line["method"])
        wanted = (
            f"an address in line {number} that is the endpoint of the batch, without the server"
        )
        yield expect(line["url"] == URL, wanted, line["url"])
        body = line["body"]
        yield expect("model" in body, f"a model in the body of line {number}", "none")
        yield expect(body["model"] == model, "the same model in all lines", body["model"])
        yield expect(body.get("messages"), f"messages in the body of line {number}", "none")
    ids = Counter(line["custom_id"] for line in lines)
    twice = [name for name, count in ids.items() if count > 1]
    yield expect(not twice, "every custom_id once", f"{', '.join(map(str, twice))} twice")
    asked = {line["body"]["messages"][0]["content"] for line in lines}
    yield expect(asked == set(PROMPTS), "the same three heroes as before", "other notes")


@exercise("13.2")
def model_available(function: Callable[[str | None, date], bool]) -> Expectations:
    yield expect(callable(function), "a function", type(function).__name__)
    for shutdown_date, day, right, name in CASES:
        said = function(shutdown_date, day)
        kind = "nothing" if said is None else type(said).__name__
        yield expect(isinstance(said, bool), f"True or False for {name}", kind)
        yield expect(said == right, f"{right} for {name}", said)
