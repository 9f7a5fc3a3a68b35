"""The steps from a table as it was read to the one to write, each a suggestion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pandas as pd

from heroes.prepare import chat_rules, chats, columns, leftover, marks, rules
from heroes.prepare.read import Source
from heroes.prepare.suggestion import InputError, Plan, Rule, Suggestion, shown, suggest

MAX_PASSES = 5  # a change can make room for another one, but not for ever

# All rules in their order, by the kind that texts.toml explains. Each looks at the table as the
# accepted suggestions before it have left it.
ROWS: dict[str, Rule] = {
    "half": rules.half,
    "error_cell": rules.error_cell,
    "total": rules.total,
    "empty_completion": rules.empty_completion,
    "empty_prompt": rules.empty_prompt,
}
CHATS: dict[str, Rule] = {
    "keys": chat_rules.keys,
    "key_texts": chat_rules.key_texts,
    "half": rules.half,
    "refused": rules.refused,
    "duplicate": rules.duplicate,
}
CHATS_TO_PAIRS: dict[str, Rule] = {"longer": chat_rules.longer, "to_pairs": chat_rules.to_pairs}
# A chat keeps its texts; a completion model sees one text, so the habits of texts matter.
STYLE: dict[str, dict[str, Rule]] = {
    "chat": {
        "refused": rules.refused,
        "duplicate": rules.duplicate,
        "chat_stop": marks.chat_stop,
        "note_separator": marks.note_separator,
    },
    "completions": {
        "refused": rules.refused,
        "prompt_case": partial(marks.lower_case, column="prompt"),
        "completion_case": partial(marks.lower_case, column="completion"),
        "duplicate": rules.duplicate,
        "prompt_prefix": partial(marks.prefix, column="prompt"),
        "completion_prefix": partial(marks.prefix, column="completion"),
        "separator": marks.separator,
        "leading_space": marks.leading_space,
        "stop": marks.stop,
    },
}


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
    declined: set[str] = field(default_factory=set)

    def run(self, source: Source) -> pd.DataFrame:
        """From the table as read to the one to write: `messages`, or prompt and completion.

        Raises InputError if the table can't be used or nothing remains, and Declined.
        """
        frame, plan = source.frame, self.plan
        if source.guess:
            before, after = map(shown, source.guess)
            self._offer(suggest("encoding", frame, frame, before, after, encoding=source.encoding))
        if plan.group_by:
            self.groups = frame[columns.named(frame, plan.group_by, "--group-by")].astype(str)
        for name in plan.drop:
            columns.named(frame, name, "--drop")
        frame = self._chats(frame) if chats.is_chats(frame, plan) else self._pairs(frame)
        self.notes += rules.warnings(frame)
        if not len(frame):
            raise InputError("none_left")
        return frame

    def _pairs(self, frame: pd.DataFrame) -> pd.DataFrame:
        made, words = columns.to_pairs(frame, self.plan)
        if words:
            self._offer(suggest("rename", frame, made, **words))
        made = self._apply(made, {"cut_off": rules.cut_off})
        return self._style(self._apply(self._without_others(made), ROWS))

    def _chats(self, frame: pd.DataFrame) -> pd.DataFrame:
        frame, notes = chats.read_chats(frame)
        self.notes += notes
        frame = self._apply(self._without_others(frame), CHATS)
        if self.plan.format == "chat":
            return frame
        return self._style(self._apply(frame, CHATS_TO_PAIRS))

    def _without_others(self, frame: pd.DataFrame) -> pd.DataFrame:
        frame = self._apply(frame, {"records": leftover.records})
        for _ in leftover.others(frame):
            frame = self._apply(frame, {"column": leftover.column})
        return frame

    def _style(self, frame: pd.DataFrame) -> pd.DataFrame:
        for _ in range(MAX_PASSES):
            before, frame = frame, self._apply(frame, STYLE[self.plan.format])
            if frame is before:
                break
        return frame

    def _apply(self, frame: pd.DataFrame, rules: dict[str, Rule]) -> pd.DataFrame:
        """The frame after these rules. What was declined once is not offered again."""
        for kind, rule in rules.items():
            found = rule(frame, self.plan) if len(frame) and kind not in self.declined else None
            suggestion = suggest(kind, frame, found[0], **found[1]) if found else None
            if suggestion and self._offer(suggestion):
                frame = suggestion.frame
        return frame

    def _offer(self, suggestion: Suggestion) -> bool:
        accepted = self.decide(suggestion)
        self.decisions.append((suggestion, accepted))
        if not accepted and suggestion.level != "recommended":
            raise Declined(f"{suggestion.title}. {suggestion.remedy}".strip())
        if not accepted:
            self.declined.add(suggestion.kind)
        return accepted
