"""The exercises of notebook 02."""

from __future__ import annotations

import pandas as pd

from course.exercise import Expectations, exercise, expect
from course.grid import AGES, GENDERS, POWERS, PROMPT, VALIDATION_POWERS

ROWS = 12
LEAST_WORDS = 40
COLUMNS = ["age", "gender", "power", "response_txt", "finish_reason"]
GUIDE_COLUMNS = ["age", "gender", "power", "prompt", "sub_prompt", "response_txt", "finish_reason"]
SLOTS = ("age", "gender", "power")


def _columns(table: pd.DataFrame, wanted: list[str]) -> str | None:
    absent = [name for name in wanted if name not in table.columns]
    return expect(not absent, f"the columns {', '.join(wanted)}", f"no {', '.join(absent)}")


@exercise("2.1")
def own_table(table: pd.DataFrame) -> Expectations:
    yield _columns(table, GUIDE_COLUMNS)
    powers = table["power"].unique().tolist()
    yield expect(len(powers) == 2, "two powers", f"{len(powers)}: {', '.join(map(str, powers))}")
    used = {power.casefold() for power in (*POWERS, *VALIDATION_POWERS)}
    old = [power for power in powers if power.casefold() in used]
    yield expect(not old, "powers that no table of ours has yet", ", ".join(old))
    rows = len(AGES) * len(GENDERS) * len(powers)
    yield expect(len(table) == rows, f"{rows} rows (7 ages, 2 genders, 2 powers)", len(table))
    twice = table.duplicated(list(SLOTS)).sum()
    yield expect(twice == 0, "every hero once", f"{twice} heroes more than once")
    wrong = sum(row["prompt"] != PROMPT.format(**row) for row in table.to_dict("records"))
    seen = f"{wrong} prompts that say something else"
    yield expect(not wrong, "the long request of each row's own hero in the column prompt", seen)
    empty = (table["response_txt"].fillna("").str.len() == 0).sum()
    yield expect(empty == 0, "a description in every row", f"{empty} rows without one")


def damaged_table(heroes: pd.DataFrame) -> pd.DataFrame:
    """The first 12 good rows of `heroes`, five of them damaged as in real data sets.

    Columns: age, gender, power, response_txt, finish_reason. Raises ValueError for fewer rows.
    """
    long = heroes["response_txt"].str.split().str.len() >= LEAST_WORDS
    pairs = zip(heroes["age"], heroes["response_txt"], strict=True)
    right = pd.Series([str(age) in text for age, text in pairs], index=heroes.index)
    good = heroes[long & right & (heroes["finish_reason"] == "stop")]
    good = good.drop_duplicates("response_txt")
    if len(good) < ROWS:
        raise ValueError(f"The table has {len(good)} good rows; {ROWS} are needed.")
    table = good[COLUMNS].head(ROWS).reset_index(drop=True)
    text = table["response_txt"].tolist()
    table.loc[2, ["response_txt", "finish_reason"]] = [text[2][: len(text[2]) // 2], "length"]
    table.loc[5, "response_txt"] = text[4]
    table.loc[7, "response_txt"] = "Sure! Here is your superhero:"
    table.loc[9, "age"] = AGES[-1]
    table.loc[10, ["response_txt", "finish_reason"]] = ["", "content_filter"]
    return table


@exercise("2.2")
def clean_table(table: pd.DataFrame) -> Expectations:
    texts = table["response_txt"].fillna("")
    cut = (table["finish_reason"] != "stop").sum()
    yield expect(cut == 0, "only rows that the model finished", f"{cut} that it did not")
    short = (texts.str.split().str.len() < LEAST_WORDS).sum()
    yield expect(short == 0, f"descriptions of {LEAST_WORDS} words or more", f"{short} shorter")
    twice = texts.duplicated().sum()
    yield expect(twice == 0, "no description twice", f"{twice} repeated")
    wrong = sum(str(age) not in text for age, text in zip(table["age"], texts, strict=True))
    yield expect(wrong == 0, "the row's own age in every description", f"{wrong} without it")
    left = len(table)
    yield expect(left == ROWS - 5, f"all {ROWS - 5} good rows still there", f"{left} rows")


@exercise("2.3")
def better_prompt(prompt: str, drafts: pd.DataFrame) -> Expectations:
    slots = [slot for slot in SLOTS if "{" + slot + "}" not in prompt]
    yield expect(not slots, "a template with {age}, {gender} and {power}", f"no {', '.join(slots)}")
    yield expect(prompt != PROMPT, "another request than the course's", "the same")
    yield _columns(drafts, ["prompt", *COLUMNS])
    yield expect(len(drafts) == len(POWERS), f"{len(POWERS)} rows", f"{len(drafts)} rows")
    wrong = sum(row["prompt"] != prompt.format(**row) for row in drafts.to_dict("records"))
    yield expect(not wrong, "your request, filled in, in the column prompt", f"{wrong} others")
