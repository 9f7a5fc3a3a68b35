"""What many texts have in common at their ends: separators and stop sequences."""

from __future__ import annotations

import os.path
import re
from collections.abc import Iterator, Sequence
from itertools import chain

from helpers.pairs import SEPARATORS, STOPS

__all__ = ["SEPARATORS", "STOPS", "choose_mark", "common_end", "common_start", "count_inside"]

SOME = 100  # texts

PUNCTUATION = " .,;:!?…'\"’”»)"

_SIGN = re.compile(r"\W*\Z")
_STOP = re.compile(r"(?:\s*\[?\bEND\b\]?|\W+)\Z")


def common_start(texts: Sequence[str]) -> str:
    """The characters with which all texts begin."""
    return os.path.commonprefix(list(texts))


def common_end(texts: Sequence[str]) -> str:
    """The characters with which all texts end."""
    # A few texts nearly always tell; the others need only be looked at that far from their end.
    end = common_start([text[::-1] for text in texts[:SOME]])[::-1]
    if len(texts) <= SOME or not end or all(text.endswith(end) for text in texts):
        return end
    return common_start([text[-len(end) :][::-1] for text in texts])[::-1]


def all_same(texts: Sequence[str]) -> bool:
    """Whether there is only one text, however often. True for none."""
    return all(text == texts[0] for text in texts)


def separator_of(prompts: Sequence[str]) -> str:
    """The sign with which all prompts end, or "". "…ing" at all ends is chance, and no sign."""
    if all_same(prompts):
        return ""
    match = _SIGN.search(common_end(prompts))
    return match.group() if match and match.group().strip() else ""


def stop_of(completions: Sequence[str]) -> str:
    """The sign or END with which all completions end, or ""; a full stop is only punctuation."""
    if all_same(completions):
        return ""
    match = _STOP.search(common_end(completions))
    return match.group() if match and match.group().strip(PUNCTUATION) else ""


def known_mark(mark: str, known: Sequence[str]) -> str:
    """The usual mark at the end of a sign: " ->" if all prompts end with "? ->"."""
    return next((usual for usual in known if mark.endswith(usual)), mark)


def count_inside(texts: Sequence[str], mark: str) -> int:
    """How many texts hold the mark before their end."""
    return sum(0 <= text.find(mark) < len(text) - len(mark) for text in texts)


def choose_mark(texts: Sequence[str], candidates: Sequence[str]) -> str:
    """A mark that, put to the end of every text that lacks it, occurs nowhere else.

    One that most texts have already is preferred, else the first of the candidates that fits.
    """
    n_has = {mark: sum(text.endswith(mark) for text in texts) for mark in candidates}
    used = [mark for mark in candidates if n_has[mark] * 2 >= len(texts)]
    for mark in chain(used, candidates, _more()):
        if all(
            with_mark(text, mark).find(mark) == len(with_mark(text, mark)) - len(mark)
            for text in texts
        ):
            return mark
    raise AssertionError("there are endless marks, and finite texts")


def with_mark(text: str, mark: str) -> str:
    """The text with the mark at its end, once."""
    return text if text.endswith(mark) else text + mark


def _more() -> Iterator[str]:
    """Marks without end, each longer than the one before."""
    length = 2
    while True:
        yield f" {'=' * length}>"
        length += 1
