"""The shape of one training example: a conversation, or a prompt with its completion."""

from __future__ import annotations

import json
from typing import Any, Literal

ROLES = ("system", "user", "assistant")
# Exporters write an empty list or text of these for none at all.
EMPTY_IS_NONE = ("tools", "functions", "tool_calls", "annotations", "refusal", "name")
KINDS = {
    bool: "true or false",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "a dictionary",
    type(None): "null",
}

Format = Literal["chat", "completion"]


class Fault(ValueError):
    """What is wrong with one example, as it goes on after "Example 5"."""

    def __init__(self, message: str, code: str = "invalid_training_file") -> None:
        super().__init__(message)
        self.code = code


def check_shape(record: Any) -> tuple[Format, dict[str, Any]]:
    """Return an example's format and its content, without keys that say nothing. Raises Fault."""
    if not isinstance(record, dict):
        raise Fault(f" is {KINDS[type(record)]}, but must be a JSON dictionary.")
    record = _plain(record)
    if "messages" in record:
        _check_chat(record)
        return "chat", record
    if "prompt" in record or "completion" in record:
        _check_completion(record)
        return "completion", record
    if "preferred_output" in record or "non_preferred_output" in record:
        raise Fault(
            " is in the fine-tune-preference format, but the specified fine-tuning job is not "
            "using 'dpo' (method=supervised)"
        )
    raise Fault(
        ". Unexpected file format, expected either prompt/completion pairs or chat messages."
    )


def _plain(record: dict[str, Any]) -> dict[str, Any]:
    """The example without keys that exporters write for nothing, and with text parts joined."""
    record = _present(record)
    if "tools" not in record:
        record.pop("parallel_tool_calls", None)
    if isinstance(record.get("messages"), list):
        record["messages"] = [_plain_message(message) for message in record["messages"]]
    return record


def _plain_message(message: Any) -> Any:
    if not isinstance(message, dict):
        return message
    message = _present(message)
    content = message.get("content")
    if isinstance(content, list) and content and all(map(_is_text_part, content)):
        message["content"] = "".join(part["text"] for part in content)
    return message


def _present(record: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in record.items()
        if value is not None and not (value in ([], "") and key in EMPTY_IS_NONE)
    }


def _is_text_part(part: Any) -> bool:
    if not isinstance(part, dict) or _present(part).keys() != {"type", "text"}:
        return False
    return part["type"] == "text" and isinstance(part["text"], str)


def _check_completion(record: dict[str, Any]) -> None:
    _refuse_extra(record, ("prompt", "completion"), "")
    for key in ("prompt", "completion"):
        if key not in record:
            raise Fault(f', key "{key}" is missing.')
        _check_text(record[key], f', key "{key}"')
    if not record["completion"]:
        raise Fault(', key "completion" is empty: there is nothing to learn.')


def _check_chat(record: dict[str, Any]) -> None:
    for key in ("tools", "functions", "parallel_tool_calls"):
        if key in record:
            raise Fault(f' has "{key}": tools are not supported by this model. Remove the key.')
    _refuse_extra(record, ("messages",), "")
    messages, where = record["messages"], ', key "messages"'
    if not isinstance(messages, list):
        raise Fault(f"{where} is {KINDS[type(messages)]}, but must be a list of messages.")
    if not messages:
        raise Fault(f"{where} is an empty list.")
    for i, message in enumerate(messages, 1):
        _check_message(message, f", message {i}")
    answers = [message for message in messages if message["role"] == "assistant"]
    if not answers:
        raise Fault(f"{where}: At least one message must be from the assistant.")
    if messages[-1]["role"] != "assistant":
        raise Fault(f"{where}: The last message must be from the assistant.")
    if all(message.get("weight") == 0 for message in answers):
        raise Fault(f"{where}: At least one assistant message must have a weight other than 0.")


def _check_message(message: Any, where: str) -> None:
    if not isinstance(message, dict):
        raise Fault(f"{where} is {KINDS[type(message)]}, but must be a dictionary.")
    if "role" not in message:
        raise Fault(f"{where} Discriminator 'role' is missing in value")
    role = message["role"]
    if role in ("tool", "function"):
        raise Fault(f"{where}: the role '{role}' is not supported by this model.")
    if not isinstance(role, str) or role not in ROLES:
        raise Fault(f"{where}: unknown role {_show(role)}, must be one of {', '.join(ROLES)}.")
    for key in ("tool_calls", "function_call", "name"):
        if key in message:
            raise Fault(f'{where}: "{key}" is not supported by this model. Remove the key.')
    _refuse_extra(message, ("role", "content", *(["weight"] * (role == "assistant"))), where)
    if "content" not in message:
        raise Fault(f'{where}: key "content" is missing.')
    _check_text(message["content"], f"{where}: content")
    if not message["content"]:
        raise Fault(f"{where}: content is empty.")
    weight = message.get("weight", 1)
    if isinstance(weight, bool) or weight not in (0, 1):
        raise Fault(f"{where}: weight is {_show(weight)}, but must be 0 or 1.")


def _refuse_extra(record: dict[str, Any], allowed: tuple[str, ...], where: str) -> None:
    for key in record:
        if key not in allowed:
            raise Fault(f"{where} contains an extra {_show(key)}.", "invalid_file_format")


def _check_text(value: Any, where: str) -> None:
    if not isinstance(value, str):
        raise Fault(f"{where} is {KINDS[type(value)]}, but must be a string.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Fault(f"{where} holds half of a surrogate pair, which is not a character.") from None


def _show(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 60 else text[:57] + "..."
