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
from sandbox.engine.text.shape import Fault, Format, check_shape

MIN_EXAMPLES = 10
MAX_LINE_BYTES = 8 * 1024 * 1024
FORMAT_ERROR = "a file format error in the"

Role = Literal["training", "validation"]


@dataclass(frozen=True)
class TrainingExample:
    """One example: token ids, and 1 in ``mask`` where the model learns to say the token."""

    ids: list[int]
    mask: list[int]


class TrainingFileError(ValueError):
    """A file that cannot be used: ``code``, ``message`` and ``param`` as the hosted API gives."""

    def __init__(self, code: str, message: str, role: Role) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = f"{role}_file"


def validate_training_file(path: Path, folder: Path, role: Role = "training") -> None:
    """Check a whole file against the model in ``folder``.

    Raises TrainingFileError at the first fault, naming the example, the field and the remedy.
    """
    count = sum(1 for _ in read_examples(path, Encoder(folder), role))
    least = MIN_EXAMPLES if role == "training" else 1
    if count < least:
        raise TrainingFileError(
            "invalid_n_examples",
            f"{role.capitalize()} file has {count} example(s), "
            f"but must have at least {least} example{'s' if least > 1 else ''}",
            role,
        )


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
                form, record = check_shape(_parse(line, first=number == 1))
                first_format = first_format or form
                if form != first_format:
                    raise Fault(
                        f" is in the {form} format, but the examples before it are in the "
                        f"{first_format} format. A file must keep to one format."
                    )
                yield form, _encode(form, record, encoder)
            except Fault as fault:
                wrong = "an invalid" if fault.code == "invalid_training_file" else FORMAT_ERROR
                text = (
                    f"The job failed due to {wrong} {role} file. "
                    f"Invalid file format. Example {number}{fault}"
                )
                raise TrainingFileError(fault.code, text, role) from None


def _parse(line: bytes, first: bool) -> Any:
    if len(line) > MAX_LINE_BYTES:
        raise Fault(f" is longer than {MAX_LINE_BYTES // 1024 // 1024} MiB.")
    try:
        # Decoded here, since json would take UTF-16 as well.
        return json.loads((line.removeprefix(b"\xef\xbb\xbf") if first else line).decode("utf-8"))
    except UnicodeDecodeError as error:
        why = f"byte {error.start} is not UTF-8"
    except json.JSONDecodeError as error:
        why = error.msg
    except RecursionError:
        why = "nested too deeply"
    except ValueError:
        why = "a number has too many digits"
    raise Fault(f" is not valid JSON in UTF-8 ({why}).")


def _encode(form: Format, record: dict[str, Any], encoder: Encoder) -> TrainingExample:
    if form == "chat":
        for i, message in enumerate(record["messages"], 1):
            _refuse_special_tokens(message["content"], encoder, f"message {i}")
        try:
            ids, mask = encoder.encode_chat_example(record["messages"])
        except ChatFormatError as error:
            raise Fault(f" {error}") from None
    else:
        for key in ("prompt", "completion"):
            _refuse_special_tokens(record[key], encoder, key)
        ids, mask = encoder.encode_completion_example(record["prompt"], record["completion"])
    if len(ids) > encoder.context_length:
        raise Fault(
            f" has {len(ids)} tokens, but this model's context is {encoder.context_length} tokens. "
            "Shorten or split it."
        )
    if not any(mask):
        raise Fault(" leaves nothing to learn: this model's template drops the assistant's text.")
    return TrainingExample(ids, mask)


def _refuse_special_tokens(text: str, encoder: Encoder, where: str) -> None:
    for token in encoder.special_tokens:
        if token in text:
            raise Fault(f", {where} contains an invalid token: {token}.", "invalid_file_format")
