"""Reading a file of lines in blocks, and knowing a good line by its shape.

The fast part of `helpers.jsonl.check`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

import numpy as np

BLOCK = 1 << 18  # bytes read at a time
MAX_LINE = 1 << 23  # bytes of the longest line that is looked at
TEXT = rb'(\s*[^"\s][^"]*)'  # not empty, not blank, up to the next quote sign


@dataclass
class Shape:
    """A good line with holes for its texts, and how many lines came that differ only there.

    Without backslashes a text ends at the next quote sign, so a line that matches is as good as
    the first one was.
    """

    pattern: re.Pattern[bytes]
    chat: bool
    system: bool
    count: int = 0


def make_shape(line: bytes, texts: list[bytes], chat: bool, system: bool) -> Shape | None:
    """Make the shape of a good line; None if its texts don't stand where one expects them."""
    # Cut at its quote signs, a line alternates between JSON and strings. A message has a key,
    # its role, a key, its content: contents are every eighth part from the tenth, after their key.
    parts = line.split(b'"')
    first, step = (9, 8) if chat else (3, 4)
    places = range(first, len(parts), step)
    keys = [b"content"] * len(texts) if chat else [b"prompt", b"completion"]
    if b"\\" in line or [parts[at] for at in places] != texts:
        return None
    if [parts[at - 2] for at in places] != keys:
        return None
    pieces = [TEXT if at in places else re.escape(part) for at, part in enumerate(parts)]
    return Shape(re.compile(b'"'.join(pieces)), chat, system)


class Block(NamedTuple):
    """Some lines of a file.

    `plain`: valid UTF-8 with nothing that needs a closer look; `escapes`: backslashes occur;
    `cut`: the last line is too long.
    """

    lines: list[bytes]
    plain: bool
    escapes: bool
    cut: bool


def read_blocks(file: BinaryIO) -> Iterator[Block]:
    """The file's lines, some at a time; never more than one over-long line is in memory."""
    while block := file.read(BLOCK):
        cut = False
        if not block.endswith(b"\n"):
            tail = file.readline(MAX_LINE)
            block += tail
            if cut := len(tail) == MAX_LINE and not tail.endswith(b"\n"):
                while (tail := file.readline(MAX_LINE)) and not tail.endswith(b"\n"):
                    pass  # leave the rest of the endless line out
        lines = block.split(b"\n")
        plain = not cut and _is_plain(block, len(lines) - 1)
        if not lines[-1]:
            lines.pop()
        yield Block(lines, plain, b"\\" in block, cut)


def _is_plain(block: bytes, line_ends: int) -> bool:
    """Whether the block is valid UTF-8 with nothing in it that needs a closer look."""
    if np.count_nonzero(np.frombuffer(block, dtype=np.uint8) < 32) != line_ends:
        return False
    if b"|" in block and b"<|" in block:  # one character is found ten times as fast as two
        return False  # perhaps a special token
    if not block.isascii():
        try:
            block.decode("utf-8")
        except UnicodeDecodeError:
            return False
    return True
