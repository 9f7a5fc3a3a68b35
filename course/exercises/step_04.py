"""The exercises of notebook 04: what is expected of a request and of a job, with three hints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from openai.types.fine_tuning import FineTuningJob

from course.exercise import Exercise, Expectation, expect

KNOWN = (
    "model",
    "training_file",
    "validation_file",
    "suffix",
    "seed",
    "method",
    "metadata",
    "extra_body",
)


def _epochs(wanted: Mapping[str, Any]) -> object:
    """The number of epochs of a request, if it stands where it belongs; else None."""
    place: Any = wanted
    for name in ("method", "supervised", "hyperparameters", "n_epochs"):
        place = place.get(name) if isinstance(place, Mapping) else None
    return place


def _request(wanted: Mapping[str, Any]) -> Iterator[Expectation]:
    yield expect(isinstance(wanted, Mapping), "a dict of settings", type(wanted).__name__)
    for name in ("model", "training_file"):
        yield expect(wanted.get(name), f"the setting {name}", "none of that name")
    for name, value in (("suffix", "my-hero"), ("seed", 7)):
        given = wanted.get(name, "none")
        yield expect(given == value, f"the {name} {value}", given)
    misplaced = "hyperparameters" in wanted or "n_epochs" in wanted
    yield expect(not misplaced, "the epochs inside the method", "epochs at the top, as in 2023")
    kind = (wanted.get("method") or {}).get("type")
    yield expect(kind == "supervised", "a method of the type supervised", kind)
    yield expect(_epochs(wanted) == 2, "two epochs in the method's settings", _epochs(wanted))
    labels = wanted.get("metadata") or {}
    yield expect(labels.get("course") == "superheroes", "the label course", labels)
    yield expect(len(labels) >= 2, "one more label of your own", f"{len(labels)} label")
    texts = all(isinstance(value, str) for value in labels.values())
    yield expect(texts, "labels that are texts (the API takes no numbers)", labels)
    strangers = [name for name in wanted if name not in KNOWN]
    yield expect(not strangers, "only settings that the API knows", ", ".join(strangers))


def _lost_and_found(found: FineTuningJob, wanted_id: str) -> Iterator[Expectation]:
    yield expect(found is not None, "a job", "nothing yet")
    yield expect(isinstance(found, FineTuningJob), "one job", type(found).__name__)
    yield expect(found.status == "cancelled", "a cancelled job", f"one that is {found.status}")
    yield expect(found.id == wanted_id, "the job of section 8", "another cancelled job")


request = Exercise(
    "4.1",
    "write the order",
    _request,
    (
        "Look at the big cell of section 4: every setting you need is in it, with other values.",
        "`suffix`, `seed` and `metadata` stand at the top of the request. The epochs do not.",
        'The epochs go into "method", inside "supervised", inside "hyperparameters". '
        '`metadata` is a dict of texts with the key "course" and one more.',
    ),
)

lost_and_found = Exercise(
    "4.2",
    "lost and found",
    _lost_and_found,
    (
        "Section 8 shows two ways to look through the list. One of them knows labels.",
        "Which labels did the cancelled job get when it was created? Ask the list for them.",
        "`client.fine_tuning.jobs.list(metadata=…, limit=1)` gives a page; its `.data` is a list "
        "of jobs, and you want the first one.",
    ),
)
