"""Rules for chats: keys of messages that no job takes, and chats as pairs."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd

from helpers.dialogue import text_of
from helpers.shapes import MESSAGE_KEYS, ROLES
from heroes.prepare.suggestion import Found, Plan, keep, listed, shown


def keys(frame: pd.DataFrame, plan: Plan) -> Found:
    """Keys inside messages that no job takes, such as an id."""
    found = _strange(frame)
    return _without(frame, {k: v for k, v in found.items() if " " not in v or k in plan.drop})


def key_texts(frame: pd.DataFrame, plan: Plan) -> Found:
    """Keys inside messages that no job takes, but that hold texts."""
    return _without(frame, _strange(frame))


def _strange(frame: pd.DataFrame) -> dict[str, str]:
    """The unknown keys of messages, each with a value: one with a blank in it, if there is one."""
    found: dict[str, str] = {}
    for message in (m for chat in frame["messages"] for m in chat if isinstance(m, dict)):
        for key in message.keys() - MESSAGE_KEYS:
            if " " not in found.get(key, ""):
                found[key] = str(message[key])
    return dict(sorted(found.items()))


def _without(frame: pd.DataFrame, gone: dict[str, str]) -> Found:
    if not gone:
        return None
    chats = [
        [{k: m[k] for k in m if k not in gone} if isinstance(m, dict) else m for m in chat]
        for chat in frame["messages"]
    ]
    made = frame.assign(messages=pd.Series(chats, frame.index, dtype=object))
    before = shown(json.dumps(gone, ensure_ascii=False))
    return made, {"keys": listed(gone), "name": next(iter(gone)), "before": before}


def longer(frame: pd.DataFrame, plan: Plan) -> Found:
    """Chats of more than one question and one answer."""
    roles = frame["messages"].map(lambda chat: [m["role"] for m in chat if m["role"] != "system"])
    return keep(frame, roles.map(lambda each: each in (["user", "assistant"], ["assistant"])))


def to_pairs(frame: pd.DataFrame, plan: Plan) -> Found:
    """Questions as prompts, answers as completions; a system message in front, if they differ."""
    systems, prompts, completions = (
        frame["messages"].map(lambda chat, role=role: _said(chat, role)) for role in ROLES
    )
    words = {"system": ""}
    if systems.nunique() > 1:
        prompts = (systems + "\n\n" + prompts).str.removeprefix("\n\n")
        words["system"] = "The system message goes in front of the prompt."
    elif systems.any():
        words["system"] = "The system message is left out: it is the same everywhere."
    return pd.DataFrame({"prompt": prompts, "completion": completions}, dtype=object), words


def _said(chat: list[dict[str, Any]], role: str) -> str:
    return "\n\n".join(text_of(m.get("content")) for m in chat if m.get("role") == role)
