"""Small, readable rules about English text: its sentences, its ages, its pronouns.

Plain rules instead of a second model: a learner can read why a text was refused, and the same
text always gets the same answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_ABBREVIATIONS = frozenset({"mr", "mrs", "ms", "dr", "prof", "st", "jr", "sr"})
_END = re.compile(r"[.!?]+[\"”')]*(?=\s|$)")
WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")

_ONES = "one two three four five six seven eight nine".split()
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_ORDINALS = (
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth".split()
)

# Word -> number, for everything a person's age is written with: "nine", "forty-two", "fortieth".
NUMBERS: dict[str, int] = {word: value for value, word in enumerate(_ONES + _TEENS, start=1)}
NUMBERS |= {word: value for value, word in enumerate(_ORDINALS, start=1)}
NUMBERS |= {"hundred": 100, "hundredth": 100}
for _tens, _word in enumerate(_TENS, start=2):
    NUMBERS[_word] = NUMBERS[f"{_word[:-1]}ieth"] = 10 * _tens
    for _one in range(1, 10):
        NUMBERS[f"{_word}-{_ONES[_one - 1]}"] = 10 * _tens + _one
        NUMBERS[f"{_word}-{_ORDINALS[_one - 1]}"] = 10 * _tens + _one
_CARDINALS = sorted(
    (w for w in NUMBERS if not w.endswith(("th", "ieth", "first", "second", "third"))),
    key=len,
    reverse=True,
)
_NUMBER = rf"\d+|(?:one |a )?hundred|{'|'.join(_CARDINALS)}"
_ORDINAL = (
    rf"\d+(?:st|nd|rd|th)|{'|'.join(sorted(set(NUMBERS) - set(_CARDINALS), key=len, reverse=True))}"
)

# Where a number, however small, is an age.
_AGE = re.compile(
    rf"\b({_NUMBER})(?=[- ]years?[- ]old\b| years of age\b)"
    rf"|\b(?:aged|age|age of|turn(?:s|ed|ing)?)[ ]({_NUMBER})\b"
    rf"|\b({_ORDINAL})[ ]birthday\b"
)
# Elsewhere only numbers no story needs are read as ages: any digits, and words from thirteen up.
# Counted things ("twenty minutes", "forty years later") are not ages.
_COUNTED = (
    "seconds?|minutes?|hours?|days?|nights?|weeks?|months?|years?|times|miles|metres|meters|feet|"
    "kilometres|kilometers|floors|stories|people|percent"
)
_LOOSE = re.compile(
    rf"\b(\d+|{'|'.join(w for w in _CARDINALS if 12 < NUMBERS[w] < 100)})\b(?! (?:{_COUNTED})\b)"
)
_DECADE = re.compile(rf"\b({'|'.join(w[:-1] for w in _TENS)})ies\b")

_HE = frozenset("he him his himself".split())
_SHE = frozenset("she her hers herself".split())
_MALE = frozenset("man gentleman boy male guy lad superman".split())
_FEMALE = frozenset("woman lady girl female superwoman heroine superheroine".split())
# Family words are about the hero only as "is the uncle …"; "his aunt" is somebody else.
_KIN = re.compile(
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


def _value(number: str) -> int:
    digits = re.match(r"\d+", number)
    # A number of a thousand digits is no age; int() would refuse it.
    return (
        int(digits.group()[:9])
        if digits
        else NUMBERS[number.removeprefix("one ").removeprefix("a ")]
    )


def ages(text: str) -> list[int]:
    """Every age a text states, in order: "40-year-old", "At 40", "forty years old", "aged forty".

    Digits anywhere count, because a description has no other use for them.
    """
    lower = text.casefold().replace("–", "-")
    found = {m.start(m.lastindex or 0): m[m.lastindex or 0] for m in _AGE.finditer(lower)}
    taken = [(start, start + len(number)) for start, number in found.items()]
    for match in _LOOSE.finditer(lower):
        if not any(start <= match.start() < end for start, end in taken):
            found[match.start()] = match[1]
    return [_value(number) for _, number in sorted(found.items())]


def decades(text: str) -> list[int]:
    """The decades a text states: "in her forties" gives [40]."""
    return [NUMBERS[f"{stem}y"] for stem in _DECADE.findall(text.casefold())]


def gendered(text: str) -> Iterator[tuple[str, str]]:
    """Every word that tells the hero's gender, as (gender, word): ("woman", "her")."""
    for word in words(text.casefold().replace("’", "'")):
        stem = word.split("'")[0]
        parts = {stem, *stem.split("-")}
        if parts & (_HE | _MALE):
            yield "man", stem
        if parts & (_SHE | _FEMALE):
            yield "woman", stem
    for match in _KIN.finditer(text.casefold()):
        yield ("man", match[1]) if match[1] else ("woman", match[2])
