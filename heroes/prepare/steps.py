"""The suggestions in their order: each looks at the table as the accepted ones have left it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pandas as pd

from helpers.dialogue import texts_of
from helpers.jsonl import is_missing
from heroes.prepare import chat_rules, chats, columns, leftover, marks, rows, write
from heroes.prepare.suggestion import (
    InputError,
    Plan,
    Rule,
    Source,
    Suggestion,
    drop_rows,
    number,
    places,
    shown,
)

MAX_PASSES = 5  # a change can make room for another one, but not for ever
TEXTS = ("prompt", "completion")


class Declined(Exception):
    """A necessary suggestion was declined, so there is no valid file to write."""


def _styled(rule: Callable[..., Suggestion | None], column: str) -> Rule:
    mark = marks.separator_of if column == "prompt" else marks.stop_of
    return lambda frame, plan: rule(frame, column, mark(frame[column].tolist()))


FIRST: tuple[Rule, ...] = (
    rows.cut_off,
    rows.half_characters,
    rows.errors,
    rows.empty_completions,
    rows.empty_prompts,
)
# A completion model sees one text, so these look at its habits; a chat keeps its texts.
COMPLETION_RULES: tuple[Rule, ...] = (
    write.refused,
    *(_styled(rows.lower_case, column) for column in TEXTS),
    rows.duplicates,
    *(_styled(rows.prefix, column) for column in TEXTS),
    marks.separator,
    rows.leading_space,
    marks.stop,
)
CHAT_RULES: tuple[Rule, ...] = (write.refused, rows.duplicates, marks.chat_stop, marks.separator)


@dataclass
class Steps:
    """Offers suggestions to `decide`, applies the accepted ones, and remembers all."""

    plan: Plan
    decide: Callable[[Suggestion], bool]
    decisions: list[tuple[Suggestion, bool]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    groups: pd.Series | None = None

    def run(self, source: Source) -> pd.DataFrame:
        """From the table as read to the one to write: `messages`, or prompt and completion.

        Raises InputError if the table can't be used or nothing remains, and Declined.
        """
        frame, plan = source.frame, self.plan
        if source.guess:
            self._offer(_encoding(source))
        if plan.group_by:
            column = columns.named(frame, plan.group_by, "--group-by")
            self.groups = frame[column].astype(str)
        frame = self._chats(frame) if chats.is_chats(frame, plan) else self._pairs(frame)
        if not len(frame):
            raise InputError("No row is left. The reasons are above.")
        return frame

    def _pairs(self, frame: pd.DataFrame) -> pd.DataFrame:
        for name in self.plan.drop:
            columns.named(frame, name, "--drop")
        frame, renamed = columns.to_pairs(frame, self.plan)
        if renamed:
            self._offer(renamed)
        frame = self._one(rows.cut_off, frame)
        pieces = list(zip(frame["prompt"], frame["completion"], strict=True))
        for suggestion in leftover.unused(frame, self.plan, (*TEXTS, "system"), pieces):
            self._offer(suggestion)
            frame = suggestion.frame
        for rule in FIRST[1:]:
            frame = self._one(rule, frame)
        self._note_missing(frame)
        return self._style(frame)

    def _chats(self, frame: pd.DataFrame) -> pd.DataFrame:
        frame, notes = chats.read_chats(frame)
        self.notes += notes
        pieces = [tuple(texts_of({"messages": chat})) for chat in frame["messages"]]
        for suggestion in leftover.unused(frame, self.plan, chats.KEPT, pieces):
            self._offer(suggestion)
            frame = suggestion.frame
        for rule in (chat_rules.message_keys, rows.half_characters, write.refused, rows.duplicates):
            frame = self._one(rule, frame)
        if self.plan.format == "chat" or not len(frame):
            return frame
        longer = frame["messages"].map(chat_rules.is_longer)
        why = "A prompt/completion pair is one question and one answer."
        what = "with a longer conversation"
        frame = self._apply(drop_rows(frame, longer, "not_a_pair", "necessary", what, why), frame)
        return self._style(self._one(chat_rules.to_pairs, frame)) if len(frame) else frame

    def _style(self, frame: pd.DataFrame) -> pd.DataFrame:
        if self.plan.format == "chat":
            rules: tuple[Rule, ...] = CHAT_RULES
        else:
            rules = COMPLETION_RULES
        declined: set[Rule] = set()
        for _ in range(MAX_PASSES):
            before = frame
            for rule in (rule for rule in rules if rule not in declined):
                found = rule(frame, self.plan) if len(frame) else None
                if found is not None and not self._offer(found):
                    declined.add(rule)
                elif found is not None:
                    frame = found.frame
            if frame is before:
                break
        return frame

    def _one(self, rule: Rule, frame: pd.DataFrame) -> pd.DataFrame:
        return self._apply(rule(frame, self.plan) if len(frame) else None, frame)

    def _apply(self, suggestion: Suggestion | None, frame: pd.DataFrame) -> pd.DataFrame:
        return frame if suggestion is None or not self._offer(suggestion) else suggestion.frame

    def _offer(self, suggestion: Suggestion) -> bool:
        accepted = self.decide(suggestion)
        self.decisions.append((suggestion, accepted))
        if not accepted and suggestion.level != "recommended":
            raise Declined(f"{suggestion.title}. {suggestion.remedy}".strip())
        return accepted

    def _note_missing(self, frame: pd.DataFrame) -> None:
        """A warning for texts such as "nan", which may be a gap, or content (Namibia is NA)."""
        for column in TEXTS:
            texts = frame[column][frame[column].str.len() < 8]
            words = texts.str.strip().str.lower().isin(["na", "n/a", "none", "null", "nil", "nan"])
            found = texts[texts.str.strip().astype(bool) & (texts.map(is_missing) | words)]
            if len(found):
                words = ", ".join(sorted({shown(text) for text in found}))
                self.notes.append(
                    f"Warning: {number(len(found), column)} may be missing values written as text "
                    f"({words}), in {places(frame.index.name, found.index.tolist())}. They are "
                    "kept: delete these rows if they are gaps."
                )


def _encoding(source: Source) -> Suggestion:
    before, after = map(shown, source.guess or ("", ""))
    title = f"Read the file as {source.encoding}, and write UTF-8"
    why = "It is not UTF-8. If the accents below are wrong, say no, and name it with --encoding."
    return Suggestion("encoding", "necessary", title, why, [], before, after, source.frame)
