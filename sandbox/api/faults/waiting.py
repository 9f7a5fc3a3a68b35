"""The faults that are set for projects: in memory, counted down, gone at a restart."""

from collections import defaultdict

from sandbox.api.faults.kinds import Fault


class Faults:
    """Which faults wait for which project's calls. For the event loop only: it has no lock."""

    def __init__(self) -> None:
        self._projects: defaultdict[str, dict[str, Fault]] = defaultdict(dict)

    def __bool__(self) -> bool:
        """Whether any fault is set for any project."""
        return any(self._projects.values())

    def put(self, project: str, fault: Fault) -> None:
        """Set a fault for the next ``left`` calls it can happen to; it replaces its like."""
        self._projects[project][fault.kind.name] = fault

    def take(self, project: str, aims: frozenset[str]) -> Fault | None:
        """Return the first fault that can happen to a call with these aims, and count it down."""
        waiting = self._projects[project]
        fault = next((each for each in waiting.values() if aims.intersection(each.kind.aims)), None)
        if fault is not None:
            fault.left -= 1
            if fault.left == 0:
                del waiting[fault.kind.name]
        return fault

    def clear(self, project: str) -> int:
        """Forget all faults of a project; return how many there were."""
        return len(self._projects.pop(project, {}))

    def of(self, project: str) -> list[Fault]:
        """Return the faults that are set for a project."""
        return list(self._projects[project].values())
