"""The exercises of notebook 03: what is handed out, what is expected back, and three hints each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from course.exercise import Exercise, Expectation, expect
from course.grid import AGES
from helpers.check_file import check_file
from helpers.data import replace_text
from helpers.jsonl import SEPARATOR, STOP, leaks, read_jsonl, short_prompt

# Twelve small heroes, so that a file can be read and mended by eye.
PATIENT = (
    (18, "man", "flight", "Ravi flies to school and is still late."),
    (18, "woman", "telepathy", "Noor answers before anybody asks."),
    (20, "man", "immortality", "Otto starts every diet tomorrow; he has time."),
    (20, "woman", "invisibility", "Lucía wins at hide and seek, but nobody tells her."),
    (30, "man", "teleport", "Kofi has forgotten what a traffic jam is."),
    (30, "woman", "flight", "Hana reads the news above the clouds."),
    (40, "man", "telepathy", "Emil knows what you want for lunch."),
    (40, "woman", "teleport", "Ines is home before the kettle whistles."),
    (50, "man", "invisibility", "Sami cannot find himself in the mirror."),
    (50, "woman", "immortality", "Mei has paid off three mortgages."),
    (60, "man", "flight", "Tomás gives the geese directions."),
    (60, "woman", "telepathy", "Asha hears the plants complain."),
)


def hand_out_patient(path: Path) -> Path:
    """Write the damaged file of exercise 3.1, unless it is there already; the path comes back."""
    if not path.is_file():
        replace_text(path, "\n".join(_patient_lines()) + "\n")
    return path


def _patient_lines() -> list[str]:
    """The twelve heroes in chat format, with six mistakes that people really make."""
    lines = []
    for age, gender, power, text in PATIENT:
        user = {"role": "user", "content": short_prompt(age, gender, power)}
        messages = [user, {"role": "assistant", "content": text}]
        lines.append(json.dumps({"messages": messages}, ensure_ascii=False))
    lines[1] = lines[1].replace('"assistant"', '"superhero"')
    lines[3] += ","
    lines[5] = lines[5].removesuffix("}") + ', "source": "my notes"}'
    lines[7] = lines[7].replace('"40, woman, teleport ->"', '["40", "woman", "teleport"]')
    lines[9] = json.dumps({"messages": json.loads(lines[9])["messages"][::-1]}, ensure_ascii=False)
    lines.insert(11, "")
    return lines


def _mended(path: Path) -> Iterator[Expectation]:
    report = check_file(path)
    errors = [problem for problem in report.problems if problem.severity == "error"]
    first = f"{report.n_errors} errors, the first in {errors[0].where}" if errors else ""
    yield expect(report.ok, "a file without errors", first)
    examples = read_jsonl(path)
    yield expect(len(examples) == 12, "all twelve heroes", f"{len(examples)} examples")
    told = {tuple(message["content"] for message in e["messages"]) for e in examples}
    for age, gender, power, text in PATIENT:
        note = short_prompt(age, gender, power)
        yield expect((note, text) in told, f'"{note}" with its own answer', "something else there")


def _split(train: pd.DataFrame, valid: pd.DataFrame) -> Iterator[Expectation]:
    rows = len(train) + len(valid)
    yield expect(len(valid) == 84, "84 rows in the validation part", f"{len(valid)} rows")
    yield expect(rows == 294, "no row lost and none twice", f"{rows} rows in both parts together")
    ages = sorted(set(valid["age"]))
    yield expect(len(ages) == 2 and set(ages) <= set(AGES), "two whole ages held out", ages)
    shared = leaks(train, valid, on=["age"])
    yield expect(shared == 0, "no age in both parts", f"{shared} validation rows that leak")


def _own_marks(path: Path) -> Iterator[Expectation]:
    report = check_file(path)
    yield expect(report.format == "completion", "prompt/completion format", report.format)
    yield expect(report.n_examples >= 10, "ten examples or more", f"{report.n_examples}")
    kinds = ", ".join(sorted(report.counts))
    yield expect(not report.counts, "a file that the checker has nothing to say about", kinds)
    pairs = read_jsonl(path)
    same = sum(pair["prompt"].endswith(SEPARATOR) for pair in pairs)
    yield expect(same == 0, f"a separator other than {SEPARATOR!r}", f"{same} prompts that end so")
    same = sum(pair["completion"].endswith(STOP) for pair in pairs)
    yield expect(same == 0, f"a stop sequence other than {STOP!r}", f"{same} that end so")


mended = Exercise(
    "3.1",
    "mend a file",
    _mended,
    hints=(
        "Let check_file(path) list the problems: it names the line, the field and the remedy.",
        "The six are: a wrong role, a comma, an extra key, a list for a text, the order, a blank.",
        "Open patient.jsonl in the editor, change only those six lines, save, and check again.",
    ),
)
split_by_age = Exercise(
    "3.2",
    "hold two ages out",
    _split,
    hints=(
        "Section 5 splits by power. Here the column is another one; the rest is the same.",
        "split_by takes the table, the name of a column, and a list of the values to hold out.",
        'split_by(heroes, "age", […, …]) gives both parts: my_train, my_valid = …',
    ),
)
own_marks = Exercise(
    "3.3",
    "marks of your own",
    _own_marks,
    hints=(
        "A separator ends every prompt, a stop sequence ends every completion.",
        "add_separator and add_stop take the mark as second argument. Both start from plain pairs.",
        'plain.pipe(add_separator, "\\n\\n###\\n\\n").pipe(leading_space).pipe(add_stop, "***")',
    ),
)
