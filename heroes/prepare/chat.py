"""Rules for tables whose rows are chats already: a column `messages`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from helpers.jsonl.check import LONG_TEXT
from helpers.jsonl.report import KINDS
from helpers.jsonl.rules import ROLES, check_chat

from helpers.rules import MESSAGE_KEYS, TOP_KEYS, texts_of
from heroes.prepare.columns import drop_columns
from heroes.prepare.errors import InputError
from heroes.prepare.rows import LENGTHY, repeated
from heroes.prepare.suggestion import SHOWN, Plan, Suggestion, drop_rows, show_row
from heroes.prepare.table import Table

Message = dict[str, Any]
KEPT = ("messages", *sorted(TOP_KEYS - {"messages"}))


def read_cells(table: Table) -> Table:
    """Messages that stand as JSON in a cell of a CSV or Excel file. Raises InputError."""
    values = []
    for index, value in enumerate(table["messages"]):
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError as error:
                raise InputError(
                    table.name,
                    f"The cell holds no JSON ({error}).",
                    'Write messages as [{"role": "user", "content": "…"}, …].',
                    place=table.place(index),
                    field="messages",
                ) from None
        values.append(value)
    return table.put("messages", values)


def extra_columns(table: Table, plan: Plan) -> Suggestion | None:
    """Keys beside `messages` that no job takes."""
    return drop_columns(table, plan, KEPT)


def message_keys(table: Table, plan: Plan) -> Suggestion | None:
    """Keys inside messages that no job takes, such as an id or a time."""

    def known(message: Message) -> Message:
        strange = message.keys() - MESSAGE_KEYS
        return {k: v for k, v in message.items() if k in MESSAGE_KEYS} if strange else message

    why = "A job refuses messages with keys that it does not know."
    found = _each_message(table, known, "message_keys", "Leave out the unknown keys of", why)
    return found and replace(found, level="necessary")


def roles(table: Table, plan: Plan) -> Suggestion | None:
    """Roles written as "User" or " assistant"."""

    def spelled(message: Message) -> Message:
        role = message.get("role")
        if not isinstance(role, str) or role in ROLES or role.strip().lower() not in ROLES:
            return message
        return {**message, "role": role.strip().lower()}

    why = "The roles are system, user and assistant, in small letters."
    found = _each_message(table, spelled, "roles", "Correct the roles in", why)
    return found and replace(found, level="necessary")


def whitespace(table: Table, plan: Plan) -> Suggestion | None:
    """Blanks and line breaks around the texts."""

    def clean(message: Message) -> Message:
        content = message.get("content")
        if not isinstance(content, str):
            return message
        text = content.replace("\r\n", "\n").replace("\r", "\n").strip()
        return message if text == content else {**message, "content": text}

    why = "They cost tokens, and the model would learn to write them."
    return _each_message(table, clean, "whitespace", "Clean blanks around the texts of", why)


def _each_message(
    table: Table, change: Callable[[Message], Message], kind: str, title: str, why: str
) -> Suggestion | None:
    """Recommend another version of the messages; None if `change` leaves all as they are."""
    chats, indexes, example = [], [], None
    for index, chat in enumerate(table["messages"]):
        if isinstance(chat, list):
            new = [change(m) if isinstance(m, dict) else m for m in chat]
            pairs = [(a, b) for a, b in zip(chat, new, strict=True) if a is not b]
            if pairs:
                chat = new
                indexes.append(index)
                example = example or pairs[0]
        chats.append(chat)
    if example is None:
        return None
    return Suggestion(
        kind,
        "recommended",
        f"{title} {len(indexes):,} example{'' if len(indexes) == 1 else 's'}",
        why,
        len(indexes),
        tuple(table.places[index] for index in indexes[:SHOWN]),
        table.unit,
        *(json.dumps(message, ensure_ascii=False)[:120] for message in example),
        table.put("messages", chats),
    )


def invalid(table: Table, plan: Plan) -> Suggestion | None:
    """Examples that a job would refuse, such as one without an answer."""
    problems = [_problem(chat) for chat in table["messages"]]
    first = next((problem for problem in problems if problem), "")
    why = f"What is wrong with the first one: {first}"
    bad = [bool(problem) for problem in problems]
    return drop_rows(table, bad, "invalid", "necessary", "that a job would refuse", why)


def _problem(chat: Any) -> str:
    """The first error of an example in words, or nothing."""
    for kind, field, message in check_chat({"messages": chat}):
        if KINDS[kind].severity == "error":
            return f"{field}: {message}"
    return ""


def duplicates(table: Table, plan: Plan) -> Suggestion | None:
    """Chats that are there more than once; the first stays."""
    keys = [json.dumps(chat, sort_keys=True) for chat in table["messages"]]
    why = "The same chat stands further up; twice teaches nothing new."
    return drop_rows(table, repeated(keys), "duplicate", "recommended", "seen before", why)


def too_long(table: Table, plan: Plan) -> Suggestion | None:
    """Chats that fit into hardly any model's context."""
    bad = [sum(map(len, texts_of({"messages": c}))) > LONG_TEXT for c in table["messages"]]
    why = "What does not fit into a model's context is cut off, or the job fails."
    return drop_rows(table, bad, "too_long", "recommended", LENGTHY, why)


def not_a_pair(table: Table, plan: Plan) -> Suggestion | None:
    """Chats with more than one question and one answer, which make no prompt and completion."""
    bad = [_roles(chat) not in (["user", "assistant"], ["assistant"]) for chat in table["messages"]]
    why = "A prompt/completion pair is one question and one answer."
    return drop_rows(table, bad, "not_a_pair", "necessary", "with a longer conversation", why)


def _roles(chat: list[Message]) -> list[str]:
    return [message["role"] for message in chat if message["role"] != "system"]


def to_pairs(table: Table, plan: Plan) -> Suggestion:
    """Questions as prompts, answers as completions."""
    systems = [_text_of(chat, "system") for chat in table["messages"]]
    same = len(set(systems)) == 1
    prompts = [_text_of(chat, "user") for chat in table["messages"]]
    if not same:
        prompts = [f"{s}\n\n{p}".strip() for s, p in zip(systems, prompts, strict=True)]
    completions = [_text_of(chat, "assistant") for chat in table["messages"]]
    result = replace(table, columns={"prompt": prompts, "completion": completions})
    why = "You asked for prompt/completion pairs."
    if any(systems):
        kept = "is left out: it is the same everywhere" if same else "goes in front of the prompt"
        why += f" The system message {kept}."
    return Suggestion(
        "to_pairs",
        "necessary",
        "Turn chats into prompts and completions",
        why,
        len(table),
        (),
        table.unit,
        show_row(table, 0),
        show_row(result, 0),
        result,
    )


def _text_of(chat: list[Message], role: str) -> str:
    return "\n\n".join(m["content"] for m in chat if m["role"] == role and m.get("content"))
