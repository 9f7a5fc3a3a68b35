"""Charts of scores that show how far each of them can be trusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from helpers.charts import chart
from helpers.display import TRAIN_COLOUR, VALID_COLOUR
from helpers.statistics import Rate

# Colour, marker and dash: told apart by eyes that see no colours, too.
STYLES = (
    (TRAIN_COLOUR, "o", "-"),
    (VALID_COLOUR, "s", "--"),
    ("#6b6b73", "^", ":"),
)
# Likewise for the kinds of answers: full, empty, hatched.
FILLS = {
    "right": {"color": TRAIN_COLOUR},
    "no idea": {"facecolor": "#f2f2f2", "edgecolor": "#999999"},
    "invented": {"facecolor": VALID_COLOUR, "edgecolor": "white", "hatch": "///"},
}
Groups = Mapping[str, Rate]


@chart
def before_after(axes: Axes, rates: Groups, title: str = "Right descriptions") -> str:
    """A bar for each rate, one per model or group, with a line for its interval."""
    axes.figure.set_figheight(1.2 + 0.6 * len(rates))
    shares = [100 * rate.share for rate in rates.values()]
    colours = [VALID_COLOUR, *[TRAIN_COLOUR] * (len(shares) - 1)]
    axes.barh(range(len(shares)), shares, color=colours, height=0.55, alpha=0.45)
    for place, (share, rate) in enumerate(zip(shares, rates.values(), strict=True)):
        low, high = 100 * rate.low, 100 * rate.high
        axes.plot([low, high], [place, place], color="#222222", lw=2)
        axes.text(high + 2, place, f"{share:.0f} %", va="center", fontsize=11)
    axes.set_yticks(range(len(rates)), list(rates))
    axes.set_ylim(len(rates) - 0.4, -0.7)
    axes.set_xticks(range(0, 101, 20))
    axes.set(xlim=(0, 112), xlabel="% of texts", title=title)
    listed = [f"{name} {share:.0f} %" for name, share in zip(rates, shares, strict=True)]
    return f"{title}: {', '.join(listed)}."


@chart
def score_chart(axes: Axes, scores: Mapping[str, Groups], title: str) -> str:
    """A row for each model, a dot for each group of questions, a line for its interval."""
    groups = list(next(iter(scores.values())))
    axes.figure.set_figheight(1.6 + (0.3 + 0.22 * len(groups)) * len(scores))
    for number, (group, shares, ends) in enumerate(_by_group(scores)):
        colour, marker, _ = STYLES[number % len(STYLES)]
        shift = 0.24 * (number - (len(groups) - 1) / 2)
        places = [place + shift for place in range(len(scores))]
        axes.hlines(places, *ends, color=colour, lw=2)
        style = {"color": colour, "ms": 9, "linestyle": "none", "clip_on": False}
        axes.plot(shares, places, marker, label=group, **style)
    axes.set_yticks(range(len(scores)), list(scores))
    axes.set(ylim=(len(scores) - 0.4, -0.6), xlim=(0, 103), xlabel="pass rate in %", title=title)
    axes.figure.legend(loc="outside lower center", ncols=len(groups))
    told = (
        f"{name}: " + ", ".join(f"{group} {100 * by_group[group].share:.0f} %" for group in groups)
        for name, by_group in scores.items()
    )
    return f"{title}. {'; '.join(told)}."


@chart
def band_chart(
    axes: Axes, tables: Mapping[str, pd.DataFrame], column: str, title: str = "The learning curve"
) -> str:
    """The score over the values of a column, a line for each table of trainings.

    The tables have a row for each training: `column`, `right` and `n`. The line is the mean, the
    band goes from the lowest to the highest training, the thin line is Wilson's 95 % interval of
    all answers together.
    """
    values = sorted(set(pd.concat(tables.values())[column]))
    told = []
    for number, (name, table) in enumerate(tables.items()):
        colour, marker, dash = STYLES[number % len(STYLES)]
        by_value = table.assign(share=100 * table["right"] / table["n"]).groupby(column)
        shares = by_value["share"].agg(["mean", "min", "max"])
        rates = [Rate(*map(int, sums)) for sums in by_value[["right", "n"]].sum().to_numpy()]
        places = [values.index(value) + 0.06 * number for value in shares.index]  # evenly
        axes.plot(places, shares["mean"], dash, label=name, marker=marker, ms=8, color=colour)
        axes.fill_between(places, shares["min"], shares["max"], color=colour, alpha=0.2, lw=0)
        ends = [100 * rate.low for rate in rates], [100 * rate.high for rate in rates]
        axes.vlines(places, *ends, color=colour, lw=1.5)
        steps = (
            f"{value:g}: {mean:.0f} % ({low:.0f} to {high:.0f})"
            for value, mean, low, high in shares.itertuples()
        )
        told.append(f"{name}, {', '.join(steps)}")
    axes.set_xticks(range(len(values)), [f"{value:g}" for value in values])
    axes.set(xlabel=column, title=title, ylim=(0, 103), ylabel="right, in %")
    axes.legend(loc="lower right")
    return f"{title}. {'; '.join(told)}."


@chart
def mark_bars(
    axes: Axes, results: Mapping[tuple[str, str], Sequence[str]], title: str = "The answers"
) -> str:
    """A bar for each way of answering in each group of questions; keys are (way, group)."""
    axes.figure.set_figheight(1.4 + 0.31 * len(results))
    labels, place, told = {}, 0.0, []
    for group in dict.fromkeys(group for _, group in results):
        axes.text(0, place, f"questions about: {group}", va="center", fontweight="bold")
        told.append(f"{group}, {'/'.join(FILLS)}")
        for way in dict.fromkeys(way for way, _ in results):
            place, start = place + 1, 0.0
            labels[place] = way
            counts = Counter(results[way, group])
            for kind, fill in FILLS.items():
                share = 100 * counts[kind] / len(results[way, group])
                axes.barh([place], [share], left=[start], height=0.72, **fill)
                start += share
            told[-1] += f"; {way} {'/'.join(str(counts[kind]) for kind in FILLS)}"
        place += 1.4
    axes.set_yticks(list(labels), list(labels.values()))
    axes.set(ylim=(place - 0.4, -0.8), xlim=(0, 100), xlabel="% of the questions", title=title)
    handles = [axes.barh([0], [0], **fill, label=kind) for kind, fill in FILLS.items()]
    axes.figure.legend(handles=handles, loc="outside lower center", ncols=len(FILLS))
    return "\n".join(told)


def _by_group(scores: Mapping[Any, Groups]) -> Iterator[tuple[str, list[float], Any]]:
    """Each group's name, its shares, and the lower and upper ends of its intervals, in percent."""
    for group in next(iter(scores.values())):
        rates = [by_group[group] for by_group in scores.values()]
        ends = zip(*((100 * rate.low, 100 * rate.high) for rate in rates), strict=True)
        yield group, [100 * rate.share for rate in rates], tuple(ends)
