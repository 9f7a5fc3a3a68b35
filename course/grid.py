"""What is asked for: the two prompts, and the grid of ages, genders and powers."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

AGES = (18, 20, 30, 40, 50, 60, 90)
GENDERS = ("man", "woman")
POWERS = (
    "invisibility",
    "read in the thoughts",
    "turning lead into gold",
    "immortality",
    "telepathy",
    "teleport",
    "flight",
)
# Never trained on, so that a validation loss on them says something. Healing stays for later.
VALIDATION_POWERS = ("Super Strength", "Time Travel", "Talking to Animals")

PROMPT = (
    "Imagine a complete and detailed description of a {age}-year-old {gender} fictional character "
    "who has the superpower of {power}. Write out the entire description in a maximum of 100 words "
    "in great detail:"
)


def superhero_grid(powers: Sequence[str] = POWERS, repeats: int = 3) -> pd.DataFrame:
    """Every age with every gender and power, `repeats` times: 7 × 2 × 7 × 3 = 294 rows.

    Columns: age, gender, power, prompt, sub_prompt.
    """
    return pd.DataFrame(
        {
            "age": age,
            "gender": gender,
            "power": power,
            "prompt": PROMPT.format(age=age, gender=gender, power=power),
            "sub_prompt": f"{age}, {gender}, {power}",
        }
        for age in AGES
        for gender in GENDERS
        for power in powers
        for _ in range(repeats)
    )
