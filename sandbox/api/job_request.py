"""The body of "create a fine-tuning job": its fields and their limits."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from sandbox.api.body import Strict
from sandbox.api.errors import BadRequest
from sandbox.api.metadata import Metadata

MOST_EPOCHS, LARGEST_BATCH, LARGEST_SEED = 50, 256, 2_147_483_647
LARGEST_MULTIPLIER, MOST_INTEGRATIONS = 10_000, 5


def _auto_or(kind: type, most: int, words: str, schema: dict[str, Any]) -> Any:
    """Return the type of a hyperparameter: "auto", or a number above 0; ``words`` say which."""

    def check(value: Any) -> Any:
        number = isinstance(value, int | kind) and not isinstance(value, bool)
        # The bound keeps out what overflows: 1e308, or a whole number of four hundred digits.
        if value is None or value == "auto" or (number and 0 < value <= most):
            return value
        raise ValueError(f"it must be 'auto' or {words}")

    schema = {"anyOf": [{"const": "auto"}, schema | {"maximum": most}]}
    return Annotated[kind | str | None, BeforeValidator(check), WithJsonSchema(schema)]


def _whole(most: int) -> Any:
    schema = {"type": "integer", "minimum": 1}
    return _auto_or(int, most, f"a whole number from 1 to {most}", schema)


def _number(most: int) -> Any:
    schema = {"type": "number", "exclusiveMinimum": 0}
    return _auto_or(float, most, f"a number above 0, at most {most}", schema)


class Hyperparameters(Strict):
    """What governs the training; "auto" leaves the choice to the sandbox."""

    n_epochs: _whole(MOST_EPOCHS) = None
    batch_size: _whole(LARGEST_BATCH) = None
    learning_rate_multiplier: _number(LARGEST_MULTIPLIER) = None


class Supervised(Strict):
    """Settings of supervised fine-tuning."""

    hyperparameters: Hyperparameters | None = None


class Method(Strict):
    """How to train. The sandbox can do "supervised".

    As in the hosted API, the settings of the methods that `type` does not name are not read.
    """

    type: Literal["supervised"]
    supervised: Supervised | None = None
    dpo: dict[str, Any] | None = None
    reinforcement: dict[str, Any] | None = None

    @model_validator(mode="before")
    @classmethod
    def _only_supervised(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        if data.get("type") in ("dpo", "reinforcement"):
            raise ValueError(
                f"the method '{data['type']}' is not supported by the sandbox; use 'supervised'"
            )
        # The SDK's types list the other methods' settings too; null means "not given".
        return {k: v for k, v in data.items() if v is not None}


class WandbProject(Strict):
    """Where in Weights & Biases the hosted API would log."""

    project: str
    name: str | None = None
    entity: str | None = None
    tags: list[str] | None = None


class Integration(Strict):
    """A place to log to. The sandbox keeps the request with the job and sends nothing anywhere."""

    type: Literal["wandb"]
    wandb: WandbProject


class JobRequest(Strict):
    """The parameters of a new fine-tuning job."""

    model: str
    training_file: str
    validation_file: str | None = None
    method: Method | None = None
    # In the schema only: pydantic's own `deprecated` would warn at each of our reads.
    hyperparameters: Hyperparameters | None = Field(None, json_schema_extra={"deprecated": True})
    suffix: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] | None = None
    metadata: Metadata | None = None
    integrations: Annotated[list[Integration], Field(max_length=MOST_INTEGRATIONS)] = []


def merge_hyperparameters(request: JobRequest) -> dict[str, int | float | str]:
    """Return the three hyperparameters, from the old place or the new one, "auto" if nowhere.

    Raises BadRequest when a number is given in both places and differs.
    """
    supervised = request.method.supervised if request.method else None
    new, old = (
        asked.model_dump(exclude_none=True) if asked else {}
        for asked in (supervised and supervised.hyperparameters, request.hyperparameters)
    )
    for name in new.keys() & old.keys():
        if new[name] != old[name]:
            raise BadRequest(
                f"'hyperparameters.{name}' is {old[name]}, but 'method.supervised.hyperparameters."
                f"{name}' is {new[name]}. Give it once, in 'method'.",
                param=f"hyperparameters.{name}",
            )
    return dict.fromkeys(Hyperparameters.model_fields, "auto") | old | new
