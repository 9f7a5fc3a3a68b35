"""Notebook 03 in short: from the table to checked training files, without a leak.

    python scripts/03_jsonl_preparation.py

For tables of your own, `heroes prepare FILE` does the same with questions and answers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from helpers.check_file import check_file
from helpers.data import find, my
from helpers.money import estimate_training
from helpers.settings import load_settings

SEPARATOR, STOP = " ->", " END"


def chat_example(note: str, text: str) -> dict[str, Any]:
    """The chat format: a conversation as it should go."""
    return {
        "messages": [
            {"role": "user", "content": note + SEPARATOR},
            {"role": "assistant", "content": text},
        ]
    }


def pair_example(note: str, text: str) -> dict[str, Any]:
    """The old format: one text, so its parts need marks."""
    return {"prompt": note + SEPARATOR, "completion": f" {text.strip()}{STOP}"}


def write(path: Path, examples: list[dict[str, Any]]) -> None:
    """One JSON object per line."""
    lines = [json.dumps(example, ensure_ascii=False) + "\n" for example in examples]
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
    print(check_file(path).summary)


def main() -> None:
    heroes = pd.read_csv(find("superheroes.csv"))
    exam = pd.read_csv(find("validation.csv"))
    print(f"{len(heroes)} heroes to learn from, {len(exam)} for the exam.")
    print("powers in both:", len(set(heroes["power"]) & set(exam["power"])), "(0 is a fair exam)")

    for name, table in (("train", heroes), ("validation", exam)):
        whole = table[table["finish_reason"] == "stop"].drop_duplicates(
            ["sub_prompt", "response_txt"]
        )
        rows = list(zip(whole["sub_prompt"], whole["response_txt"], strict=True))
        write(my(f"script_{name}.jsonl"), [chat_example(*row) for row in rows])
        write(my(f"script_{name}_completions.jsonl"), [pair_example(*row) for row in rows])

    print("\nAn example in both formats:")
    for made in (chat_example, pair_example):
        print(" ", json.dumps(made("40, woman, flight", "Up she goes.")))
    print()
    for model in (load_settings().base_model, "gpt-4.1-mini-2025-04-14"):
        print(estimate_training(my("script_train.jsonl"), model, n_epochs=4))


if __name__ == "__main__":
    main()
