"""Suggestions for chats: keys of messages that no job takes, and chats as pairs."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from helpers.dialogue import text_of
from helpers.shapes import MESSAGE_KEYS
from heroes.prepare.names import listed
from heroes.prepare.suggestion import Plan, Suggestion, drop_rows, number, shown

Message = dict[str, Any]


def message_keys(frame: pd.DataFrame, plan: Plan) -> Suggestion | None:
    """Keys inside messages that no job takes, such as an id; not decided by --yes if texts."""
    strange: dict[str, Any] = {}
    rows, chats = [], []
    for place, chat in frame["messages"].items():
        odd = [m for m in chat if isinstance(m, dict) and m.keys() - MESSAGE_KEYS]
        if odd:
            rows.append(place)
            for message in odd:
                strange |= {k: v for k, v in message.items() if k not in MESSAGE_KEYS}
            chat = [_known(m) if isinstance(m, dict) else m for m in chat]
        chats.append(chat)
    if not rows:
        return None
    texts = [k for k, v in strange.items() if " " in str(v) and k not in plan.drop]
    made = frame.assign(messages=pd.Series(chats, index=frame.index, dtype=object))
    title = f"Leave out {number(len(strange), 'key')} of messages: {listed(sorted(strange))}"
    remedy = f'If they are not needed: --drop "{texts[0]}".' if texts else ""
    before = shown(json.dumps(strange, ensure_ascii=False))
    why = "A job refuses messages with keys that it does not know."
    level = "yours" if texts else "necessary"
    return Suggestion("keys", level, title, why, rows, before, "(left out)", made, remedy)


def _known(message: Message) -> Message:
    return {key: value for key, value in message.items() if key in MESSAGE_KEYS}


def to_pairs(frame: pd.DataFrame, plan: Plan) -> Suggestion:
    """Questions as prompts, answers as completions."""
    chats = frame["messages"]
    systems = chats.map(lambda chat: _said(chat, "system"))
    prompts = chats.map(lambda chat: _said(chat, "user"))
    why = "You asked for prompt/completion pairs."
    if systems.nunique() > 1:
        prompts = (systems + "\n\n" + prompts).str.removeprefix("\n\n")
        why += " The system message goes in front of the prompt."
    elif systems.any():
        why += " The system message is left out: it is the same everywhere."
    texts = {"prompt": prompts, "completion": chats.map(lambda chat: _said(chat, "assistant"))}
    made = pd.DataFrame(texts, index=frame.index, dtype=object)
    before, after = shown(str(chats.iloc[0])), shown(" | ".join(made.iloc[0]))
    title = "Turn chats into prompts and completions"
    return Suggestion("to_pairs", "necessary", title, why, [], before, after, made)


def _said(chat: list[Message], role: str) -> str:
    return "\n\n".join(text_of(m.get("content")) for m in chat if m.get("role") == role)


def longer(frame: pd.DataFrame, plan: Plan) -> Suggestion | None:
    """Chats of more than one question and one answer."""
    bad = frame["messages"].map(_is_longer)
    why = "A prompt/completion pair is one question and one answer."
    return drop_rows(frame, bad, "longer", "necessary", "with a longer conversation", why)


def _is_longer(chat: list[Message]) -> bool:
    roles = [message.get("role") for message in chat if message.get("role") != "system"]
    return roles not in (["user", "assistant"], ["assistant"])
