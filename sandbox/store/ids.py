"""Identifiers in the shapes that the hosted API uses."""

import re
import secrets
import string
from functools import partial

ALPHABET = string.ascii_letters + string.digits


def random_text(length: int) -> str:
    """Return ``length`` random letters and digits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _letters(prefix: str, length: int) -> str:
    return prefix + random_text(length)


def _hexadecimal(prefix: str, n_bytes: int) -> str:
    return prefix + secrets.token_hex(n_bytes)


key_id = partial(_letters, "key-", 16)
file_id = partial(_letters, "file-", 24)
job_id = partial(_letters, "ftjob-", 24)
event_id = partial(_letters, "ftevent-", 24)
checkpoint_id = partial(_letters, "ftckpt_", 24)
batch_id = partial(_letters, "batch_", 24)
batch_request_id = partial(_letters, "batch_req_", 24)
chat_completion_id = partial(_letters, "chatcmpl-", 29)
completion_id = partial(_letters, "cmpl-", 29)
response_id = partial(_hexadecimal, "resp_", 24)
message_id = partial(_hexadecimal, "msg_", 24)
request_id = partial(_hexadecimal, "req_", 16)


def tuned_model_name(base: str, project: str, suffix: str | None) -> str:
    """Return a new name ``ft:<base>:<project>:<suffix>:<8 characters>``.

    The suffix is written in lower case, with "-" for what is no letter, digit or hyphen.
    """
    clean = re.sub(r"[^a-z0-9-]", "-", (suffix or "").lower())
    return f"ft:{base}:{project}:{clean}:{random_text(8)}"


def checkpoint_model_name(base: str, project: str, suffix: str | None, step: int) -> str:
    """Return a new name for the model saved at ``step``, ``ft:…:ckpt-step-<step>``."""
    return f"{tuned_model_name(base, project, suffix)}:ckpt-step-{step}"
