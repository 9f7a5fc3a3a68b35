"""Which models there are, and where they lie: the base models and a project's own."""

from dataclasses import dataclass
from pathlib import Path

from sandbox.api.context import Context
from sandbox.api.errors import Forbidden, NotFound
from sandbox.bases import NAMED, Base
from sandbox.store import models
from sandbox.store.tables import ModelRow

MOST_NAMED = 20  # models, in an error
EMBEDDER = "all-minilm-l6-v2"


@dataclass(frozen=True)
class FoundModel:
    """A model that a request has named. ``row`` is None for a base model."""

    name: str
    path: Path  # of the base or of a model with all weights of its own
    base: Base
    row: ModelRow | None
    adapter: Path | None = None  # the LoRA adapter on the base in ``path``, if it is one


def find_model(context: Context, project: str, name: str) -> FoundModel:
    """Return a model by its name. Raises NotFound."""
    for base in context.bases:
        if base.name == name:
            return FoundModel(name, base.path, base, None)
    row = models.get_model(context.store, project, name)
    if row is None:
        raise model_not_found(context, project, name)
    base, folder = _base_of(context, row), models.model_path(context.store, row)
    if row.adapter is None:
        return FoundModel(name, folder, base, row)
    return FoundModel(name, base.path, base, row, adapter=folder)


def find_writer(context: Context, project: str, name: str) -> FoundModel:
    """Return a model that writes texts. Raises NotFound or Forbidden."""
    model = find_model(context, project, name)
    if model.base.embeds:
        raise Forbidden(
            f"You are not allowed to sample from this model: `{name}` turns texts into vectors, "
            "for /v1/embeddings only."
        )
    return model


def find_embedder(context: Context, project: str, name: str) -> FoundModel:
    """Return a model that turns texts into vectors. Raises NotFound or Forbidden."""
    model = find_model(context, project, name)
    if not model.base.embeds:
        known = [base.name for base in context.bases if base.embeds]
        instead = f"Ask {', '.join(known)}." if known else how_to_fetch(EMBEDDER)
        raise Forbidden(
            f"You are not allowed to generate embeddings from this model: `{name}` writes texts. "
            + instead
        )
    return model


def how_to_fetch(name: str) -> str:
    """What to do to get a base model that bases.toml names."""
    return (
        f"Fetch `{name}` with `heroes models fetch {name}` (outside of the course: `python -m "
        f"sandbox models fetch {name}`), then start the sandbox again."
    )


def model_not_found(context: Context, project: str, name: str) -> NotFound:
    """Return the error for a name without a model; it names the base models and the newest own."""
    if name in NAMED and not NAMED[name].folder:
        return NotFound(
            f"The model `{name}` does not exist yet. {how_to_fetch(name)}", code="model_not_found"
        )
    own = [row.name for row in models.list_models(context.store, project)]
    known = [base.name for base in context.bases] + own[::-1]
    return NotFound(
        f"The model `{name}` does not exist or you do not have access to it. "
        f"This sandbox has: {', '.join(known[:MOST_NAMED])}.",
        code="model_not_found",
    )


def _base_of(context: Context, row: ModelRow) -> Base:
    for base in context.bases:
        if base.name == row.base:
            return base
    raise NotFound(
        f"The model `{row.name}` was tuned from `{row.base}`, which this server does not have. "
        "Start it with --base-model to use the model again.",
        code="model_not_found",
    )
