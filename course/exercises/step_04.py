"""The exercises of notebook 04."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from course.exercise import Expectations, exercise, expect

KNOWN = "model training_file validation_file suffix seed method metadata extra_body".split()
METHOD = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}}
LABELS = {"course": "superheroes", "format": "chat"}
PAGE, OTHERS = 20, 40  # jobs on a page; jobs of other programs in the account


@exercise("4.1")
def request(wanted: Mapping[str, Any]) -> Expectations:
    yield expect(isinstance(wanted, Mapping), "a dictionary", type(wanted).__name__)
    for name in ("model", "training_file"):
        yield expect(wanted.get(name), f"the parameter {name}", "none of that name")
    for name, value in (("suffix", "my-hero"), ("seed", 7)):
        given = wanted.get(name, "none")
        yield expect(given == value, f"the {name} {value}", given)
    misplaced = "hyperparameters" in wanted or "n_epochs" in wanted
    yield expect(not misplaced, "the epochs inside the method", "epochs at the top, as in 2023")
    method = wanted.get("method")
    kind = (method or {}).get("type")
    yield expect(kind == "supervised", "a method of the type supervised", kind)
    yield expect(method == METHOD, "two epochs in the method, and nothing else", method)
    labels = wanted.get("metadata") or {}
    yield expect(labels.get("course") == "superheroes", "the label course", labels)
    yield expect(len(labels) >= 2, "one more label of your own", f"{len(labels)} label")
    texts = all(isinstance(value, str) for value in labels.values())
    yield expect(texts, "labels that are texts (the API takes no numbers)", labels)
    strangers = [name for name in wanted if name not in KNOWN]
    yield expect(not strangers, "only parameters that the API knows", ", ".join(strangers))


class _Jobs:
    """What `jobs.list` gives: the first page in `data`; a loop goes through all pages."""

    def __init__(self, jobs: Iterable[Any], limit: int = PAGE) -> None:
        self._all = list(jobs)
        self.data = self._all[:limit]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._all)


def _has(job: Any, labels: Mapping[str, str]) -> bool:
    return labels.items() <= (job.metadata or {}).items()


def account() -> Any:
    """A client whose account holds 45 jobs: five of the course, forty of other programs."""

    def job(name: str, status: str, metadata: dict[str, str] | None) -> Any:
        return SimpleNamespace(id=name, status=status, metadata=metadata, model="m")

    labels = (None, {"team": "x"})
    others = [job(f"other-{n}", "succeeded", labels[n % 2]) for n in range(OTHERS)]
    jobs = [
        job("cancelled", "cancelled", LABELS),
        job("half", "running", {"course": "superheroes"}),
        job("failed", "failed", LABELS),
        *others[: PAGE + 5],
        job("wanted", "succeeded", {**LABELS, "made_by": "me"}),
        *others[PAGE + 5 :],
        job("older", "succeeded", LABELS),
    ]

    def list_jobs(limit: int = PAGE, metadata: Mapping[str, str] | None = None) -> _Jobs:
        return _Jobs((each for each in jobs if _has(each, metadata or {})), limit)

    listing = SimpleNamespace(list=list_jobs)
    return SimpleNamespace(fine_tuning=SimpleNamespace(jobs=listing))


@exercise("4.2")
def find_by_labels(newest: Callable[[Any, dict[str, str]], Any]) -> Expectations:
    yield expect(callable(newest), "a function", type(newest).__name__)
    client = account()
    found = newest(client, LABELS)
    name = getattr(found, "id", found)
    yield expect(found is not None, "a job", "None")
    yield expect(
        name not in ("failed", "cancelled"), "a job that can be used", f"the one that is {name}"
    )
    yield expect(name != "half", "a job with all of the labels", "one with only some of them")
    yield expect(name != "older", "the newest of those that fit", "an older one")
    yield expect(name == "wanted", "the job with the labels course and format", name)
    yield expect(newest(client, {"course": "cooking"}) is None, "None if no job fits", "a job")
    foreign = getattr(newest(client, {"team": "x"}), "id", None)
    yield expect(foreign == "other-1", "a function for any labels", foreign)
