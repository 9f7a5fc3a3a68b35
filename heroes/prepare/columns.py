"""Which columns hold the prompts and completions, and what becomes of all others."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from helpers.jsonl import SUB_PROMPT
from helpers.report import type_name
from heroes.prepare import names
from heroes.prepare.suggestion import SHOWN, InputError, Plan, Suggestion, shown
from heroes.prepare.workbook import as_text

DECIDE = "Name the columns with --prompt-column and --completion-column."
NOT_USED = " (not used)"  # at the name of a column that had to step aside
FIELD = re.compile(r"\{([^{}]+)\}")


def find(frame: pd.DataFrame, wanted: tuple[str, ...], *taken: str | None) -> str | None:
    """The first of these names that the table has, in whatever spelling."""
    known = {names.plain(column): column for column in reversed(frame.columns)}
    return next((known[n] for n in wanted if n in known and known[n] not in taken), None)


def named(frame: pd.DataFrame, name: str, option: str) -> str:
    """The column that an option names. Raises InputError if there is none."""
    near = [column for column in frame.columns if names.plain(column) == names.plain(name)]
    if name in frame.columns or len(near) == 1:
        return name if name in frame.columns else near[0]
    raise InputError(f"{option}: There is no column {name!r}; there are {listed(frame)}.")


def listed(columns: Any) -> str:
    """Some names of columns, in quotes."""
    quoted = [repr(column) for column in columns]
    return ", ".join(quoted[:SHOWN]) + (" …" if len(quoted) > SHOWN else "")


def find_columns(frame: pd.DataFrame, plan: Plan) -> tuple[str, str, str | None]:
    """The template of the prompt, and the columns of the completion and the system message.

    Raises InputError if they cannot be told.
    """
    completion = find(frame, names.COMPLETIONS)
    if plan.completion:
        completion = named(frame, plan.completion, "--completion-column")
    system = find(frame, names.SYSTEMS)
    plain = {names.plain(column): column for column in frame.columns}
    main = find(frame, (*names.PROMPTS, *names.CONTEXTS), completion, system)
    if plan.prompt:
        template = plan.prompt
    elif plain.keys() >= names.COURSE:
        template, completion = _field(plain["sub_prompt"]), completion or plain["response_txt"]
        completion = plain["response_txt"] if not plan.completion else completion
    elif plain.keys() >= {"age", "gender", "power", "response_txt"}:
        template = SUB_PROMPT
    elif main is None:
        template = "" if completion and len(frame.columns) == 1 else None
    else:
        about = find(frame, names.CONTEXTS, main, completion, system)
        parts = [main] + ([about] if about else [])
        if about and names.plain(about) in names.BEFORE and names.plain(main) == "question":
            parts.reverse()
        template = "\n\n".join(map(_field, parts))
    for what, found in (("prompt", template), ("completion", completion)):
        if found is None:
            raise InputError(
                f"No column looks like a {what}; there are {listed(frame)}. {DECIDE} "
                "If the first row is an example already, put a row of names above it."
            )
    if FIELD.findall(template) == [completion]:
        raise InputError(f"The column {completion!r} can't be prompt and completion. {DECIDE}")
    return template, completion, system


def _field(column: str) -> str:
    return f"{{{column}}}"


def to_pairs(frame: pd.DataFrame, plan: Plan) -> tuple[pd.DataFrame, Suggestion | None]:
    """The table with the columns prompt and completion (and system); the others stay for `unused`.

    The suggestion is None if the table has these names already.
    """
    template, completion, system = find_columns(frame, plan)
    used = [named(frame, name, "--prompt") for name in FIELD.findall(template)]
    texts = {name: _texts(frame, name) for name in dict.fromkeys([*used, completion])}
    if len(used) > 1:  # one blank cell in a column of numbers turns 18 into 18.0
        for name in used:
            filled = texts[name][texts[name] != ""]
            if len(filled) and filled.str.fullmatch(r"-?\d+\.0").all():
                texts[name] = texts[name].str.removesuffix(".0")
    made = pd.DataFrame({"prompt": _filled(template, used, texts)}, index=frame.index, dtype=object)
    if FIELD.sub("", template).strip() and used:  # "40, woman, flight" without its age is no prompt
        made["prompt"] = made["prompt"].where(pd.DataFrame(texts)[used].ne("").all(axis=1), "")
    made["completion"] = texts[completion]
    if system and plan.format == "chat" and plan.system is None:
        made["system"] = _texts(frame, system)
        used.append(system)
    rest = frame.drop(columns=list({*used, completion}))
    made = made.join(rest.rename(columns={n: f"{n}{NOT_USED}" for n in rest if n in made}))
    if ["prompt", "completion"] == [*FIELD.findall(template), completion] or not template:
        return made, None
    recipe = shown(template)[1:-1] if len(used) > 1 or not FIELD.fullmatch(template) else used[0]
    title = f"Rename the columns: {recipe} → prompt, {completion} → completion"
    why = "An example has a prompt and a completion; a chat is made from them."
    before = shown(" | ".join(map(str, frame.iloc[0].tolist()[:4])))
    after = shown(" | ".join(map(str, made.iloc[0].tolist()[:2])))
    return made, Suggestion("rename", "necessary", title, why, [], before, after, made)


def _filled(template: str, used: list[str], texts: dict[str, pd.Series]) -> list[str]:
    """The template with each row's texts; a part that is blank leaves no blank line behind."""
    parts = FIELD.split(template)[0::2]
    rows = zip(*(texts[name] for name in used), strict=True)
    if len(used) < 2 or not all(part == "\n\n" for part in parts[1:-1]):
        size = len(next(iter(texts.values())))
        if not used:
            return [template] * size
        return ["".join(a + b for a, b in zip(parts, (*row, ""), strict=True)) for row in rows]
    return [parts[0] + "\n\n".join(t for t in row if t.strip()) + parts[-1] for row in rows]


def _texts(frame: pd.DataFrame, column: str) -> pd.Series:
    """A column as texts. Raises InputError for lists and objects."""
    for place, value in frame[column].items():
        if isinstance(value, list | dict):
            raise InputError(
                f"{frame.index.name} {place}, {column}: Expected a text, found {type_name(value)}. "
                "Write it as one text, or name another column."
            )
    return frame[column].map(as_text).astype(object)
