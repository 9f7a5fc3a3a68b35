"""Small, readable rules about English text: its sentences, its ages, its pronouns.

Plain rules instead of a second model: a learner can read why a text was refused, and the same
text always gets the same answer.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

_TEXTS = tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))
LISTS: dict[str, list[str]] = {name: words.split() for name, words in _TEXTS.items()}
_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_END = re.compile(r"[.!?]+[\"”')]*(?=\s|$)")
_TENS = dict(zip(LISTS["tens"], range(20, 100, 10), strict=True))


def _numbers(small: list[str], ending: str, hundred: str) -> dict[str, int]:
    """Word -> number from 1 to 100: "nine", "forty-two", "forty" or "ninth", "fortieth"."""
    numbers = dict(zip(small, range(1, 20), strict=True)) | {hundred: 100}
    for stem, ten in _TENS.items():
        numbers |= {f"{stem}y-{one}": ten + n for n, one in enumerate(small[:9], start=1)}
        numbers[stem + ending] = ten
    return numbers


def _any(words: Iterable[str]) -> str:
    return "|".join(sorted(words, key=len, reverse=True))  # "forty-two" before "forty"


_CARDINALS = _numbers(LISTS["cardinals"], "y", "hundred")
_ORDINALS = _numbers(LISTS["ordinals"], "ieth", "hundredth")
# Where a number, however small, is an age.
_NUMBER = rf"\d+|(?:one |a )?hundred|{_any(_CARDINALS)}"
_AGE = re.compile(
    rf"\b({_NUMBER})(?=[- ]years?[- ]old\b| years of age\b)"
    rf"|\b(?:aged|age|age of|turn(?:s|ed|ing)?)[ ]({_NUMBER})\b"
    rf"|\b(\d+(?:st|nd|rd|th)|{_any(_ORDINALS)})[ ]birthday\b"
)
# Elsewhere only numbers no story needs are read as ages: any digits, and words from thirteen up.
_LARGE = _any(word for word, number in _CARDINALS.items() if 12 < number < 100)
_LOOSE = re.compile(rf"\b(\d+|{_LARGE})\b(?! (?:{_any(LISTS['counted'])})\b)")
_DECADE = re.compile(rf"\b({_any(_TENS)})ies\b")
_FAMILY = re.compile(
    r"\b(?:is|was|as|being) (?:a|an|the)(?: [\w-]+)? "
    rf"(?:({_any(LISTS['family_man'])})|({_any(LISTS['family_woman'])}))\b"
)


def sentences(text: str) -> list[str]:
    """Cut a text into sentences; the rest after the last full stop counts as one too."""
    parts, start = [], 0
    for end in _END.finditer(text):
        before = text[start : end.start()].rsplit(maxsplit=1)
        last = before[-1].lstrip("\"“'(").casefold() if before else ""
        initial = len(last) == 1 and last.isalpha()
        if end.group() == "." and (initial or last in LISTS["abbreviations"]):
            continue  # "Dr. Okafor" and "J. R." go on
        parts.append(text[start : end.end()].strip())
        start = end.end()
    rest = text[start:].strip()
    return [*parts, rest] if rest else parts


def words(text: str) -> list[str]:
    """The words of a text; "40-year-old" and "don't" are one word each."""
    return _WORD.findall(text)


def ages(text: str) -> list[int]:
    """Every age a text states, in order: "40-year-old", "At 40", "forty years old", "aged forty".

    Digits anywhere count, because a description has no other use for them.
    """
    lower = text.casefold().replace("–", "-")
    certain = {m.span(m.lastindex): m[m.lastindex] for m in _AGE.finditer(lower)}
    loose = {
        m.span(): m[1]
        for m in _LOOSE.finditer(lower)
        if not any(start <= m.start() < end for start, end in certain)
    }
    return [_value(number) for _, number in sorted((certain | loose).items())]


def _value(number: str) -> int:
    digits = re.match(r"\d{1,9}", number)  # a number of a thousand digits is no age
    word = number.removeprefix("one ").removeprefix("a ")
    return int(digits.group()) if digits else (_CARDINALS | _ORDINALS)[word]


def decades(text: str) -> list[int]:
    """The decades a text states: "in her forties" gives [40]."""
    return [_TENS[stem] for stem in _DECADE.findall(text.casefold())]


def gendered(text: str) -> Iterator[tuple[str, str]]:
    """Every word that tells the hero's gender, as (gender, word): ("woman", "her")."""
    for word in words(text.casefold().replace("’", "'")):
        stem = word.split("'")[0]
        parts = {stem, *stem.split("-")}
        for gender in ("man", "woman"):
            if not parts.isdisjoint(LISTS[gender]):
                yield gender, stem
    for match in _FAMILY.finditer(text.casefold()):
        yield ("man", match[1]) if match[1] else ("woman", match[2])
