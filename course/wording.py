"""Small, readable rules about English text: its sentences, its ages, its pronouns.

Plain rules instead of a second model: a learner can read why a text was refused, and the same
text always gets the same answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from helpers.statistics import WORD

_END = re.compile(r"[.!?]+[\"”')]*(?=\s|$)")
_ABBREVIATIONS = frozenset({"mr", "mrs", "ms", "dr", "prof", "st", "jr", "sr"})

_SMALL = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
).split()
_SMALL_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth"
).split()
_TEN_STEMS = "twent thirt fort fift sixt sevent eight ninet".split()
_TENS = dict(zip(_TEN_STEMS, range(20, 100, 10), strict=True))


def _numbers(small: list[str], ending: str, hundred: str) -> dict[str, int]:
    """Word -> number from 1 to 100: "nine", "forty-two", "forty" or "ninth", "fortieth"."""
    numbers = dict(zip(small, range(1, 20), strict=True)) | {hundred: 100}
    for stem, ten in _TENS.items():
        numbers |= {f"{stem}y-{one}": ten + n for n, one in enumerate(small[:9], start=1)}
        numbers[stem + ending] = ten
    return numbers


CARDINALS = _numbers(_SMALL, "y", "hundred")
ORDINALS = _numbers(_SMALL_ORDINALS, "ieth", "hundredth")


def _any(words: Iterable[str]) -> str:
    return "|".join(sorted(words, key=len, reverse=True))  # "forty-two" before "forty"


# Where a number, however small, is an age.
_NUMBER = rf"\d+|(?:one |a )?hundred|{_any(CARDINALS)}"
_AGE = re.compile(
    rf"\b({_NUMBER})(?=[- ]years?[- ]old\b| years of age\b)"
    rf"|\b(?:aged|age|age of|turn(?:s|ed|ing)?)[ ]({_NUMBER})\b"
    rf"|\b(\d+(?:st|nd|rd|th)|{_any(ORDINALS)})[ ]birthday\b"
)
# Elsewhere only numbers no story needs are read as ages: any digits, and words from thirteen up.
# Counted things ("twenty minutes", "forty years later") are not ages.
_COUNTED = (
    "seconds?|minutes?|hours?|days?|nights?|weeks?|months?|years?|times|miles|metres|meters|feet|"
    "kilometres|kilometers|floors|stories|people|percent"
)
_LARGE = _any(word for word, number in CARDINALS.items() if 12 < number < 100)
_LOOSE = re.compile(rf"\b(\d+|{_LARGE})\b(?! (?:{_COUNTED})\b)")
_DECADE = re.compile(rf"\b({'|'.join(_TENS)})ies\b")

_MALE = frozenset("he him his himself man gentleman boy male guy lad superman".split())
_FEMALE = frozenset(
    "she her hers herself woman lady girl female superwoman heroine superheroine".split()
)
# Family words are about the hero only as "is the uncle …"; "his aunt" is somebody else.
_FAMILY = re.compile(
    r"\b(?:is|was|as|being) (?:a|an|the)(?: [\w-]+)? "
    r"(?:(father|grandfather|uncle|brother|husband|son|grandson|widower|nephew)"
    r"|(mother|grandmother|aunt|sister|wife|daughter|granddaughter|widow|niece))\b"
)


def sentences(text: str) -> list[str]:
    """Cut a text into sentences; the rest after the last full stop counts as one too."""
    parts, start = [], 0
    for end in _END.finditer(text):
        before = text[start : end.start()].rsplit(maxsplit=1)
        last = before[-1].lstrip("\"“'(").casefold() if before else ""
        if end.group() == "." and (last in _ABBREVIATIONS or (len(last) == 1 and last.isalpha())):
            continue  # "Dr. Okafor" and "J. R." go on
        parts.append(text[start : end.end()].strip())
        start = end.end()
    rest = text[start:].strip()
    return [*parts, rest] if rest else parts


def words(text: str) -> list[str]:
    """The words of a text; "40-year-old" and "don't" are one word each."""
    return WORD.findall(text)


def ages(text: str) -> list[int]:
    """Every age a text states, in order: "40-year-old", "At 40", "forty years old", "aged forty".

    Digits anywhere count, because a description has no other use for them.
    """
    lower = text.casefold().replace("–", "-")
    certain = {
        match.span(match.lastindex): match[match.lastindex] for match in _AGE.finditer(lower)
    }
    loose = {
        match.span(): match[1]
        for match in _LOOSE.finditer(lower)
        if not any(start <= match.start() < end for start, end in certain)
    }
    return [_value(number) for _, number in sorted((certain | loose).items())]


def _value(number: str) -> int:
    digits = re.match(r"\d{1,9}", number)  # a number of a thousand digits is no age
    word = number.removeprefix("one ").removeprefix("a ")
    return int(digits.group()) if digits else (CARDINALS | ORDINALS)[word]


def decades(text: str) -> list[int]:
    """The decades a text states: "in her forties" gives [40]."""
    return [_TENS[stem] for stem in _DECADE.findall(text.casefold())]


def gendered(text: str) -> Iterator[tuple[str, str]]:
    """Every word that tells the hero's gender, as (gender, word): ("woman", "her")."""
    for word in words(text.casefold().replace("’", "'")):
        stem = word.split("'")[0]
        parts = {stem, *stem.split("-")}
        if parts & _MALE:
            yield "man", stem
        if parts & _FEMALE:
            yield "woman", stem
    for match in _FAMILY.finditer(text.casefold()):
        yield ("man", match[1]) if match[1] else ("woman", match[2])
