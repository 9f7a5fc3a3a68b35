"""Step 07: a judge for superhero descriptions.

The judge reads a text and what was asked for, and answers yes or no, with every reason. Its rules
are strict and plain: it would rather refuse a charming text than pass a wrong one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from course.powers import Catalogue, catalogue
from course.wording import WORD, ages, decades, gendered, sentences, words

GENDERS = ("man", "woman")
WORDS_LOW, WORDS_HIGH = 40, 130

_PLAIN = re.compile(r"[^\W_]|[ \n.,;:!?'’‘\"“”()–—-]")
_DOUBLED = re.compile(r"\b([^\W\d_]+) \1\b", re.IGNORECASE)
_MAY_DOUBLE = frozenset({"had", "that", "very", "so", "really"})
_REFUSAL = re.compile(
    r"\bI(?:'m|’m|'d|’d|'ll|’ll|'ve|’ve)?\b|\b[Ll]anguage model\b|\bhappy to help\b|^Sorry\b"
)
# A sentence may open with these in capitals without naming anybody.
_OPENERS = frozenset(
    "a after all an and as at because before but by dear every everybody everyone few for from he "
    "hello her here his i if imagine in introducing it its let look many meet most my no nobody "
    "not now of on once one our say she so some somebody someone somewhere sorry sure that the "
    "their there these they this those though today visit we welcome what when where while who "
    "with yes you your deep short bright tall small big superhero superheroes well".split()
)

_AFTER_NAME = ("is", "was", "has", "works", "turned", "lives")


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
    for part in sentences(text)[:2]:
        found = WORD.findall(part)
        if not found:
            continue
        # "Amina, …" or "Amina is …" at the very start.
        first, after = found[0], part[len(found[0]) :]
        named = after.startswith(",") or found[1:2] in ([verb] for verb in _AFTER_NAME)
        if named and first[0].isupper() and first.casefold() not in _OPENERS:
            return first
        for word in found[1:]:
            if word[0].isupper() and word.casefold() not in _OPENERS:
                return word
    return None


def _form(text: str, parts: Sequence[str]) -> Iterable[str]:
    """What is wrong with a text as a text, whatever it is about."""
    if not (text[0].isalpha() and text[0].isupper()):
        yield f"does not begin with a capital letter but with {text[0]!r}"
    if not text.endswith("."):
        yield f"does not end with a full stop but with {text[-12:]!r}"
    odd = _PLAIN.sub("", text)
    if odd:
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
    said_twice = [part for part, n in Counter(map(str.casefold, parts)).items() if n > 1]
    if said_twice:
        yield f"repeats a sentence: {said_twice[0][:40]!r}"
    stutter = [word for word in _DOUBLED.findall(text) if word.casefold() not in _MAY_DOUBLE]
    if stutter:
        yield f"repeats a word: {stutter[0]!r}"
    refusal = _REFUSAL.search(re.sub(r"[\"“][^\"”]*[\"”]", "", text))
    if refusal:
        yield f"answers like a chat ({refusal.group()!r}) instead of describing a hero"
    if hero_name(text) is None:
        yield "introduces nobody by name"


def _gender(text: str, gender: str) -> Iterable[str]:
    told = list(gendered(text))
    wrong = sorted({word for said, word in told if said != gender})
    if wrong:
        yield f"says {', '.join(map(repr, wrong))} of a {gender}"
    if not any(said == gender for said, _ in told):
        yield f"never tells that the hero is a {gender}"


def _age(text: str, age: int) -> Iterable[str]:
    stated = ages(text)
    decade = decades(text)
    wrong = sorted({said for said in stated if said != age})
    if wrong:
        yield f"states {', '.join(map(str, wrong))} instead of {age}"
    if any(said != age // 10 * 10 for said in decade):
        yield f"puts the hero into the wrong decade of life for {age}"
    if age not in stated:
        yield f"never states the age {age}"


def _power(parts: Sequence[str], text: str, power: str, known: Catalogue) -> Iterable[str]:
    if not known.mentions(text, power):
        yield f"never names the power {power!r}"
    for part in parts:
        other = known.claimed_instead(part, power)
        if other:
            yield f"gives the hero the power {other!r} instead of {power!r}"
            continue
        match = known.stranger(part, power)
        if match:
            yield f"has a sentence that belongs to {match.power!r}: {part[:60]!r}"


def judge(
    text: str, age: int | str, gender: str, power: str, known: Catalogue | None = None
) -> Verdict:
    """Whether a text is a whole description of this hero and nobody else, with every reason.

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
    reasons = [f"form: {reason}" for reason in _form(text, parts)]
    reasons += [f"gender: {reason}" for reason in _gender(text, gender)]
    reasons += [f"age: {reason}" for reason in _age(text, years)]
    reasons += [f"power: {reason}" for reason in _power(parts, text, power, known or catalogue())]
    return Verdict(not reasons, tuple(reasons))


Wanted = Sequence[Mapping[str, object]] | Sequence[tuple[int, str, str]] | pd.DataFrame


def score(texts: Iterable[str], wanted: Wanted) -> pd.DataFrame:
    """Judge many texts: one row each with age, gender, power, text, ok, reasons.

    `wanted` holds one (age, gender, power) per text: a DataFrame with these columns, dicts or
    tuples. Raises ValueError when the lengths differ.
    """
    columns = ["age", "gender", "power"]
    if isinstance(wanted, pd.DataFrame):
        frame = wanted
    elif all(isinstance(hero, Mapping) for hero in wanted):
        frame = pd.DataFrame(wanted, columns=columns)
    else:
        frame = pd.DataFrame([tuple(hero) for hero in wanted], columns=columns)
    frame = frame[columns].reset_index(drop=True)
    texts = list(texts)
    if len(texts) != len(frame):
        raise ValueError(f"{len(texts)} texts, but {len(frame)} heroes wanted: give one each.")
    rows = frame.itertuples(index=False, name=None)
    verdicts = [judge(text, *row) for text, row in zip(texts, rows, strict=True)]
    return frame.assign(
        text=texts,
        ok=pd.Series([v.ok for v in verdicts], dtype=bool),
        reasons=["; ".join(v.reasons) for v in verdicts],
    )


@dataclass(frozen=True)
class Rate:
    """A share of passed texts (0 to 1) with the interval it lies in, 95 times out of 100."""

    rate: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.rate:.0%} of {self.n} (95 % interval {self.low:.0%} to {self.high:.0%})"


def pass_rate(passed: pd.DataFrame | Iterable[bool], *, samples: int = 2000, seed: int = 0) -> Rate:
    """The share of passed texts with a bootstrap interval: draw the same number of texts from
    the ones we have, with putting back, many times, and see how the share varies.

    If all or none passed, every draw is the same and the bootstrap would claim certainty; then
    the outer end is the rate that would still give this result once in forty tries.
    Takes `score`'s table or booleans; raises ValueError when there is nothing to count.
    """
    column = passed["ok"] if isinstance(passed, pd.DataFrame) else list(passed)
    values = np.asarray(column, dtype=bool)
    n = len(values)
    if n == 0:
        raise ValueError("There are no verdicts to count.")
    rate = float(values.mean())
    edge = 1 - 0.025 ** (1 / n)
    if rate == 1.0:
        return Rate(rate, 1 - edge, 1.0, n)
    if rate == 0.0:
        return Rate(rate, 0.0, edge, n)
    # The sum of n draws with putting back is binomial: no need to draw each one.
    draws = np.random.default_rng(seed).binomial(n, rate, samples) / n
    low, high = np.quantile(draws, [0.025, 0.975])
    return Rate(rate, float(low), float(high), n)


def reason_counts(frame: pd.DataFrame) -> pd.Series:
    """How many texts of `score`'s table were refused for each kind: form, gender, age, power."""
    kinds: Counter[str] = Counter()
    for reasons in frame["reasons"]:
        found = re.findall(r"(?:^|; )(form|gender|age|power): ", reasons)
        kinds.update(set(found))
    order = ["form", "gender", "age", "power"]
    return pd.Series([kinds[kind] for kind in order], index=order, name="refused")
