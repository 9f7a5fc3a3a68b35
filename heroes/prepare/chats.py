"""Tables whose rows are chats already, in whatever spelling."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import pandas as pd

from helpers.dialogue import without_nulls
from helpers.report import type_name
from helpers.shapes import ROLES, TOP_KEYS
from heroes.prepare import names
from heroes.prepare.names import find, listed
from heroes.prepare.suggestion import InputError, number, shown
from heroes.prepare.workbook import as_text

Message = dict[str, Any]
KEPT = ("messages", *sorted(TOP_KEYS - {"messages"}))
SPELLED = {"human": "user", "prompter": "user", "customer": "user", "instruction": "user"}
SPELLED |= dict.fromkeys(("gpt", "bot", "chatgpt", "model", "ai", "chatbot"), "assistant")
SPELLED |= {"observation": "tool", "function_response": "tool", "developer": "system"}


def read_chats(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The table with a column `messages` of lists, roles and keys as a job wants them; notes."""
    column = find(frame, names.DIALOGUES)
    used = [column] if column else [find(frame, ("prompt",)), find(frame, ("completion",))]
    system, tools = find(frame, names.SYSTEMS), find(frame, ("tools",))
    places = [f"{frame.index.name} {place}" for place in frame.index]
    cells = zip(*(frame[name] for name in used), strict=True)
    raw = [
        [message for cell in row for message in _messages(cell, place)]
        for place, row in zip(places, cells, strict=True)
    ]
    chats = [[_message(message) for message in chat] for chat in raw]
    changed = sum(chat != before for chat, before in zip(chats, raw, strict=True))
    for chat, text in zip(chats, frame[system] if system else (), strict=False):
        if text and not has_system(chat):
            chat.insert(0, {"role": "system", "content": str(text)})
    made = frame.drop(columns=[name for name in (*used, system) if name])
    if tools:
        made[tools] = [
            _parsed(cell, place, tools) if isinstance(cell, str) else cell
            for place, cell in zip(places, made[tools], strict=True)
        ]
    made.insert(0, "messages", pd.Series(chats, index=frame.index, dtype=object))
    notes = [f"Read the chats of {listed(used)}."] if used != ["messages"] else []
    if changed:
        notes.append(
            f"Written as a job wants it in {number(changed, 'chat')}: roles, keys, content in "
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
    if not isinstance(message, dict) or _is_plain(message):
        return message
    message = {k: v for k, v in without_nulls(message).items() if v is not None and v != []}
    role = next((key for key in names.ROLES if key in message), None)
    text = next((key for key in names.TEXTS if key in message), None)
    if role is None and len(message) == 1:  # {"user": "…"}
        ((spelled, content),) = message.items()
        return {"role": role_of(spelled), "content": content}
    rest = {key: value for key, value in message.items() if key not in (role, text)}
    made: Message = {"role": role_of(message[role])} if role else {}
    if text is not None:
        content = message[text]
        if isinstance(content, list) and all(_is_text(part) for part in content):
            content = "".join(p if isinstance(p, str) else p["text"] for p in content)
        elif isinstance(content, int | float) and not isinstance(content, bool):
            content = as_text(content)
        if content != "" or not rest.get("tool_calls"):
            made["content"] = content
    return {**made, **rest}


def _is_plain(message: Message) -> bool:
    is_short = len(message) == 2 and isinstance(message.get("content"), str)
    return is_short and message.get("role") in ("system", "user", "assistant")


def has_system(chat: list[Any]) -> bool:
    """Whether a chat has a system message."""
    return any(isinstance(message, dict) and message.get("role") == "system" for message in chat)


def _is_text(part: Any) -> bool:
    return isinstance(part, str) or (isinstance(part, dict) and isinstance(part.get("text"), str))


def role_of(role: Any) -> Any:
    known = role.strip().lower() if isinstance(role, str) else role
    return SPELLED.get(known, known if known in (*ROLES, "tool", "function") else role)
