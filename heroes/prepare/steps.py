"""The suggestions in their order: each looks at the table as the accepted ones have left it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pandas as pd

from helpers.dialogue import texts_of
from heroes.prepare import chat_rules, chats, columns, kind, leftover, marks, names, rows, write
from heroes.prepare.suggestion import InputError, Plan, Rule, Source, Suggestion, shown

MAX_PASSES = 5  # a change can make room for another one, but not for ever

GAPS: tuple[Rule, ...] = (
    *(rows.half_characters, rows.errors, rows.total),
    *(rows.empty_completions, rows.empty_prompts),
)
# A completion model sees one text, so these look at its habits; a chat keeps its texts.
COMPLETION_RULES: tuple[Rule, ...] = (
    write.refused,
    *(partial(marks.lower_case, column=column) for column in ("prompt", "completion")),
    rows.duplicates,
    *(partial(marks.prefix, column=column) for column in ("prompt", "completion")),
    *(marks.separator, marks.leading_space, marks.stop),
)
CHAT_RULES: tuple[Rule, ...] = (write.refused, rows.duplicates, marks.chat_stop, marks.separator)


class Declined(Exception):
    """A necessary suggestion was declined, so there is no valid file to write."""


@dataclass
class Steps:
    """Offers suggestions to `decide`, applies the accepted ones, and remembers all."""

    plan: Plan
    decide: Callable[[Suggestion], bool]
    decisions: list[tuple[Suggestion, bool]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    groups: pd.Series | None = None
    declined: set[Rule] = field(default_factory=set)

    def run(self, source: Source) -> pd.DataFrame:
        """From the table as read to the one to write: `messages`, or prompt and completion.

        Raises InputError if the table can't be used or nothing remains, and Declined.
        """
        frame, plan = source.frame, self.plan
        if source.guess:
            self._offer(_encoding(source))
        if plan.group_by:
            self.groups = frame[names.named(frame, plan.group_by, "--group-by")].astype(str)
        frame = self._chats(frame) if kind.is_chats(frame, plan) else self._pairs(frame)
        if not len(frame):
            raise InputError("No row is left. The reasons are above.")
        return frame

    def _pairs(self, frame: pd.DataFrame) -> pd.DataFrame:
        for name in self.plan.drop:
            names.named(frame, name, "--drop")
        frame, renamed = columns.to_pairs(frame, self.plan)
        if renamed:
            self._offer(renamed)
        frame = self._apply(frame, rows.cut_off)
        pieces = list(zip(frame["prompt"], frame["completion"], strict=True))
        frame = self._without_others(frame, ("prompt", "completion", "system"), pieces)
        frame = self._apply(frame, *GAPS)
        self.notes += rows.missing_values(frame)
        return self._style(frame)

    def _chats(self, frame: pd.DataFrame) -> pd.DataFrame:
        frame, notes = chats.read_chats(frame)
        self.notes += notes
        pieces = [tuple(texts_of({"messages": chat})) for chat in frame["messages"]]
        frame = self._without_others(frame, chats.KEPT, pieces)
        rules = (chat_rules.message_keys, rows.half_characters, write.refused, rows.duplicates)
        frame = self._apply(frame, *rules)
        if self.plan.format == "chat":
            return frame
        return self._style(self._apply(frame, chat_rules.longer, chat_rules.to_pairs))

    def _without_others(
        self, frame: pd.DataFrame, wanted: tuple[str, ...], pieces: list[tuple[str, ...]]
    ) -> pd.DataFrame:
        for suggestion in leftover.unused(frame, self.plan, wanted, pieces):
            self._offer(suggestion)
            frame = suggestion.frame
        return frame

    def _style(self, frame: pd.DataFrame) -> pd.DataFrame:
        rules = CHAT_RULES if self.plan.format == "chat" else COMPLETION_RULES
        for _ in range(MAX_PASSES):
            before = frame
            frame = self._apply(frame, *rules)
            if frame is before:
                break
        return frame

    def _apply(self, frame: pd.DataFrame, *rules: Rule) -> pd.DataFrame:
        """The frame after these rules. What was declined once is not offered again."""
        for rule in rules:
            found = rule(frame, self.plan) if len(frame) and rule not in self.declined else None
            if found and self._offer(found):
                frame = found.frame
            elif found:
                self.declined.add(rule)
        return frame

    def _offer(self, suggestion: Suggestion) -> bool:
        accepted = self.decide(suggestion)
        self.decisions.append((suggestion, accepted))
        if not accepted and suggestion.level != "recommended":
            raise Declined(f"{suggestion.title}. {suggestion.remedy}".strip())
        return accepted


def _encoding(source: Source) -> Suggestion:
    before, after = map(shown, source.guess or ("", ""))
    title = f"Read the file as {source.encoding}, and write UTF-8"
    why = "It is not UTF-8. If the accents below are wrong, say no, and name it with --encoding."
    return Suggestion("encoding", "necessary", title, why, [], before, after, source.frame)
