"""Which models there are, and where they lie: the base models and a project's own."""

from dataclasses import dataclass
from pathlib import Path

from sandbox.api.context import Context
from sandbox.api.errors import ModelNotFound, NotFound
from sandbox.config import BaseModel
from sandbox.store import models
from sandbox.store.models import ModelRow


@dataclass(frozen=True)
class FoundModel:
    """A model that a request has named. ``row`` is None for a base model."""

    name: str
    path: Path
    base: BaseModel
    row: ModelRow | None


def find_model(context: Context, project: str, name: str) -> FoundModel:
    """Return a model by its name. Raises ModelNotFound."""
    for base in context.bases:
        if base.name == name:
            return FoundModel(name, base.path, base, None)
    row = models.get_model(context.store, project, name)
    if row is None:
        raise ModelNotFound(name, known_names(context, project))
    return FoundModel(name, models.model_path(context.store, row), _base_of(context, row), row)


def known_names(context: Context, project: str, most: int = 20) -> list[str]:
    """Return names for a hint: the base models, then the project's newest own."""
    own = [row.name for row in models.list_models(context.store, project)]
    return ([base.name for base in context.bases] + own[::-1])[:most]


def _base_of(context: Context, row: ModelRow) -> BaseModel:
    for base in context.bases:
        if base.name == row.base:
            return base
    raise NotFound(
        f"The model `{row.name}` was tuned from `{row.base}`, which this server does not have. "
        "Start it with --base-model to use the model again.",
        code="model_not_found",
    )
