"""The powers the course knows, and which power a sentence belongs to.

`data/powers.json` lists, for every power, its names and the sentences that belong to it.
The judge in `course.judge` asks here whether a sentence speaks of another power.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from course.wording import LISTS
from helpers.data import DATA

_COMMON = frozenset(LISTS["common"])
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_CLAIM = "power of|gift for|gift of|talent for|power is|master of|people need|they need"
_SHARED = ""  # the owner of sentences that fit every power


class Match(NamedTuple):
    """The sentence of the catalogue that a given sentence resembles most, and its power."""

    power: str
    sentence: str


def _fold(text: str) -> str:
    """Lower case, curly quotes straightened, hyphens as spaces: the form names are compared in."""
    return " ".join(text.replace("’", "'").replace("-", " ").casefold().split())


def content_words(text: str) -> frozenset[str]:
    """The words of a sentence that carry its meaning (placeholders like {name} left out)."""
    words = _WORD.findall(_fold(_PLACEHOLDER.sub(" ", text)))
    return frozenset(word.removesuffix("'s") for word in words) - _COMMON


class Catalogue:
    """All powers, and which words occur in which of their sentences."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.powers: dict[str, dict[str, Any]] = content["powers"]
        self.shared: list[str] = content["shared"]
        self._names = {
            name: [*dict.fromkeys(map(_fold, (name, power["phrase"], *power.get("aliases", ()))))]
            for name, power in self.powers.items()
        }
        self._by_name = {folded: name for name, names in self._names.items() for folded in names}
        names = "|".join(sorted(map(re.escape, self._by_name), key=len, reverse=True))
        self._claim = re.compile(rf"\b(?:{_CLAIM}) ({names})\b")

        owned = [(name, text) for name, power in self.powers.items() for text in power["sentences"]]
        owned += [(_SHARED, text) for text in self.shared]
        self._owners = np.array([owner for owner, _ in owned])
        self._sentences = [text for _, text in owned]
        bags = [content_words(text) for text in self._sentences]
        self._row = {word: row for row, word in enumerate(sorted(frozenset().union(*bags)))}
        self._occurs = np.array([[word in bag for bag in bags] for word in self._row])
        # A word of few sentences tells more than a word of many.
        self._weights = np.log(1 + len(owned) / self._occurs.sum(axis=1))
        self._totals = self._weights @ self._occurs

    def find(self, name: str) -> str | None:
        """The course's name for this name, phrase or alias, in any case; None if it has none."""
        return self._by_name.get(_fold(name))

    def _names_of(self, power: str) -> list[str]:
        """The folded names to look for; a power of the learner's own has only the given one."""
        known = self.find(power)
        return self._names[known] if known else [_fold(power)]

    def mentions(self, text: str, power: str) -> bool:
        """Whether the text names the power, in any case, with hyphens or spaces."""
        folded = _fold(text)
        return any(re.search(rf"\b{re.escape(name)}\b", folded) for name in self._names_of(power))

    def claimed_instead(self, sentence: str, power: str) -> str | None:
        """The other power a sentence gives the hero ("has the power of flight"), else None."""
        own = self._names_of(power)
        claimed = (name for name in self._claim.findall(_fold(sentence)) if name not in own)
        return next((self._by_name[name] for name in claimed), None)

    def stranger(self, sentence: str, power: str) -> Match | None:
        """The match if the sentence belongs to another power than the given one, else None.

        It does when another power's sentence is at least half like it and clearly nearer than
        any of its own, or when it is patched together from another power's words. Likeness is
        twice the weight of the common words over the weight of both sentences (Dice coefficient).
        """
        words = content_words(sentence)
        rows = [self._row[word] for word in words if word in self._row]
        if not rows:
            return None
        weights, occurs = self._weights[rows], self._occurs[rows]  # [words], [words, sentences]
        # Unknown words (a name, a new verb) count 1 each: they make a match less certain.
        total = weights.sum() + len(words) - len(rows)
        likeness = 2 * (weights @ occurs) / (total + self._totals)

        own = {_SHARED, self.find(power) or _SHARED}
        home = np.isin(self._owners, list(own))
        best = int(np.where(home, -1.0, likeness).argmax())
        if likeness[best] < likeness[home].max(initial=0.0) + 0.1 or home[best]:
            return None
        match = Match(str(self._owners[best]), self._sentences[best])
        if likeness[best] >= 0.5:
            return match

        def coverage(owner: str) -> float:
            """How much of the sentence's weight the words of a power cover, from 0 to 1."""
            covered = occurs[:, self._owners == owner].any(axis=1)
            return float(weights[covered].sum() / total)

        patched = coverage(match.power) >= 0.75 and max(map(coverage, own)) <= 0.4
        return match if patched else None


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    """The course's own powers (read once)."""
    return Catalogue(json.loads((DATA / "powers.json").read_text(encoding="utf-8")))


def power_names(in_data_set: bool | None = None) -> list[str]:
    """The names of the course's powers; with True or False only those (not) in the data set."""
    powers = catalogue().powers.items()
    return [name for name, power in powers if in_data_set in (None, power["in_data_set"])]
