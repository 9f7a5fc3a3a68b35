"""The powers the course knows, and which power a sentence belongs to.

`data/powers.json` lists, for every power, its names and the sentences that belong to it.
The judge in `course.judge` asks here whether a sentence speaks of another power.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

POWERS_FILE = Path(__file__).resolve().parent.parent / "data" / "powers.json"

# Words that every sentence may hold: they say nothing about which power is meant.
_STOP = frozenset(
    "a an and any are as at be because been before but by can could did do does doing done during "
    "each even every everyone far few for from full get gets got had has have he her hers herself "
    "him himself his how i if in into is it its itself just keep keeps like make makes many may "
    "more most much never no nobody nor not nothing now of off often on once one only onto or "
    "other others our out over own people she should so some someone soon still such than that "
    "the their them then there these they this those though three through to too two under until "
    "up upon us very was way were what when whenever where which while who whole whose why will "
    "with without would yet you your".split()
)
_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_SHARED = ""  # the owner of sentences that fit every power


def _fold(text: str) -> str:
    """Lower case, curly quotes straightened, hyphens as spaces: the form names are compared in."""
    return " ".join(text.replace("’", "'").replace("-", " ").casefold().split())


def content_words(text: str) -> frozenset[str]:
    """The words of a sentence that carry its meaning (placeholders like {name} left out)."""
    words = _WORD.findall(_fold(_PLACEHOLDER.sub(" ", text)))
    return frozenset(word.removesuffix("'s") for word in words) - _STOP


@dataclass(frozen=True)
class Power:
    """One power: the name a prompt uses, the phrase a description uses, its own sentences."""

    name: str
    phrase: str
    in_data_set: bool
    sentences: tuple[str, ...]
    aliases: tuple[str, ...] = ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Every name this power answers to, folded for comparison."""
        return tuple(dict.fromkeys(map(_fold, (self.name, self.phrase, *self.aliases))))


@dataclass(frozen=True)
class Match:
    """How close a sentence is to a power's nearest sentence: likeness from 0 to 1."""

    power: str
    likeness: float
    sentence: str


@dataclass(frozen=True)
class Catalogue:
    """All powers, and an index from words to sentences, so that a lookup takes microseconds."""

    powers: dict[str, Power]
    shared: tuple[str, ...] = ()
    _sentences: list[tuple[str, str, float]] = field(default_factory=list, repr=False)
    _index: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list), repr=False)
    _weights: dict[str, float] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        owned = [(p.name, s) for p in self.powers.values() for s in p.sentences]
        owned += [(_SHARED, s) for s in self.shared]
        bags = [content_words(sentence) for _, sentence in owned]
        for number, bag in enumerate(bags):
            for word in bag:
                self._index[word].append(number)
        for word, numbers in self._index.items():
            # A word of few sentences tells more than a word of many.
            self._weights[word] = math.log(1 + len(owned) / len(numbers))
        for (owner, sentence), bag in zip(owned, bags, strict=True):
            self._sentences.append((owner, sentence, sum(self._weights[word] for word in bag)))

    def find(self, name: str) -> Power | None:
        """The power of this name, phrase or alias, in any case; None if the course has none."""
        return self._by_name.get(_fold(name))

    @cached_property
    def _by_name(self) -> dict[str, Power]:
        return {name: power for power in self.powers.values() for name in power.names}

    def names_of(self, power: str) -> tuple[str, ...]:
        """The folded names to look for; a power of the learner's own has only the given one."""
        known = self.find(power)
        return known.names if known else (_fold(power),)

    def mentions(self, text: str, power: str) -> bool:
        """Whether the text names the power, in any case, with hyphens or spaces."""
        folded = _fold(text)
        return any(re.search(rf"\b{re.escape(name)}\b", folded) for name in self.names_of(power))

    @cached_property
    def _claim(self) -> re.Pattern[str]:
        names = sorted(self._by_name, key=len, reverse=True)
        lead = "power of|gift for|gift of|talent for|power is|master of|people need|they need"
        return re.compile(rf"\b(?:{lead}) ({'|'.join(map(re.escape, names)) or '(?!)'})\b")

    def claimed_instead(self, sentence: str, power: str) -> str | None:
        """The other power a sentence gives the hero ("has the power of flight"), else None."""
        own = self.names_of(power)
        for name in self._claim.findall(_fold(sentence)):
            if name not in own:
                return self._by_name[name].name
        return None

    def nearest(self, sentence: str) -> dict[str, Match]:
        """For every power that shares words with the sentence, its most alike sentence.

        The key "" stands for the sentences that fit every power. Likeness is twice the weight
        of the shared words over the weight of both sentences (the Dice coefficient).
        """
        words = content_words(sentence)
        shared_weight: dict[int, float] = defaultdict(float)
        for word in words:
            for number in self._index.get(word, ()):
                shared_weight[number] += self._weights[word]
        # Unknown words (a name, a new verb) count a little: they make a match less certain.
        total = sum(self._weights.get(word, 1.0) for word in words)
        best: dict[str, Match] = {}
        for number, weight in shared_weight.items():
            owner, template, template_total = self._sentences[number]
            likeness = 2 * weight / (total + template_total)
            if owner not in best or likeness > best[owner].likeness:
                best[owner] = Match(owner, likeness, template)
        return best

    def _coverage(self, sentence: str) -> dict[str, float]:
        """How much of a sentence's weight the words of each power cover, from 0 to 1."""
        covered: dict[str, float] = defaultdict(float)
        words = content_words(sentence)
        for word in words:
            for owner in {self._sentences[number][0] for number in self._index.get(word, ())}:
                covered[owner] += self._weights[word]
        total = sum(self._weights.get(word, 1.0) for word in words)
        return {owner: weight / total for owner, weight in covered.items()}

    def stranger(self, sentence: str, power: str) -> Match | None:
        """The match if the sentence belongs to another power than the given one, else None.

        It does when another power's sentence is at least half like it and clearly nearer than
        any of its own, or when it is patched together from another power's words.
        """
        known = self.find(power)
        home = {_SHARED, known.name if known else _SHARED}
        nearest = self.nearest(sentence)
        own = max((nearest[name].likeness for name in home if name in nearest), default=0.0)
        foreign = [match for name, match in nearest.items() if name not in home]
        best = max(foreign, key=lambda match: match.likeness, default=None)
        if best is None or best.likeness < own + 0.1:
            return None
        if best.likeness >= 0.5:
            return best
        covered = self._coverage(sentence)
        at_home = max(covered.get(name, 0.0) for name in home)
        patched = covered[best.power] >= 0.75 and at_home <= 0.4
        return best if patched else None


def _strings(value: Any, where: str, path: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise ValueError(f"{path}: {where} must be a list of non-empty strings.")
    return tuple(value)


def _power(name: str, entry: Any, path: Path) -> Power:
    where = f'powers["{name}"]'
    if not isinstance(entry, dict):
        raise ValueError(f"{path}: {where} must be an object with phrase and sentences.")
    if not isinstance(entry.get("phrase"), str) or not entry["phrase"]:
        raise ValueError(f"{path}: {where}.phrase must be a non-empty string.")
    if not isinstance(entry.get("in_data_set"), bool):
        raise ValueError(f"{path}: {where}.in_data_set must be true or false.")
    sentences = _strings(entry.get("sentences"), f"{where}.sentences", path)
    aliases = _strings(entry.get("aliases", []), f"{where}.aliases", path)
    return Power(name, entry["phrase"], entry["in_data_set"], sentences, aliases)


def read_catalogue(path: Path) -> Catalogue:
    """Read a powers file. FileNotFoundError or ValueError say what is wrong and where."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path} is missing. It belongs to the course: restore it with `git checkout`."
        ) from None
    except ValueError as error:
        raise ValueError(f"{path} is not a JSON file in UTF-8: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("powers"), dict):
        raise ValueError(f'{path}: expected an object with the keys "powers" and "shared".')
    powers = {name: _power(name, entry, path) for name, entry in content["powers"].items()}
    return Catalogue(powers, _strings(content.get("shared", []), "shared", path))


@lru_cache(maxsize=1)
def catalogue() -> Catalogue:
    """The course's own powers (read once)."""
    return read_catalogue(POWERS_FILE)


def power_names(in_data_set: bool | None = None) -> list[str]:
    """The names of the course's powers; with True or False only those (not) in the data set."""
    powers: Iterable[Power] = catalogue().powers.values()
    return [p.name for p in powers if in_data_set is None or p.in_data_set is in_data_set]
