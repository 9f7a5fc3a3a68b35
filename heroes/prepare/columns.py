"""Finding columns by the names that people give them, and making prompts and completions."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

from helpers.jsonl import SUB_PROMPT
from helpers.report import type_name
from heroes.prepare.suggestion import TEXTS, InputError, Plan, listed, shown
from heroes.prepare.tables import plain
from heroes.prepare.workbook import as_text

NAMES = TEXTS["names"]
NOT_USED = " (not used)"  # at the name of a column that had to step aside
FIELD = re.compile(r"\{([^{}]+)\}")
COURSE_GRID = {"age", "gender", "power"}  # what the course asks the generator for
DIALOGUE_MARK = re.compile(r"(?i)(#+ ?(assistant|response):|<\|im_start\|>assistant|\[/INST\])")


def find(frame: pd.DataFrame, wanted: Iterable[str], *taken: str | None) -> str | None:
    """The first of these names that the table has, in whatever spelling."""
    known = {plain(column): column for column in reversed(frame.columns)}
    return next((known[n] for n in wanted if n in known and known[n] not in taken), None)


def named(frame: pd.DataFrame, name: str, option: str) -> str:
    """The column that an option names. Raises InputError if there is none."""
    near = [column for column in frame.columns if plain(column) == plain(name)]
    if name in frame.columns or len(near) == 1:
        return name if name in frame.columns else near[0]
    raise InputError("no_column", option=option, name=name, columns=listed(frame))


def to_pairs(frame: pd.DataFrame, plan: Plan) -> tuple[pd.DataFrame, dict[str, str]]:
    """The table with the columns prompt and completion (and system), and the others behind them.

    With it come the words of the suggestion: none if the table has these names already.
    """
    system, completion = find(frame, NAMES["system"]), find(frame, NAMES["completion"])
    if plan.completion:
        completion = named(frame, plan.completion, "--completion-column")
    template = _template(frame, completion, system) if plan.prompt is None else plan.prompt
    if template is None or completion is None:
        _refuse_dialogues(frame)
        what = "prompt" if template is None else "completion"
        raise InputError("not_found", what=what, columns=listed(frame))
    if FIELD.findall(template) == [completion]:
        raise InputError("same_column", name=completion)
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
        return made, {}
    recipe = used[0] if FIELD.fullmatch(template) else shown(template)[1:-1]
    return made, {"prompt": recipe, "completion": completion}


def _template(frame: pd.DataFrame, completion: str | None, system: str | None) -> str | None:
    known = {plain(column): column for column in frame.columns}
    if known.keys() >= {"sub_prompt", "response_txt"}:  # the long prompt only made the answers
        return f"{{{known['sub_prompt']}}}"
    if known.keys() >= {*COURSE_GRID, "response_txt"}:
        return SUB_PROMPT
    main = find(frame, (*NAMES["prompt"], *NAMES["context"]), completion, system)
    if main is None:
        return "" if completion and len(frame.columns) == 1 else None
    parts = [main]
    if about := find(frame, NAMES["context"], main, completion, system):
        comes_first = plain(about) in NAMES["context_first"] and plain(main) == "question"
        parts.insert(0 if comes_first else 1, about)
    return "\n\n".join(f"{{{part}}}" for part in parts)


def _refuse_dialogues(frame: pd.DataFrame) -> None:
    for column in frame.columns:
        if mark := DIALOGUE_MARK.search(str(frame[column].iloc[0])):
            raise InputError("dialogues", column=column, mark=mark.group())


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
            where = f"{frame.index.name} {place}, {column}"
            raise InputError("not_text", where, found=type_name(value))
    return frame[column].map(as_text).astype(object)
