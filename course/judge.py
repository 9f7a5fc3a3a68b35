"""A judge for superhero descriptions.

The judge reads a text and what was asked for, and answers yes or no, with every reason. Its rules
are strict and plain: it would rather refuse a charming text than pass a wrong one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from course.powers import catalogue
from course.wording import LISTS, ages, decades, gendered, sentences, words

GENDERS = ("man", "woman")
KINDS = ("form", "gender", "age", "power")
WORDS_LOW, WORDS_HIGH = 40, 130
YEARS = range(1000, 3000)  # "in 2015" says nothing about an age
Wanted = Sequence[Mapping[str, object]] | Sequence[tuple[int, str, str]] | pd.DataFrame

_PLAIN = re.compile(r"[^\W_]|[ \n.,;:!?'’‘\"“”()–—-]")
_DOUBLED = re.compile(r"\b([^\W\d_]+) \1\b", re.IGNORECASE)
_REFUSAL = re.compile(
    r"\bI(?:'m|’m|'d|’d|'ll|’ll|'ve|’ve)?\b|\b[Ll]anguage model\b|\bhappy to help\b|^Sorry\b"
)


@dataclass(frozen=True)
class Verdict:
    """The judge's answer. `reasons` is empty when `ok`; each starts with its kind and a colon:
    form, gender, age or power."""

    ok: bool
    reasons: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        return "passed" if self.ok else "refused. " + "; ".join(self.reasons)


def hero_name(text: str) -> str | None:
    """The name by which the first two sentences introduce somebody; None if they name nobody."""

    def may_be_name(word: str) -> bool:
        return word[0].isupper() and word.casefold() not in LISTS["openers"]

    for part in sentences(text)[:2]:
        first, *others = words(part) or [""]
        # "Amina, …" or "Amina is …" at the very start.
        named = part.startswith(f"{first},") or (others and others[0] in LISTS["after_name"])
        candidates = [first, *others] if named and first else others
        if name := next(filter(may_be_name, candidates), None):
            return name
    return None


def _form(text: str, parts: Sequence[str]) -> Iterable[str]:
    """What is wrong with a text as a text, whatever it is about."""
    if not (text[0].isalpha() and text[0].isupper()):
        yield f"does not begin with a capital letter but with {text[0]!r}"
    if not text.endswith("."):
        yield f"does not end with a full stop but with {text[-12:]!r}"
    if odd := _PLAIN.sub("", text):
        yield f"holds characters that are not plain text: {odd[:12]!r}"
    if re.search(r"  |\s[.,;:!?]|[,;:]{2}|\.[.,]|\(\)", text):
        yield "has broken spacing or punctuation"
    count = len(words(text))
    if not WORDS_LOW <= count <= WORDS_HIGH:
        yield f"has {count} words instead of {WORDS_LOW} to {WORDS_HIGH}"
    for part in parts:
        first = part.lstrip("\"“'‘(")[:1]
        if not (first.isupper() or first.isdigit()):
            yield f"has a sentence without a capital: {part[:40]!r}"
        if len(words(part)) < 2:
            yield f"has a sentence of less than two words: {part[:40]!r}"
    if said_twice := [part for part, n in Counter(map(str.casefold, parts)).items() if n > 1]:
        yield f"repeats a sentence: {said_twice[0][:40]!r}"
    stutter = [word for word in _DOUBLED.findall(text) if word.casefold() not in LISTS["doubled"]]
    if stutter:
        yield f"repeats a word: {stutter[0]!r}"
    if refusal := _REFUSAL.search(re.sub(r"[\"“][^\"”]*[\"”]", "", text)):
        yield f"answers like a chat ({refusal.group()!r}) instead of describing a hero"
    if hero_name(text) is None:
        yield "introduces nobody by name"


def _gender(text: str, gender: str) -> Iterable[str]:
    told = list(gendered(text))
    if wrong := sorted({word for said, word in told if said != gender}):
        yield f"says {', '.join(map(repr, wrong))} of a {gender}"
    if not any(said == gender for said, _ in told):
        yield f"never tells that the hero is a {gender}"


def _age(text: str, age: int) -> Iterable[str]:
    stated = ages(text)
    if wrong := sorted({said for said in stated if said != age}):
        yield f"states {', '.join(map(str, wrong))} instead of {age}"
    if any(decade != age // 10 * 10 for decade in decades(text)):
        yield f"puts the hero into the wrong decade of life for {age}"
    if age not in stated:
        yield f"never states the age {age}"


def _power(text: str, parts: Sequence[str], power: str) -> Iterable[str]:
    known = catalogue()
    if not known.mentions(text, power):
        yield f"never names the power {power!r}"
    for part in parts:
        if other := known.claimed_instead(part, power):
            yield f"gives the hero the power {other!r} instead of {power!r}"
        elif match := known.stranger(part, power):
            yield f"has a sentence that belongs to {match.power!r}: {part[:60]!r}"


def judge(text: str, age: int | str, gender: str, power: str) -> Verdict:
    """Whether a text is a whole description of this hero and no other, with every reason.

    `gender` is "man" or "woman", `power` a power of the course or any other. Raises ValueError
    for another gender or an age that is no number.
    """
    if gender not in GENDERS:
        raise ValueError(f"gender is {gender!r}; the judge knows {' and '.join(GENDERS)}.")
    try:
        years = int(age)
    except (TypeError, ValueError):
        raise ValueError(f"age is {age!r}; give a whole number of years, such as 40.") from None
    if not isinstance(text, str) or not text.strip():
        return Verdict(False, ("form: the text is empty",))
    text = text.removeprefix(" ")  # completion models answer with the space that begins a word
    parts = sentences(text)
    found = zip(
        KINDS,
        (_form(text, parts), _gender(text, gender), _age(text, years), _power(text, parts, power)),
        strict=True,
    )
    reasons = tuple(f"{kind}: {reason}" for kind, told in found for reason in told)
    return Verdict(not reasons, reasons)


def fair(text: str, age: int, gender: str, power: str, *, finished: bool = True) -> Verdict:
    """A judge for the texts of any model, with no list of sentences behind it.

    Age and gender have to be right, each content word of the power has to occur, and the text has
    to end by itself (`finished`) after 20 to 200 words, with no sentence three times. It lets
    nonsense pass, and a power that is named but not described.
    """
    stated = [said for said in ages(text) if said not in YEARS]
    reasons = [f"age: states {said} instead of {age}" for said in stated if said != age]
    if age not in stated:
        reasons.append(f"age: never states the age {age}")
    told = Counter(said for said, _ in gendered(text))
    if told[gender] <= told.total() / 2:
        reasons.append(f"gender: {told[gender]} of {told.total()} such words speak of a {gender}")
    lower = [word.casefold() for word in words(text)]
    for wanted in words(power.casefold()):
        stem = wanted[: max(3, len(wanted) - 3)]  # "juggl" of "juggling" is in "juggler", too
        if wanted not in LISTS["common"] and not any(word.startswith(stem) for word in lower):
            reasons.append(f"power: no word like {wanted!r}")
    if not finished:
        reasons.append("form: does not end by itself")
    if not 20 <= len(lower) <= 200:
        reasons.append(f"form: has {len(lower)} words instead of 20 to 200")
    if max(Counter(map(str.casefold, sentences(text))).values(), default=0) > 2:
        reasons.append("form: has a sentence three times")
    return Verdict(not reasons, tuple(dict.fromkeys(reasons)))


def score(texts: Iterable[str], wanted: Wanted) -> pd.DataFrame:
    """Judge many texts: one row each with age, gender, power, text, ok, reasons.

    `wanted` holds one (age, gender, power) per text: a DataFrame with these columns, dicts or
    tuples. Raises ValueError when the lengths differ.
    """
    frame = pd.DataFrame(wanted, columns=["age", "gender", "power"]).reset_index(drop=True)
    texts = list(texts)
    if len(texts) != len(frame):
        raise ValueError(f"{len(texts)} texts, but {len(frame)} heroes wanted: give one each.")
    rows = frame.itertuples(index=False, name=None)
    verdicts = [judge(text, *row) for text, row in zip(texts, rows, strict=True)]
    ok = pd.Series([verdict.ok for verdict in verdicts], dtype=bool)
    return frame.assign(text=texts, ok=ok, reasons=["; ".join(v.reasons) for v in verdicts])


def reason_counts(frame: pd.DataFrame) -> pd.Series:
    """How many texts of `score`'s table were refused for each kind: form, gender, age, power."""
    counts = {kind: frame["reasons"].str.contains(rf"(?:^|; ){kind}: ").sum() for kind in KINDS}
    return pd.Series(counts, name="refused")
