"""Identifiers in the shapes that the hosted API uses."""

import re
import secrets
import string
from functools import partial

ALPHABET = string.ascii_letters + string.digits
# The names of what the store keeps in its folders; a sweep touches no others.
FILE = re.compile(r"file-[A-Za-z0-9]{24}|[A-Za-z0-9]{24}\.part")
JOB = re.compile(r"ftjob-[A-Za-z0-9]{24}")
MODEL_FOLDER = re.compile(r"ftjob-[A-Za-z0-9]{24}-[0-9]+(\.part|\.old)?")


def random_text(length: int) -> str:
    """Return ``length`` random letters and digits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def _new(prefix: str, length: int) -> str:
    return prefix + random_text(length)


key_id = partial(_new, "key-", 16)
file_id = partial(_new, "file-", 24)
job_id = partial(_new, "ftjob-", 24)
event_id = partial(_new, "ftevent-", 24)
checkpoint_id = partial(_new, "ftckpt_", 24)
batch_id = partial(_new, "batch_", 24)
batch_request_id = partial(_new, "batch_req_", 24)
chat_completion_id = partial(_new, "chatcmpl-", 29)
completion_id = partial(_new, "cmpl-", 29)


def response_id() -> str:
    return "resp_" + secrets.token_hex(24)


def message_id() -> str:
    return "msg_" + secrets.token_hex(24)


def request_id() -> str:
    """Return a new id of a request, in hexadecimal digits."""
    return "req_" + secrets.token_hex(16)


def tuned_model_name(base: str, project: str, suffix: str | None) -> str:
    """Return a new name ``ft:<base>:<project>:<suffix>:<8 characters>``."""
    return f"ft:{base}:{project}:{clean_suffix(suffix)}:{random_text(8)}"


def checkpoint_model_name(base: str, project: str, suffix: str | None, step: int) -> str:
    """Return a new name for the model saved at ``step``, ``ft:…:ckpt-step-<step>``."""
    return f"{tuned_model_name(base, project, suffix)}:ckpt-step-{step}"


def clean_suffix(suffix: str | None) -> str:
    """Return the suffix as it is written in a model name: lower case, other characters as "-"."""
    return re.sub(r"[^a-z0-9-]", "-", (suffix or "").lower())
