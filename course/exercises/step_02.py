"""The exercises of notebook 02."""

from __future__ import annotations

import pandas as pd

from course.exercise import Expectations, exercise, expect
from course.grid import POWERS, PROMPT, VALIDATION_POWERS

ROWS = 12
LEAST_WORDS = 40
COLUMNS = ["age", "gender", "power", "response_txt", "finish_reason"]


def damaged_table(heroes: pd.DataFrame) -> pd.DataFrame:
    """The first 12 sound rows of `heroes`, four of them damaged as in real data sets.

    Columns: age, gender, power, response_txt, finish_reason. Raises ValueError for fewer rows.
    """
    long = heroes["response_txt"].str.split().str.len() >= LEAST_WORDS
    sound = heroes[long & (heroes["finish_reason"] == "stop")].drop_duplicates("response_txt")
    if len(sound) < ROWS:
        raise ValueError(f"The table has {len(sound)} sound rows; {ROWS} are needed.")
    table = sound[COLUMNS].head(ROWS).reset_index(drop=True)
    text = table["response_txt"].tolist()
    table.loc[2, ["response_txt", "finish_reason"]] = [text[2][: len(text[2]) // 2], "length"]
    table.loc[5, "response_txt"] = text[4]
    table.loc[7, "response_txt"] = "Sure! Here is your superhero:"
    table.loc[10, ["response_txt", "finish_reason"]] = ["", "content_filter"]
    return table


@exercise("2.1")
def own_grid(grid: pd.DataFrame) -> Expectations:
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
    wrong = sum(row["prompt"] != PROMPT.format(**row) for row in grid.to_dict("records"))
    seen = f"{wrong} prompts that say something else"
    yield expect(not wrong, "the long prompt of each row's own hero in the column prompt", seen)


@exercise("2.2")
def clean_table(table: pd.DataFrame) -> Expectations:
    texts = table["response_txt"].fillna("")
    cut = (table["finish_reason"] != "stop").sum()
    yield expect(cut == 0, "only rows that the model finished", f"{cut} that it did not")
    short = (texts.str.split().str.len() < LEAST_WORDS).sum()
    yield expect(short == 0, f"descriptions of {LEAST_WORDS} words or more", f"{short} shorter")
    twice = texts.duplicated().sum()
    yield expect(twice == 0, "no description twice", f"{twice} repeated")
    left = len(table)
    yield expect(left == ROWS - 4, f"all {ROWS - 4} sound rows still there", f"{left} rows")
