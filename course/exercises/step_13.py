"""The exercises of notebook 13."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from course.exercise import Expectations, exercise, expect

URL = "/v1/chat/completions"
FIELDS = ("custom_id", "method", "url", "body")
PROMPTS = ("40, woman, Healing ->", "20, man, flight ->", "60, woman, telepathy ->")

# Some lines of a batch's two result files, in no order; request-6 has none.
RESULTS: tuple[tuple[int, int | None], ...] = ((4, 200), (2, 429), (7, None), (1, 200), (5, 404))
RESULTS += ((0, 400), (3, 500))
WORTH = (2, 3, 6, 7)  # a rate limit, a failing server, no line, no answer


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
def left_over(function: Callable[[list[Any], list[Any]], list[Any]]) -> Expectations:
    yield expect(callable(function), "a function", type(function).__name__)
    requests = [{"custom_id": f"request-{n}", "method": "POST", "url": URL} for n in range(8)]
    results = [
        {"custom_id": f"request-{n}", "response": status and {"status_code": status}, "error": None}
        for n, status in RESULTS
    ]
    given, told = deepcopy(requests), deepcopy(results)
    found = function(given, told)
    yield expect(isinstance(found, list), "a list", type(found).__name__)
    unchanged = (given, told) == (requests, results)
    yield expect(unchanged, "the two lists to stay as they were", "that they were changed")
    said = [request["custom_id"] for request in found]
    for n, status in sorted(RESULTS):
        what = f"status {status}" if status else "no answer"
        name, wanted = f"request-{n}", n in WORTH
        asked = f"{name} ({what}) {'to be sent again' if wanted else 'not to be sent again'}"
        yield expect((name in said) == wanted, asked, said)
    yield expect("request-6" in said, "request-6, which has no line, to be sent again", said)
    yield expect(said == sorted(said), "the requests in their old order", said)
    yield expect(found == [requests[n] for n in WORTH], "whole requests, each once", found)
    nothing = function(deepcopy(requests), [])
    yield expect(nothing == requests, "all requests if there are no results", nothing)
