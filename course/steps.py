"""The fourteen steps of the course: their titles, products and files."""

from __future__ import annotations

from typing import NamedTuple


class Step(NamedTuple):
    """One notebook: its number, title and product, and the files it leaves in data/my."""

    number: str
    title: str
    product: str
    files: tuple[str, ...] = ()


TABLES = ("superheroes.csv", "validation.csv")
JSONL = ("train.jsonl", "validation.jsonl")
PAIRS = ("train_completions.jsonl", "validation_completions.jsonl")

STEPS = (
    Step("00", "The whole game", "a hero from a model that you tuned"),
    Step("01", "API key", "a key and a first conversation"),
    Step("02", "Synthetic data", "294 descriptions in a table", TABLES),
    Step("03", "JSONL files", "checked training files", JSONL + PAIRS),
    Step("04", "Create a job", "a running fine-tuning job"),
    Step("05", "Follow it", "the finished job and its loss curve"),
    Step("06", "Predict", "your own hero on a card", ("model.json",)),
    Step("07", "Evaluate", "scores with intervals, before and after", ("evaluation.csv",)),
    Step("08", "Experiment", "curves: rows, epochs, learning rate", ("experiments.csv",)),
    Step("09", "Trainer by hand", "the same model without the API", ("loss_by_hand.csv",)),
    Step("10", "RAG or tuning", "a measured comparison", ("comparison.csv",)),
    Step("11", "Fix errors", "the common errors, repaired"),
    Step("12", "Your own model", "a model of your own data", ("my_model.json",)),
    Step("13", "Go beyond", "the same road at scale", ("plan.json",)),
)
