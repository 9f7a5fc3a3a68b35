"""/v1/sandbox/faults: set faults for one's own project, look at them, end them."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from sandbox.api.auth import Project
from sandbox.api.body import JsonRoute, Strict
from sandbox.api.context import Context, ContextOf
from sandbox.api.faults.kinds import KINDS, build_fault

router = APIRouter(
    prefix="/sandbox/faults", tags=["sandbox: faults for practice"], route_class=JsonRoute
)


class FaultRequest(Strict):
    """The parameters of a fault: its name, for how many calls, and what the name needs more."""

    fault: Annotated[str, Field(min_length=1, max_length=64)]
    times: Annotated[int, Field(ge=1, le=1000)] = 1
    details: dict[str, int | float | str] = {}


@router.get("")
async def list_faults(project: Project, context: ContextOf) -> dict[str, Any]:
    """The faults that are set for the key's project (`data`), and all there are (`known`)."""
    return _show(context, project)


@router.post("")
async def set_fault(asked: FaultRequest, project: Project, context: ContextOf) -> dict[str, Any]:
    """Make the next fitting calls of the key's project fail: `fault`, `times`, `details`.

    The same for a single request is the header X-Sandbox-Fault: NAME;key=value on it.
    """
    context.faults.put(project, replace(build_fault(asked.fault, asked.details), left=asked.times))
    return _show(context, project)


@router.delete("")
async def clear_faults(project: Project, context: ContextOf) -> dict[str, Any]:
    """End all faults of the key's project. A job that is to fail keeps its own."""
    cleared = context.faults.clear(project)
    return {**_show(context, project), "cleared": cleared}


def _show(context: Context, project: str) -> dict[str, Any]:
    waiting = [
        {
            "object": "sandbox.fault",
            "name": fault.name,
            "times_left": fault.left,
            "details": fault.details,
        }
        for fault in context.faults.of(project)
    ]
    known = [
        {
            "name": kind.name,
            "what": kind.what,
            "happens_to": kind.happens_to,
            # A detail without a default has to be given.
            "details": {kind.detail.name: kind.detail.default} if kind.detail else {},
        }
        for kind in KINDS.values()
    ]
    return {"object": "list", "data": waiting, "known": known}
