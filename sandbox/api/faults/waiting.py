"""The faults that are set for projects: in memory, counted down, gone at a restart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sandbox.api.faults.kinds import Fault


@dataclass
class _Waiting:
    fault: Fault
    left: int


class Faults:
    """Which faults wait for which project's calls. For the event loop only: it has no lock."""

    def __init__(self) -> None:
        self._projects: dict[str, dict[str, _Waiting]] = {}

    def __bool__(self) -> bool:
        """Whether any fault is set for any project."""
        return any(self._projects.values())

    def put(self, project: str, fault: Fault, times: int) -> None:
        """Set a fault for the next ``times`` calls it can happen to; it replaces its like."""
        self._projects.setdefault(project, {})[fault.name] = _Waiting(fault, times)

    def take(self, project: str, aims: frozenset[str]) -> Fault | None:
        """Return the first fault that can happen to a call with these aims, and count it down."""
        waiting = self._projects.get(project, {})
        for name, entry in waiting.items():
            if aims.intersection(entry.fault.aims):
                entry.left -= 1
                if entry.left == 0:
                    del waiting[name]
                return entry.fault
        return None

    def clear(self, project: str) -> int:
        """Forget all faults of a project; return how many there were."""
        return len(self._projects.pop(project, {}))

    def show(self, project: str) -> list[dict[str, Any]]:
        """Describe the faults that are set for a project."""
        return [
            {
                "object": "sandbox.fault",
                "name": entry.fault.asked_as,
                "times_left": entry.left,
                "details": entry.fault.model_dump(),
            }
            for entry in self._projects.get(project, {}).values()
        ]
