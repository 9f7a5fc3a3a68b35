"""The exercises of notebook 02: what is handed out, what is expected back, and three hints each."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from course.exercise import Exercise, Expectation, expect
from course.grid import POWERS, PROMPT, VALIDATION_POWERS

DAMAGED = 12  # rows in the table of exercise 2.2
LEAST_WORDS = 40


def damaged_table(heroes: pd.DataFrame) -> pd.DataFrame:
    """The first 12 sound heroes with four accidents, such as every real data set has some.

    Columns: age, gender, power, response_txt, finish_reason. Raises ValueError for fewer rows.
    """
    columns = ["age", "gender", "power", "response_txt", "finish_reason"]
    whole = heroes["response_txt"].str.split().str.len() >= LEAST_WORDS
    sound = heroes[whole & (heroes["finish_reason"] == "stop")].drop_duplicates("response_txt")
    if len(sound) < DAMAGED:
        raise ValueError(f"The table has {len(sound)} sound rows; {DAMAGED} are needed.")
    table = sound[columns].head(DAMAGED).reset_index(drop=True)
    text = table["response_txt"].tolist()
    table.loc[2, ["response_txt", "finish_reason"]] = [text[2][: len(text[2]) // 2], "length"]
    table.loc[5, "response_txt"] = text[4]
    table.loc[7, "response_txt"] = "Sure! Here is your superhero:"
    table.loc[10, ["response_txt", "finish_reason"]] = ["", "content_filter"]
    return table


def _own_grid(grid: pd.DataFrame) -> Iterator[Expectation]:
    wanted = ["age", "gender", "power", "prompt"]
    absent = [name for name in wanted if name not in grid.columns]
    yield expect(not absent, f"the columns {', '.join(wanted)}", f"no {', '.join(absent)}")
    powers = grid["power"].unique().tolist()
    yield expect(len(powers) == 2, "two powers", f"{len(powers)}: {', '.join(map(str, powers))}")
    used = {power.casefold() for power in (*POWERS, *VALIDATION_POWERS)}
    old = [power for power in powers if power.casefold() in used]
    yield expect(not old, "powers that no table of ours has yet", ", ".join(old))
    yield expect(len(grid) == 28, "28 rows (7 ages, 2 genders, 2 powers)", f"{len(grid)} rows")
    twice = grid.duplicated(["age", "gender", "power"]).sum()
    yield expect(twice == 0, "every hero once", f"{twice} heroes more than once")
    wrong = [row for row in grid.to_dict("records") if row["prompt"] != PROMPT.format(**row)]
    seen = f"{len(wrong)} prompts that say something else" if wrong else ""
    yield expect(not wrong, "the long prompt of each row's own hero in the column prompt", seen)


def _clean_table(table: pd.DataFrame) -> Iterator[Expectation]:
    texts = table["response_txt"].fillna("")
    cut = (table["finish_reason"] != "stop").sum()
    yield expect(cut == 0, "only rows that the model finished", f"{cut} that it did not")
    short = (texts.str.split().str.len() < LEAST_WORDS).sum()
    yield expect(short == 0, f"descriptions of {LEAST_WORDS} words or more", f"{short} shorter")
    twice = texts.duplicated().sum()
    yield expect(twice == 0, "no description twice", f"{twice} repeated")
    left = len(table)
    yield expect(left == DAMAGED - 4, f"all {DAMAGED - 4} sound rows still there", f"{left} rows")


own_grid = Exercise(
    "2.1",
    "a grid of your own",
    _own_grid,
    hints=(
        "The grid of section 1 has 294 rows because of its powers and its repeats. Change these.",
        "superhero_grid takes two arguments: powers, a list of names, and repeats, a number.",
        'superhero_grid(powers=["…", "…"], repeats=1), with two powers that you made up.',
    ),
)
clean_table = Exercise(
    "2.2",
    "a table without accidents",
    _clean_table,
    hints=(
        "Three looks find all four accidents: at finish_reason, at lengths, at repeated texts.",
        "table[condition] keeps the rows for which the condition is true. Take one look at a time.",
        'Words: table["response_txt"].str.split().str.len(). Repeats: drop_duplicates("…").',
    ),
)
