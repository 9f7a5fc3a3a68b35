"""Which columns hold the prompts and the completions, and the table with those two columns."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Literal

from helpers.rules import PREFERENCE_KEYS, type_name
from heroes.prepare.errors import InputError
from heroes.prepare.suggestion import SHOWN, Plan, Suggestion, change_texts, number, show_row
from heroes.prepare.table import Table

UNUSED = " (not used)"  # at the name of a column that had to step aside
Shape = Literal["chat", "pairs"]

# Names that people give to these columns. A pair earlier in the list is preferred.
PAIRS = (
    ("prompt", "completion"),
    ("sub_prompt", "response_txt"),  # the course's own table
    ("prompt_short", "description"),
)
PROMPTS = ("prompt", "question", "instruction", "input", "query", "user", "text", "sub_prompt")
COMPLETIONS = ("completion", "answer", "response", "output", "assistant", "label", "response_txt")
NAME_THEM = "Name the columns with --prompt-column and --completion-column."


def shape_of(table: Table, plan: Plan) -> Shape:
    """Chat examples or pairs. Raises InputError for examples of another kind, or of both."""
    if plan.prompt_column or plan.completion_column:
        return "pairs"
    if "messages" not in table.columns:
        if PREFERENCE_KEYS & table.columns.keys() and "preferred_output" in table.columns:
            problem = "These are preference (DPO) examples."
            raise InputError(table.name, problem, "Only chat and prompt/completion are prepared.")
        return "pairs"
    if {"prompt", "completion"} & table.columns.keys():
        with_messages = [value is not None and value != "" for value in table["messages"]]
        if not all(with_messages):
            problem = "The file mixes chat and prompt/completion examples."
            odd = with_messages.index(not with_messages[0])
            remedy = "Put them into two files."
            raise InputError(table.name, problem, remedy, place=table.place(odd))
    return "chat"


def find_columns(table: Table, plan: Plan) -> tuple[str, str]:
    """The names of the two columns as they stand in the table. Raises InputError if in doubt."""
    known = _spellings(table)
    for prompt, completion in PAIRS:
        if prompt in known and completion in known and not plan.prompt_column:
            prompt_name, completion_name = known[prompt], known[completion]
            break
    else:
        prompt_name = next((known[name] for name in PROMPTS if name in known), None)
        completion_name = next((known[name] for name in COMPLETIONS if name in known), None)
    prompt_name = _named(table, plan.prompt_column, "--prompt-column") or prompt_name
    completion_name = (
        _named(table, plan.completion_column, "--completion-column") or completion_name
    )
    for what, name in (("prompt", prompt_name), ("completion", completion_name)):
        if name is None:
            problem = f"No column looks like a {what}; there are {_listed(table)}."
            raise InputError(table.name, problem, NAME_THEM, field=what)
    assert prompt_name is not None
    assert completion_name is not None
    if prompt_name == completion_name:
        problem = f"The column {prompt_name!r} can't be prompt and completion at once."
        raise InputError(table.name, problem, NAME_THEM)
    return prompt_name, completion_name


def _spellings(table: Table) -> dict[str, str]:
    """Plain spelling -> name in the table; the exact one wins over " Prompt "."""
    known: dict[str, str] = {}
    for name in table.columns:
        plain = name.strip().lower().replace(" ", "_").replace("-", "_")
        if plain not in known or name == plain:
            known[plain] = name
    return known


def _named(table: Table, name: str | None, option: str) -> str | None:
    if name is None or name in table.columns:
        return name
    near = [column for column in table.columns if column.strip().lower() == name.strip().lower()]
    if len(near) == 1:
        return near[0]
    problem = f"There is no column {name!r}; there are {_listed(table)}."
    raise InputError(table.name, problem, f"Give {option} one of these.", field=name)


def _listed(table: Table) -> str:
    names = [repr(name) for name in table.columns]
    return ", ".join(names[:SHOWN]) + (" …" if len(names) > SHOWN else "")


def keep_group(table: Table, plan: Plan) -> Table:
    """Put the column of --group-by aside for the split. Raises InputError if there is none."""
    column = _named(table, plan.group_by, "--group-by")
    if column is None:
        return table
    return replace(table, hidden=[_group(value) for value in table[column]])


def _group(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def rename(table: Table, plan: Plan) -> Suggestion | None:
    """Give the two columns their names; other columns that had these names step aside."""
    prompt, completion = find_columns(table, plan)
    if (prompt, completion) == ("prompt", "completion"):
        return None
    names = {prompt: "prompt", completion: "completion"}
    columns = {"prompt": table[prompt], "completion": table[completion]}
    for name, values in table.columns.items():
        if name not in names:
            columns[f"{name}{UNUSED}" if name in columns else name] = values
    why = "A prompt/completion file has exactly these two; a chat is made from them."
    others = {name for name in ("prompt", "completion") if name in table.columns} - names.keys()
    if others:
        why += f" The table's own {others.pop()!r} is another column; to use it: --prompt-column."
    changed = [f"{old} → {new}" for old, new in names.items() if old != new]
    return Suggestion(
        "rename",
        "necessary",
        f"Rename the columns: {', '.join(changed)}",
        why,
        len(table),
        (),
        table.unit,
        ", ".join(old for old, new in names.items() if old != new),
        ", ".join(new for old, new in names.items() if old != new),
        replace(table, columns=columns),
    )


def fill_gaps(table: Table) -> Table:
    """Where a row has no prompt or completion, an empty text."""
    filled = {c: ["" if v is None else v for v in table[c]] for c in ("prompt", "completion")}
    return replace(table, columns={**table.columns, **filled})


def values_to_text(column: str, table: Table, plan: Plan) -> Suggestion | None:
    """Numbers and the like as text. Raises InputError for lists and objects."""
    texts = [
        value if isinstance(value, str) else _text(value, table, index, column)
        for index, value in enumerate(table[column])
    ]
    why = "A job takes texts only; these are numbers, true or false."
    title = ("Write ", " as text")
    found = change_texts(table, column, texts, f"{column}_type", title, why)
    return found and replace(found, level="necessary")


def _text(value: Any, table: Table, index: int, column: str) -> str:
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    problem = f"Expected a text, found {type_name(value)}."
    raise InputError(
        table.name, problem, "Write it as one text.", place=table.place(index), field=column
    )


def drop_columns(table: Table, plan: Plan, wanted: tuple[str, ...]) -> Suggestion | None:
    """Leave out all columns but the wanted ones; jobs refuse unknown keys."""
    extra = [name for name in table.columns if name not in wanted]
    if not extra:
        return None
    shown = ", ".join(repr(name) for name in extra[:6]) + (" …" if len(extra) > 6 else "")
    why = "A job refuses examples with keys that it does not know."
    near = [name for name in extra if _could_be_meant(name, table[name])]
    if near and "messages" not in wanted:
        why += f" (If you meant {near[0]!r}: name it with --prompt-column or --completion-column.)"
    result = replace(table, columns={name: table[name] for name in wanted if name in table.columns})
    return Suggestion(
        "drop_columns",
        "necessary",
        f"Leave out {number(len(extra), 'column')}: {shown}",
        why,
        len(table),
        (),
        table.unit,
        show_row(replace(table, columns={name: table[name] for name in extra}), 0),
        None,
        result,
    )


def _could_be_meant(name: str, values: list[Any]) -> bool:
    """Whether a column is called like prompts or completions, and holds texts."""
    called = any(word in name.lower() for word in ("prompt", "completion"))
    first = next((value for value in values if value not in (None, "")), 0)
    return called and isinstance(first, str) and not first.isdigit() and not name.endswith(UNUSED)
