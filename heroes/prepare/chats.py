"""Tables whose rows are chats already, in whatever spelling, and the rules for them."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import pandas as pd

from helpers.dialogue import without_nulls
from helpers.report import type_name
from helpers.rules import ROLES, TOP_KEYS
from heroes.prepare import names
from heroes.prepare.columns import find, listed
from heroes.prepare.suggestion import InputError, Plan, number, shown

Message = dict[str, Any]
KEPT = ("messages", *sorted(TOP_KEYS - {"messages"}))
SPELLED = {"human": "user", "prompter": "user", "customer": "user", "instruction": "user"}
SPELLED |= dict.fromkeys(("gpt", "bot", "chatgpt", "model", "ai", "chatbot"), "assistant")
SPELLED |= {"observation": "tool", "function_response": "tool", "developer": "system"}
ROLE_KEYS, TEXT_KEYS = ("role", "from", "speaker", "author"), ("content", "value", "text")


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
    label = find(frame, ("label",))
    if label and find(frame, ("completion",)) and frame[label].map(type).eq(bool).all():
        raise InputError(
            f"The column {label!r} says which answers are good (KTO). A supervised job learns all "
            "of them: leave out the bad rows and this column first."
        )
    column = find(frame, names.DIALOGUES)
    if column and find(frame, ("completion",)):
        empty = frame[column].isna() | (frame[column].astype(str) == "")
        if empty.any():
            raise InputError(
                f"{frame.index.name} {frame.index[empty][0]}: The file mixes chat and "
                "prompt/completion examples. Put them into two files."
            )
    return column is not None or _in_messages(frame)


def _in_messages(frame: pd.DataFrame) -> bool:
    """Whether prompt and completion are lists of messages, as TRL writes them."""
    first = frame.iloc[0]
    columns = [find(frame, ("prompt",)), find(frame, ("completion",))]
    return all(c and re.match(r"\s*\[\s*\{", _start(first[c])) for c in columns)


def _start(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)[:20]


def read_chats(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The table with a column `messages` of lists, roles and keys as a job wants them; notes."""
    column = find(frame, names.DIALOGUES)
    used = [column] if column else [find(frame, ("prompt",)), find(frame, ("completion",))]
    system = find(frame, names.SYSTEMS)
    tools = find(frame, ("tools",))
    chats, changed = [], []
    cells = zip(*(frame[name] for name in used), strict=True)
    for place, parts in zip(frame.index, cells, strict=True):
        where = f"{frame.index.name} {place}"
        raw = [message for part in parts for message in _messages(part, where)]
        chat = [_message(message) for message in raw]
        if raw != chat:
            changed.append(place)
        chats.append(chat)
    if system:
        for chat, text in zip(chats, frame[system], strict=True):
            if text and not has_system(chat):
                chat.insert(0, {"role": "system", "content": str(text)})
    made = frame.drop(columns=[name for name in (*used, system) if name])
    if tools:
        cells = made[tools].items()
        made[tools] = [
            _parsed(cell, f"{frame.index.name} {place}", tools) if isinstance(cell, str) else cell
            for place, cell in cells
        ]
    made.insert(0, "messages", pd.Series(chats, index=frame.index, dtype=object))
    notes = [f"Read the chats of {listed(used)}."] if used != ["messages"] else []
    if changed:
        notes.append(
            f"Written as a job wants it in {number(len(changed), 'chat')}: roles, keys, content in "
            "parts as one text, and keys without a value (null) left out."
        )
    return made, notes


def _messages(cell: Any, place: str) -> list[Any]:
    """The messages of a cell: a list, or one written as JSON or as Python text."""
    value = _parsed(cell, place, "messages") if isinstance(cell, str) and cell else cell or []
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))
    if not isinstance(value, list):
        raise InputError(f"{place}, messages: Expected a list, found {type_name(value)}.")
    return value


def _parsed(text: str, place: str, column: str) -> Any:
    # numpy writes a list of messages without commas: "[{…}\n {…}]".
    for read, spelled in (
        (json.loads, text),
        (ast.literal_eval, text),
        (ast.literal_eval, re.sub(r"\}\s*\n\s*\{", "}, {", text)),
    ):
        try:
            return read(spelled)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    raise InputError(
        f"{place}, {column}: The cell is neither JSON nor a Python list: {shown(text)}. "
        'Write it as [{"role": "user", "content": "…"}, …].'
    )


def _message(message: Any) -> Any:
    """A message with the keys role and content; texts as they are, parts joined, no nulls."""
    if not isinstance(message, dict):
        return message
    message = without_nulls({"messages": [message]})["messages"][0]
    message = {key: value for key, value in message.items() if value is not None and value != []}
    role = next((key for key in ROLE_KEYS if key in message), None)
    text = next((key for key in TEXT_KEYS if key in message), None)
    if role is None and len(message) == 1:  # {"user": "…"}
        role, text = "role", next(iter(message))
        message = {"role": text, text: message[text]}
    rest = {key: value for key, value in message.items() if key not in (role, text)}
    made: Message = {"role": _role(message[role])} if role else {}
    if text is not None:
        content = message[text]
        if isinstance(content, list) and all(_is_text(part) for part in content):
            content = "".join(p if isinstance(p, str) else p["text"] for p in content)
        if content != "" or not rest.get("tool_calls"):
            made["content"] = content
    return {**made, **rest}


def has_system(chat: list[Any]) -> bool:
    """Whether a chat has a system message."""
    return any(isinstance(message, dict) and message.get("role") == "system" for message in chat)


def _is_text(part: Any) -> bool:
    return isinstance(part, str) or (isinstance(part, dict) and isinstance(part.get("text"), str))


def _role(role: Any) -> Any:
    known = role.strip().lower() if isinstance(role, str) else role
    return SPELLED.get(known, known if known in (*ROLES, "tool", "function") else role)
