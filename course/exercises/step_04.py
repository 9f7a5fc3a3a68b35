"""The exercises of notebook 04."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openai.types.fine_tuning import FineTuningJob

from course.exercise import Expectations, exercise, expect

KNOWN = "model training_file validation_file suffix seed method metadata extra_body".split()
METHOD = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}}


@exercise("4.1")
def request(wanted: Mapping[str, Any]) -> Expectations:
    yield expect(isinstance(wanted, Mapping), "a dict of settings", type(wanted).__name__)
    for name in ("model", "training_file"):
        yield expect(wanted.get(name), f"the setting {name}", "none of that name")
    for name, value in (("suffix", "my-hero"), ("seed", 7)):
        given = wanted.get(name, "none")
        yield expect(given == value, f"the {name} {value}", given)
    misplaced = "hyperparameters" in wanted or "n_epochs" in wanted
    yield expect(not misplaced, "the epochs inside the method", "epochs at the top, as in 2023")
    method = wanted.get("method")
    kind = (method or {}).get("type")
    yield expect(kind == "supervised", "a method of the type supervised", kind)
    yield expect(method == METHOD, "two epochs in the method's settings, and no more", method)
    labels = wanted.get("metadata") or {}
    yield expect(labels.get("course") == "superheroes", "the label course", labels)
    yield expect(len(labels) >= 2, "one more label of your own", f"{len(labels)} label")
    texts = all(isinstance(value, str) for value in labels.values())
    yield expect(texts, "labels that are texts (the API takes no numbers)", labels)
    strangers = [name for name in wanted if name not in KNOWN]
    yield expect(not strangers, "only settings that the API knows", ", ".join(strangers))


@exercise("4.2")
def cancelled_job(found: FineTuningJob, wanted_id: str) -> Expectations:
    yield expect(found is not None, "a job", "nothing yet")
    yield expect(isinstance(found, FineTuningJob), "one job", type(found).__name__)
    yield expect(found.status == "cancelled", "a cancelled job", f"one that is {found.status}")
    yield expect(found.id == wanted_id, "the job of section 8", "another cancelled job")
