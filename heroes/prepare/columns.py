"""Which columns become prompt and completion, and what becomes of all others."""

from __future__ import annotations

import re

import pandas as pd

from helpers.jsonl import SUB_PROMPT
from helpers.report import type_name
from heroes.prepare import names
from heroes.prepare.kind import refuse_dialogues
from heroes.prepare.names import find, listed, named, plain
from heroes.prepare.suggestion import InputError, Plan, Suggestion, shown
from heroes.prepare.workbook import as_text

DECIDE = "Name the columns with --prompt-column and --completion-column."
NOT_USED = " (not used)"  # at the name of a column that had to step aside
FIELD = re.compile(r"\{([^{}]+)\}")


def find_columns(frame: pd.DataFrame, plan: Plan) -> tuple[str, str, str | None]:
    """The template of the prompt, and the columns of the completion and the system message.

    Raises InputError if they cannot be told.
    """
    system, completion = find(frame, names.SYSTEMS), find(frame, names.COMPLETIONS)
    if plan.completion:
        completion = named(frame, plan.completion, "--completion-column")
    template = plan.prompt or _template(frame, completion, system)
    for what, found in (("prompt", template), ("completion", completion)):
        if found is None:
            refuse_dialogues(frame)
            raise InputError(
                f"No column looks like a {what}; there are {listed(frame)}. {DECIDE} "
                "If the first row is an example already, put a row of names above it."
            )
    if FIELD.findall(template) == [completion]:
        raise InputError(f"The column {completion!r} can't be prompt and completion. {DECIDE}")
    return template, completion, system


def _template(frame: pd.DataFrame, completion: str | None, system: str | None) -> str | None:
    known = {plain(column): column for column in frame.columns}
    if known.keys() >= names.COURSE:
        return f"{{{known['sub_prompt']}}}"
    if known.keys() >= {*names.COURSE_GRID, "response_txt"}:
        return SUB_PROMPT
    main = find(frame, (*names.PROMPTS, *names.CONTEXTS), completion, system)
    if main is None:
        return "" if completion and len(frame.columns) == 1 else None
    parts = [main]
    if about := find(frame, names.CONTEXTS, main, completion, system):
        comes_first = plain(about) in names.BEFORE and plain(main) == "question"
        parts.insert(0 if comes_first else 1, about)
    return "\n\n".join(f"{{{part}}}" for part in parts)


def to_pairs(frame: pd.DataFrame, plan: Plan) -> tuple[pd.DataFrame, Suggestion | None]:
    """The table with the columns prompt and completion (and system); the others stay for `unused`.

    The suggestion is None if the table has these names already.
    """
    template, completion, system = find_columns(frame, plan)
    used = [named(frame, name, "--prompt") for name in FIELD.findall(template)]
    texts = {name: _texts(frame, name) for name in dict.fromkeys([*used, completion])}
    made = pd.DataFrame({"prompt": _filled(template, used, texts)}, index=frame.index, dtype=object)
    made["completion"] = texts[completion]
    if system and plan.format == "chat" and plan.system is None:
        made["system"] = _texts(frame, system)
        used.append(system)
    rest = frame.drop(columns=list({*used, completion}))
    made = made.join(rest.rename(columns={n: f"{n}{NOT_USED}" for n in rest if n in made}))
    if ["prompt", "completion"] == [*FIELD.findall(template), completion] or not template:
        return made, None
    recipe = used[0] if FIELD.fullmatch(template) else shown(template)[1:-1]
    title = f"Rename the columns: {recipe} → prompt, {completion} → completion"
    why = "An example has a prompt and a completion; a chat is made from them."
    before = shown(" | ".join(map(str, frame.iloc[0].tolist()[:4])))
    after = shown(" | ".join(map(str, made.iloc[0].tolist()[:2])))
    return made, Suggestion("rename", "necessary", title, why, [], before, after, made)


def _filled(template: str, used: list[str], texts: dict[str, pd.Series]) -> list[str]:
    """The template with each row's texts: "" where a value is missing that it is made of.

    Only a part between blank lines may be missing; it leaves no blank line behind.
    """
    parts = FIELD.split(template)[0::2]
    if not used:
        return [template] * len(next(iter(texts.values())))
    if len(used) > 1 or plain(used[0]) == "sub_prompt":
        texts = {name: _without_noise(texts[name]) for name in used}
    rows = zip(*(texts[name] for name in used), strict=True)
    has_words = FIELD.sub("", template).strip()
    if len(used) > 1 and not has_words and all(part == "\n\n" for part in parts[1:-1]):
        return [parts[0] + "\n\n".join(t for t in row if t.strip()) + parts[-1] for row in rows]
    # "40, woman, flight" without its age is no prompt.
    full = ([] if has_words and "" in row else zip(parts, (*row, ""), strict=True) for row in rows)
    return ["".join(part + text for part, text in row) for row in full]


def _without_noise(texts: pd.Series) -> pd.Series:
    """One blank cell in a column of ages turns 18 into 18.0, and notes into "18.0, …", ", …"."""
    filled = texts[texts != ""]
    if filled.str.fullmatch(r"-?\d+\.0").all():
        return texts.str.removesuffix(".0")
    if filled.str.match(r"\d+(\.0)?, |, ").all():
        notes = texts.str.replace(r"^(\d+)\.0, ", r"\1, ", regex=True)
        return notes.mask(texts.str.startswith(", "), "")
    return texts


def _texts(frame: pd.DataFrame, column: str) -> pd.Series:
    """A column as texts. Raises InputError for lists and objects."""
    for place, value in frame[column].items():
        if isinstance(value, list | dict):
            raise InputError(
                f"{frame.index.name} {place}, {column}: Expected a text, found {type_name(value)}. "
                "Write it as one text, or name another column."
            )
    return frame[column].map(as_text).astype(object)
