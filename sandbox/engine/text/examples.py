"""Training files: read line by line, checked, and turned into token ids.

No torch here: the API process validates a file right after a job is created.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sandbox.engine.text.encoder import ChatFormatError, Encoder

MIN_EXAMPLES = 10
MAX_LINE_BYTES = 8 * 1024 * 1024
ROLES = ("system", "user", "assistant")
# Exporters write an empty list or text of these for none at all.
EMPTY_IS_NONE = ("tools", "functions", "tool_calls", "annotations", "refusal", "name")

Format = Literal["chat", "completion"]
Role = Literal["training", "validation"]


@dataclass(frozen=True)
class TrainingExample:
    """One example: token ids, and 1 in ``mask`` where the model learns to say the token."""

    ids: list[int]
    mask: list[int]


@dataclass(frozen=True)
class ExampleStats:
    """What a valid file holds; ``n_tokens`` counts every token of every example once."""

    n_examples: int
    n_tokens: int
    format: Format


class TrainingFileError(ValueError):
    """A file that cannot be used: ``code``, ``message`` and ``param`` as the hosted API gives."""

    def __init__(self, code: str, message: str, param: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param


class _Fault(ValueError):
    """What is wrong with one example; the reader adds where it is."""

    def __init__(self, message: str, code: str = "invalid_training_file") -> None:
        super().__init__(message)
        self.code = code


def validate_training_file(path: Path, folder: Path, role: Role = "training") -> ExampleStats:
    """Check a whole file against the model in ``folder``.

    Raises TrainingFileError at the first fault, naming the example, the field and the remedy.
    """
    n_tokens = 0
    n_examples = 0
    form: Format | None = None
    for found, example in read_examples(path, Encoder(folder), role):
        form = found
        n_examples += 1
        n_tokens += len(example.ids)
    least = MIN_EXAMPLES if role == "training" else 1
    if form is None or n_examples < least:
        raise TrainingFileError(
            "invalid_n_examples",
            f"{role.capitalize()} file has {n_examples} example(s), "
            f"but must have at least {least} example{'s' if least > 1 else ''}",
            f"{role}_file",
        )
    return ExampleStats(n_examples, n_tokens, form)


def read_examples(
    path: Path, encoder: Encoder, role: Role = "training"
) -> Iterator[tuple[Format, TrainingExample]]:
    """Yield the examples of a file in order, encoded. Raises TrainingFileError."""
    first_format: Format | None = None
    number = 0
    with path.open("rb") as lines:
        while line := lines.readline(MAX_LINE_BYTES + 1):
            if not line.strip():
                continue
            number += 1
            try:
                form, record = parse_line(line, first=number == 1)
                first_format = first_format or form
                if form != first_format:
                    raise _Fault(
                        f"is in the {form} format, but the examples before it are in the "
                        f"{first_format} format. A file must keep to one format."
                    )
                yield form, _encode(form, record, encoder)
            except _Fault as fault:
                raise _file_error(fault, number, role) from None


def parse_line(line: bytes, *, first: bool = False) -> tuple[Format, dict[str, Any]]:
    """Parse and check one line of JSON; the record has the shape of its format."""
    if len(line) > MAX_LINE_BYTES:
        raise _Fault(f"is longer than {MAX_LINE_BYTES // 1024 // 1024} MiB.")
    try:
        # Decoded here, since json would take UTF-16 as well.
        record = json.loads((line.removeprefix(b"\xef\xbb\xbf") if first else line).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _Fault(f"is not valid JSON in UTF-8 ({_reason(error)}).") from None
    if not isinstance(record, dict):
        raise _Fault(f"is {_kind(record)}, but must be a JSON dictionary.")
    record = _plain(record)
    if "messages" in record:
        _check_chat(record)
        return "chat", record
    if "prompt" in record or "completion" in record:
        _check_completion(record)
        return "completion", record
    if "preferred_output" in record or "non_preferred_output" in record:
        raise _Fault(
            "is in the fine-tune-preference format, but the specified fine-tuning job is not "
            "using 'dpo' (method=supervised)"
        )
    raise _Fault(
        "Unexpected file format, expected either prompt/completion pairs or chat messages."
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
            raise _Fault(f'key "{key}" is missing.')
        _check_text(record[key], f'key "{key}"')
    if not record["completion"]:
        raise _Fault('key "completion" is empty: there is nothing to learn.')


def _check_chat(record: dict[str, Any]) -> None:
    for key in ("tools", "functions", "parallel_tool_calls"):
        if key in record:
            raise _Fault(f'has "{key}": tools are not supported by this model. Remove the key.')
    _refuse_extra(record, ("messages",), "")
    messages = record["messages"]
    if not isinstance(messages, list):
        raise _Fault(f'key "messages" is {_kind(messages)}, but must be a list of messages.')
    if not messages:
        raise _Fault('key "messages" is an empty list.')
    for i, message in enumerate(messages, 1):
        _check_message(message, f"message {i}")
    if not any(m["role"] == "assistant" for m in messages):
        raise _Fault('key "messages": At least one message must be from the assistant.')
    if messages[-1]["role"] != "assistant":
        raise _Fault('key "messages": The last message must be from the assistant.')
    if all(m.get("weight") == 0 for m in messages if m["role"] == "assistant"):
        raise _Fault(
            'key "messages": At least one assistant message must have a weight other than 0.'
        )


def _check_message(message: Any, where: str) -> None:
    if not isinstance(message, dict):
        raise _Fault(f"{where} is {_kind(message)}, but must be a dictionary.")
    if "role" not in message:
        raise _Fault(f"{where} Discriminator 'role' is missing in value")
    role = message["role"]
    if role in ("tool", "function"):
        raise _Fault(f"{where}: the role '{role}' is not supported by this model.")
    if not isinstance(role, str) or role not in ROLES:
        raise _Fault(f"{where}: unknown role {_show(role)}, must be one of {', '.join(ROLES)}.")
    for key in ("tool_calls", "function_call", "name"):
        if key in message:
            raise _Fault(f'{where}: "{key}" is not supported by this model. Remove the key.')
    _refuse_extra(message, ("role", "content", *(["weight"] * (role == "assistant"))), where)
    if "content" not in message:
        raise _Fault(f'{where}: key "content" is missing.')
    _check_text(message["content"], f"{where}: content")
    if not message["content"]:
        raise _Fault(f"{where}: content is empty.")
    weight = message.get("weight", 1)
    if isinstance(weight, bool) or weight not in (0, 1):
        raise _Fault(f"{where}: weight is {_show(weight)}, but must be 0 or 1.")


def _refuse_extra(record: dict[str, Any], allowed: tuple[str, ...], where: str) -> None:
    for key in record:
        if key not in allowed:
            raise _Fault(f"{where} contains an extra {_show(key)}.".strip(), "invalid_file_format")


def _check_text(value: Any, where: str) -> None:
    if not isinstance(value, str):
        raise _Fault(f"{where} is {_kind(value)}, but must be a string.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _Fault(f"{where} holds half of a surrogate pair, which is not a character.") from None


def _encode(form: Format, record: dict[str, Any], encoder: Encoder) -> TrainingExample:
    if form == "chat":
        for i, message in enumerate(record["messages"], 1):
            _refuse_special_tokens(message["content"], encoder, f"message {i}")
        try:
            ids, mask = encoder.encode_chat_example(record["messages"])
        except ChatFormatError as error:
            raise _Fault(str(error)) from None
    else:
        for key in ("prompt", "completion"):
            _refuse_special_tokens(record[key], encoder, key)
        ids, mask = encoder.encode_completion_example(record["prompt"], record["completion"])
    if len(ids) > encoder.context_length:
        raise _Fault(
            f"has {len(ids)} tokens, but this model's context is {encoder.context_length} tokens. "
            "Shorten or split it."
        )
    if not any(mask):
        raise _Fault("leaves nothing to learn: this model's template drops the assistant's text.")
    return TrainingExample(ids, mask)


def _refuse_special_tokens(text: str, encoder: Encoder, where: str) -> None:
    for token in encoder.special_tokens:
        if token in text:
            raise _Fault(f"{where} contains an invalid token: {token}.", "invalid_file_format")


def _file_error(fault: _Fault, number: int, role: Role) -> TrainingFileError:
    kind = "a file format error in the" if fault.code == "invalid_file_format" else "an invalid"
    text = str(fault)
    joint = ", " if text.startswith(("message", "key", "prompt", "completion")) else " "
    if text.startswith("Unexpected"):
        joint = ". "
    return TrainingFileError(
        fault.code,
        f"The job failed due to {kind} {role} file. "
        f"Invalid file format. Example {number}{joint}{text}",
        f"{role}_file",
    )


def _kind(value: Any) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", str: "a string"}
    names |= {list: "a list", dict: "a dictionary", type(None): "null"}
    return names[type(value)]


def _show(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True)
    return text if len(text) <= 60 else text[:57] + "..."


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8"
    return error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"
