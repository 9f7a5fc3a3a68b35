"""What the old `prepare_data` tool looked at: habits that help or hurt prompt/completion files.

A completion model sees one text. It must be able to tell where the prompt ends (a separator) and
where the answer ends (a stop sequence), the same way in every example.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import takewhile

from helpers.jsonl.report import Report
from helpers.jsonl.rules import shorten

SEPARATORS = (" ->", "\n\n###\n\n", "\n\n===\n\n", "\n\n---\n\n", "\n\n===>\n\n", "\n\n### =>\n\n")
STOPS = (" END", "\n", "***", "+++", "&&&", "$$$", "@@@", "%%%", " [END]")
SAMPLE = 1000  # examples kept for the looks that need them again
MANY = 100_000  # different answers, more than which no classification has


def _common_start(first: str, second: str) -> str:
    pairs = zip(first, second, strict=False)
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return first[:same]


def _common_end(first: str, second: str) -> str:
    return _common_start(first[::-1], second[::-1])[::-1]


@dataclass
class Texts:
    """What the texts of one column (prompts or completions) have in common, line after line."""

    start: str = ""
    end: str = ""
    count: int = 0
    filled: int = 0
    same: bool = True
    end_inside: int = 0
    sample: list[str] = field(default_factory=list)

    def add(self, text: str) -> None:
        self.count += 1
        if self.count == 1:
            self.start = self.end = text
        self.filled += text != ""
        if self.same and text != (self.sample[0] if self.sample else text):
            self.same = False
        if not text.startswith(self.start):
            self.start = _common_start(self.start, text)
        if not text.endswith(self.end):
            self.end = _common_end(self.end, text)
            # A shorter ending may occur inside the texts seen so far: count them again.
            self.end_inside = sum(self._inside(seen) for seen in self.sample)
        self.end_inside += self._inside(text)
        if len(self.sample) < SAMPLE:
            self.sample.append(text)

    def _inside(self, text: str) -> bool:
        return bool(self.end) and text.find(self.end) < len(text) - len(self.end)

    @property
    def loud(self) -> bool:
        """Whether the sample is mostly in capitals, not counting the common ending."""
        letters = "".join(text.removesuffix(self.end) for text in self.sample[:200])
        upper = sum(map(str.isupper, letters))
        return upper * 2 > sum(map(str.islower, letters))

    def unused(self, candidates: tuple[str, ...]) -> str:
        """The first candidate that occurs in no text of the sample."""
        fits = (c for c in candidates if not any(c in text for text in self.sample))
        return next(fits, candidates[-1])


@dataclass
class Style:
    """Collects prompt/completion pairs; `report_to` writes what it noticed."""

    prompts: Texts = field(default_factory=Texts)
    completions: Texts = field(default_factory=Texts)
    answers: set[int] = field(default_factory=set)
    unspaced: int = 0
    first_unspaced: int = 0

    def add(self, prompt: str, completion: str, line: int) -> None:
        self.prompts.add(prompt)
        self.completions.add(completion)
        if completion[:1] not in (" ", "\n"):
            self.unspaced += 1
            self.first_unspaced = self.first_unspaced or line
        if len(self.answers) <= MANY:
            self.answers.add(hash(completion))

    def report_to(self, report: Report) -> None:
        """Add the warnings about the whole file."""
        if self.prompts.count == 0:
            return
        if self.unspaced:
            message = (
                f"{self.unspaced:,} of {self.prompts.count:,} completions begin without a space."
            )
            report.add("no_leading_space", message, self.first_unspaced, "completion")
        for texts, name in ((self.prompts, "prompt"), (self.completions, "completion")):
            if texts.loud:
                report.add("upper_case", f"Most letters of the {name}s are capitals.", field=name)
        if self.prompts.count > 1:
            if self.prompts.filled:
                self._prompts(report)
            self._completions(report)

    def _prompts(self, report: Report) -> None:
        texts = self.prompts
        if texts.same:
            report.add("prompts_equal", "All prompts are the same.", field="prompt")
            return
        if len(texts.start) > 12:
            message = f"All prompts begin with {shorten(texts.start)}."
            report.add("prompt_prefix", message, field="prompt")
        # "…ing" may end all prompts by chance: only signs make a separator.
        separator = re.search(r"\W*$", texts.end)
        sign = separator.group() if separator else ""
        if not sign.strip():
            advice = texts.unused(SEPARATORS)
            message = f"The prompts have no common ending that marks their end, such as {advice!r}."
            report.add("no_separator", message, field="prompt")
            return
        if len(sign) > 10:
            report.add("separator_long", f"The separator {sign!r} is long.", field="prompt")
        inside = texts.end_inside
        if sign != texts.end:
            inside = sum(text.find(sign) < len(text) - len(sign) for text in texts.sample)
        if inside:
            message = f"The separator {sign!r} also occurs inside {inside:,} prompts."
            report.add("separator_inside", message, field="prompt")

    def _completions(self, report: Report) -> None:
        texts = self.completions
        if texts.same:
            report.add("completions_equal", "All completions are the same.", field="completion")
            return
        if len(texts.start.lstrip()) >= 5:
            message = f"All completions begin with {shorten(texts.start)}."
            report.add("completion_prefix", message, field="completion")
        classes = len(self.answers) <= MANY and len(self.answers) < texts.count / 3
        open_ended = self.prompts.filled == 0
        if classes or open_ended:
            return  # one word, or text without end: nothing to stop
        if not texts.end:
            advice = texts.unused(STOPS)
            message = f"The completions have no common ending to stop at, such as {advice!r}."
            report.add("no_stop", message, field="completion")
        elif texts.end_inside:
            message = (
                f"Completions end with {shorten(texts.end)}, but {texts.end_inside:,} of them "
            )
            report.add("stop_inside", message + "also hold it earlier.", field="completion")
