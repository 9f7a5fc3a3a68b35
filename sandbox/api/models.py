"""/v1/models: list, retrieve, delete."""

from typing import Any

from fastapi import APIRouter, Depends

from sandbox.api.auth import Project
from sandbox.api.catalog import find_model, model_not_found
from sandbox.api.context import ContextOf
from sandbox.api.errors import Conflict, Forbidden
from sandbox.api.paging import no_query
from sandbox.store import models
from sandbox.store.errors import InUse

router = APIRouter(prefix="/models", tags=["models"])
OWNER = "sandbox"


@router.get("", dependencies=[Depends(no_query)])
def list_models(project: Project, context: ContextOf) -> dict[str, Any]:
    """The base models, the project's tuned models and their checkpoints."""
    own = models.list_models(context.store, project)
    data = [model_object(base.name, base.created, OWNER) for base in context.bases]
    data += [model_object(row.name, row.created_at, row.project) for row in own]
    return {"object": "list", "data": data}


# A name may contain slashes (those of the Hugging Face Hub do), hence ":path".
@router.get("/{name:path}")
def retrieve_model(name: str, project: Project, context: ContextOf) -> dict[str, Any]:
    """One model by its name."""
    model = find_model(context, project, name)
    if model.row is None:
        return model_object(name, model.base.created, OWNER)
    return model_object(name, model.row.created_at, model.row.project)


@router.delete("/{name:path}")
def delete_model(name: str, project: Project, context: ContextOf) -> dict[str, Any]:
    """Delete one of the project's own tuned models."""
    if any(base.name == name for base in context.bases):
        raise Forbidden(
            f"The model `{name}` belongs to the sandbox. You can delete only models that you "
            "have tuned yourself."
        )
    try:
        deleted = models.delete_model(context.store, project, name)
    except InUse as error:
        raise Conflict(
            f"The model `{name}` is being tuned further by {error.user}. Wait for that job or "
            "cancel it, then delete the model."
        ) from error
    if not deleted:
        raise model_not_found(context, project, name)
    return {"id": name, "object": "model", "deleted": True}


def model_object(name: str, created: int, owner: str) -> dict[str, Any]:
    """Return a model as the API shows it."""
    return {"id": name, "created": created, "object": "model", "owned_by": owner}
