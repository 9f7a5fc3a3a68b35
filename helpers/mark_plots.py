"""Step 09: one picture of who answered rightly, who had no idea, and who invented."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes

from course.facts import KINDS, Mark, tally
from helpers.charts import show
from helpers.live import TRAIN_COLOUR, VALID_COLOUR

# Told apart by eyes that see no colours, too: full, empty, hatched.
FILLS = {
    "right": {"color": TRAIN_COLOUR},
    "no idea": {"facecolor": "#f2f2f2", "edgecolor": "#999999"},
    "invented": {"facecolor": VALID_COLOUR, "edgecolor": "white", "hatch": "///"},
}
Results = Mapping[tuple[str, str], Sequence[Mark]]


def mark_bars(results: Results, title: str = "The answers") -> None:
    """A bar for each way of answering in each group of questions; keys are (way, group)."""
    show(lambda axes: draw_marks(axes, results, title), height=1.4 + 0.31 * len(results))


def draw_marks(axes: Axes, results: Results, title: str) -> str:
    """The drawing of `mark_bars` on given axes; the sentence comes back."""
    if not results:
        raise ValueError("There are no answers to draw.")
    groups = list(dict.fromkeys(group for _, group in results))
    ways = list(dict.fromkeys(way for way, _ in results))
    labels, place = {}, 0.0
    told = []
    for group in groups:
        axes.text(0, place, f"questions about: {group}", va="center", fontweight="bold")
        for way in ways:
            place += 1
            labels[place] = way
            _bar(axes, place, results[way, group])
        place += 1.4
        told.append(f"Questions about: {group}")
        told += [f"   {way}: {tally(results[way, group])}" for way in ways]
    axes.set_yticks(list(labels), list(labels.values()))
    axes.set_ylim(place - 0.4, -0.8)
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of the questions")
    axes.set_title(title)
    handles = [axes.barh([0], [0], **FILLS[kind], label=kind) for kind in KINDS]
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.4, -0.1), ncols=3)
    return "\n".join(told)


def _bar(axes: Axes, place: float, marked: Sequence[Mark]) -> None:
    counts, start = Counter(marked), 0.0
    for kind in KINDS:
        share = 100 * counts[kind] / len(marked)
        axes.barh([place], [share], left=[start], height=0.72, **FILLS[kind])
        start += share
