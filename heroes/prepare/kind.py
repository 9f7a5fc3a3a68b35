"""What kind of table it is: chats, pairs, or what a supervised job cannot learn from as it is."""

from __future__ import annotations

import re

import pandas as pd

from heroes.prepare import names
from heroes.prepare.chats import role_of
from heroes.prepare.names import COMPLETIONS, DIALOGUES, PROMPTS, find, plain
from heroes.prepare.suggestion import InputError, Plan
from heroes.prepare.tables import SAMPLE, SEPARATORS

DIALOGUE_MARK = re.compile(r"(?i)(#+ ?(assistant|response):|<\|im_start\|>assistant|\[/INST\])")


def looks_like_table(text: str) -> bool:
    """Whether a file of unknown type is a table: a header with known names, or tabs everywhere."""
    sample = text[:100_000].lstrip("\ufeff").split("\n")
    head, *body = [line for line in sample if line.strip()] or [""]
    tabs = {line.count("\t") for line in (head, *body[:SAMPLE])}
    if head.lower().startswith("sep=") or (len(tabs) == 1 and tabs != {0} and body):
        return True
    cells = max((head.split(mark) for mark in SEPARATORS), key=len)
    known = {*PROMPTS, *COMPLETIONS, *DIALOGUES}
    return len(cells) > 1 and any(plain(cell.strip('"\r ')) in known for cell in cells)


def is_chats(frame: pd.DataFrame, plan: Plan) -> bool:
    """Whether the rows are chats. Raises InputError for preferences, and for a mix of kinds."""
    if plan.prompt or plan.completion:
        return False
    if find(frame, names.PREFERENCES):
        raise InputError(
            "These are preference examples (DPO): pairs of a better and a worse answer. A "
            "supervised job takes one answer. To learn the better ones: --completion-column "
            f"{find(frame, ('chosen', 'preferred_output')) or 'COLUMN'}, and --drop for the others."
        )
    column, completion = find(frame, names.DIALOGUES), find(frame, ("completion",))
    label = find(frame, ("label",))
    if label and completion and frame[label].map(type).eq(bool).all():
        raise InputError(
            f"The column {label!r} says which answers are good (KTO). A supervised job learns all "
            "of them: leave out the bad rows and this column first."
        )
    role, text = find(frame, names.ROLES), find(frame, names.TEXTS)
    if role and text and not column and set(frame[role].map(role_of)) & {"user", "assistant"}:
        raise InputError(
            f"Each row is one message (columns {role!r} and {text!r}). Put each conversation into "
            "one row: a column `messages` with the list of its messages."
        )
    empty = frame[column].isna() | (frame[column].astype(str) == "") if column else None
    if completion and column and empty.any():
        raise InputError(
            f"{frame.index.name} {frame.index[empty][0]}: The file mixes chat and "
            "prompt/completion examples. Put them into two files."
        )
    # TRL writes prompt and completion as lists of messages.
    pair = [frame[name].iloc[0] for name in (find(frame, ("prompt",)), completion) if name]
    in_messages = len(pair) == 2 and all(re.match(r"\s*\[\s*\{", str(cell)[:20]) for cell in pair)
    return column is not None or in_messages


def refuse_dialogues(frame: pd.DataFrame) -> None:
    """Raises InputError if a column of texts holds whole dialogues, as "### Assistant:" shows."""
    for column in frame.columns:
        if mark := DIALOGUE_MARK.search(str(frame[column].iloc[0])):
            raise InputError(
                f"The column {column!r} holds whole dialogues. Cut each into a prompt and a "
                f"completion first, at {mark.group()!r}: "
                f"df[{column!r}].str.split({mark.group()!r}, n=1, regex=False, expand=True)."
            )
