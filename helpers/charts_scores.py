"""Step 07: charts of scores that show how far each of them can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes

from course.judge import Rate
from helpers.charts import show
from helpers.live import TRAIN_COLOUR, VALID_COLOUR

# Colour, marker and dash: told apart by eyes that see no colours, too.
STYLES = (
    (TRAIN_COLOUR, "o", "-"),
    (VALID_COLOUR, "s", "--"),
    ("#6b6b73", "^", ":"),
)
Groups = Mapping[str, Rate]


def score_chart(scores: Mapping[str, Groups], title: str) -> None:
    """A row for each model, a dot for each group of questions, a line for its interval."""
    groups = _groups(scores)
    height = 1.6 + (0.3 + 0.22 * len(groups)) * len(scores)
    show(lambda axes: draw_scores(axes, scores, title), height=height)


def draw_scores(axes: Axes, scores: Mapping[str, Groups], title: str) -> str:
    """The drawing of `score_chart` on given axes; the sentence comes back."""
    groups = _groups(scores)
    for number, group in enumerate(groups):
        colour, marker, _ = STYLES[number % len(STYLES)]
        shift = 0.24 * (number - (len(groups) - 1) / 2)
        places = [place + shift for place in range(len(scores))]
        rates = [by_group[group] for by_group in scores.values()]
        for place, rate in zip(places, rates, strict=True):
            axes.plot([100 * rate.low, 100 * rate.high], [place, place], color=colour, lw=2)
        style = {"color": colour, "ms": 9, "linestyle": "none", "clip_on": False}
        axes.plot([100 * rate.rate for rate in rates], places, marker, label=group, **style)
    axes.set_yticks(range(len(scores)), list(scores))
    axes.set_ylim(len(scores) - 0.4, -0.6)
    _percent_axis(axes.set_xlim, axes.set_xlabel)
    axes.set_title(title)
    below = (0.5, -0.28 if len(scores) < 4 else -0.2)
    axes.legend(loc="upper center", bbox_to_anchor=below, ncols=len(groups))
    told = (
        f"{name}: " + ", ".join(f"{group} {100 * by_group[group].rate:.0f} %" for group in groups)
        for name, by_group in scores.items()
    )
    return f"{title}. {'; '.join(told)}."


def learning_curve(points: Mapping[int, Groups], title: str = "The learning curve") -> None:
    """The score over the number of training examples, a line for each group of questions."""
    show(lambda axes: draw_learning_curve(axes, points, title))


def draw_learning_curve(axes: Axes, points: Mapping[int, Groups], title: str) -> str:
    """The drawing of `learning_curve` on given axes; the sentence comes back."""
    groups, sizes = _groups(points), list(points)
    places = range(len(sizes))  # evenly spaced: the sizes grow by factors
    told = []
    for number, group in enumerate(groups):
        colour, marker, dash = STYLES[number % len(STYLES)]
        rates = [points[size][group] for size in sizes]
        shifted = [place + 0.06 * number for place in places]
        style = {"marker": marker, "ms": 8, "color": colour}
        axes.plot(shifted, [100 * rate.rate for rate in rates], dash, label=group, **style)
        axes.vlines(
            shifted, [100 * r.low for r in rates], [100 * r.high for r in rates], color=colour, lw=2
        )
        steps = ", ".join(
            f"{size} rows {100 * r.rate:.0f} %" for size, r in zip(sizes, rates, strict=True)
        )
        told.append(f"{group}: {steps}")
    axes.set_xticks(places, [str(size) for size in sizes])
    axes.set_xlabel("rows in the training file")
    _percent_axis(axes.set_ylim, axes.set_ylabel)
    axes.set_title(title)
    axes.legend(loc="lower right")
    return f"{title}. {'; '.join(told)}."


def _groups(scores: Mapping[str, Groups] | Mapping[int, Groups]) -> Sequence[str]:
    """The groups, in the order of the first model, which every model must have."""
    if not scores:
        raise ValueError("There are no scores to draw.")
    every = [list(by_group) for by_group in scores.values()]
    if any(set(groups) != set(every[0]) for groups in every):
        raise ValueError("Every model needs a score in the same groups.")
    return every[0]


def _percent_axis(limit: Callable[..., object], label: Callable[..., object]) -> None:
    """Give the x or the y axis (through its two methods) a scale in percent."""
    limit(0, 103)
    label("right answers in %")
