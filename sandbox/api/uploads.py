"""Receiving a multipart upload without holding it in memory."""

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import BinaryIO

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.types import Message

from sandbox.api.errors import BadRequest, TooLarge, UnknownParameter

PURPOSES = ("fine-tune", "assistants", "batch", "user_data", "vision", "evals")
FIELDS = ("purpose", "file", "expires_after[anchor]", "expires_after[seconds]")
SHORTEST_LIFE, LONGEST_LIFE = 3600, 2_592_000  # seconds: an hour, thirty days
FORM_OVERHEAD = 64 * 1024  # what the form may weigh beside the file


@dataclass(frozen=True)
class Upload:
    """A file that has arrived; ``content`` is in memory or on disk and is open."""

    filename: str
    purpose: str
    expires_at: int | None
    content: BinaryIO


@asynccontextmanager
async def receive_upload(request: Request, limit: int) -> AsyncIterator[Upload]:
    """Read an upload form and check its fields. Raises BadRequest or TooLarge."""
    too_large = TooLarge(
        f"The file is larger than {limit} bytes, the most that can be uploaded.", param="file"
    )
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > limit + FORM_OVERHEAD:
        raise too_large
    async with _limited(request, limit + FORM_OVERHEAD, too_large).form(
        max_files=1, max_fields=len(FIELDS)
    ) as form:
        texts = _texts(form)
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise BadRequest("Missing required parameter: 'file'.", param="file")
        if (file.size or 0) > limit:
            raise too_large
        yield Upload(_clean_name(file.filename), _purpose(texts), _expiry(texts), file.file)


def _limited(request: Request, limit: int, error: TooLarge) -> Request:
    """Return the request with a body that raises ``error`` once it exceeds ``limit`` bytes."""
    size = 0

    async def receive() -> Message:
        nonlocal size
        message = await request.receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise error
        return message

    return Request(request.scope, receive)


def _texts(form: FormData) -> dict[str, str]:
    """Return the fields beside the file. Raises BadRequest for one that should not be there."""
    texts: dict[str, str] = {}
    for name, value in form.multi_items():
        if name not in FIELDS:
            raise UnknownParameter(name)
        if len(form.getlist(name)) > 1:
            raise BadRequest(f"'{name}' is given more than once.", param=name)
        if isinstance(value, str):
            texts[name] = value
        elif name != "file":
            raise BadRequest(f"'{name}' must be text, not a file.", param=name)
    return texts


def _purpose(texts: dict[str, str]) -> str:
    purpose = texts.get("purpose")
    if purpose is None:
        raise BadRequest("Missing required parameter: 'purpose'.", param="purpose")
    if purpose not in PURPOSES:
        choices = list(PURPOSES)
        raise BadRequest(f"'{purpose}' is not one of {choices} - 'purpose'", param="purpose")
    return purpose


def _expiry(texts: dict[str, str]) -> int | None:
    anchor, seconds = (texts.get(f"expires_after[{name}]") for name in ("anchor", "seconds"))
    if anchor is None and seconds is None:
        return None
    if anchor != "created_at":
        raise BadRequest("'expires_after[anchor]' must be 'created_at'.", param="expires_after")
    life = int(seconds) if re.fullmatch(r"[0-9]{1,9}", seconds or "") else 0
    if not SHORTEST_LIFE <= life <= LONGEST_LIFE:
        raise BadRequest(
            f"'expires_after[seconds]' must be a whole number from {SHORTEST_LIFE} to "
            f"{LONGEST_LIFE}.",
            param="expires_after",
        )
    return int(time.time()) + life


def _clean_name(name: str | None) -> str:
    """Return the last part of a path of any system, printable, of a sensible length."""
    last = (name or "").replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(c for c in last if c.isprintable())[:255] or "upload"
