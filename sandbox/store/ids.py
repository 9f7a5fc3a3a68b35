"""Identifiers in the shapes that the hosted API uses."""

import re
import secrets
import string

ALPHABET = string.ascii_letters + string.digits
# The names of what the store keeps in its folders; a sweep touches no others.
FILE = re.compile(r"file-[A-Za-z0-9]{24}|[A-Za-z0-9]{24}\.part")
JOB = re.compile(r"ftjob-[A-Za-z0-9]{24}")
MODEL_FOLDER = re.compile(r"ftjob-[A-Za-z0-9]{24}-[0-9]+(\.part|\.old)?")


def random_text(length: int) -> str:
    """Return ``length`` random letters and digits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def key_id() -> str:
    return "key-" + random_text(16)


def file_id() -> str:
    return "file-" + random_text(24)


def job_id() -> str:
    return "ftjob-" + random_text(24)


def event_id() -> str:
    return "ftevent-" + random_text(24)


def checkpoint_id() -> str:
    return "ftckpt_" + random_text(24)


def batch_id() -> str:
    return "batch_" + random_text(24)


def batch_request_id() -> str:
    return "batch_req_" + random_text(24)


def chat_completion_id() -> str:
    return "chatcmpl-" + random_text(29)


def completion_id() -> str:
    return "cmpl-" + random_text(29)


def request_id() -> str:
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
