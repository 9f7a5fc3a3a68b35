"""The suggestions in their order: each looks at the table as the accepted ones have left it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from heroes.prepare import chat, columns, rows, texts
from heroes.prepare.errors import InputError
from heroes.prepare.reading import Source
from heroes.prepare.suggestion import Plan, Rule, Suggestion
from heroes.prepare.table import Table

MAX_PASSES = 10  # a change can make room for another one, but not for ever

PAIR_COLUMNS = ("prompt", "completion")
CHAT_RULES: tuple[Rule, ...] = (
    chat.extra_columns,
    chat.message_keys,
    chat.roles,
    chat.whitespace,
    chat.invalid,
    chat.duplicates,
    chat.too_long,
)
PAIR_RULES: tuple[Rule, ...] = (
    rows.cut_off,
    partial(columns.drop_columns, wanted=PAIR_COLUMNS),
    *(partial(columns.values_to_text, name) for name in PAIR_COLUMNS),
    rows.empty_completions,
    rows.empty_prompts,
    rows.special_tokens,
    *(partial(texts.whitespace, name) for name in PAIR_COLUMNS),
    *(partial(texts.lower_case, name) for name in PAIR_COLUMNS),
    rows.duplicates,
    rows.too_long,
    texts.chat_stop,
    *(partial(texts.prefix, name) for name in PAIR_COLUMNS),
    texts.separator,
    texts.leading_space,
    texts.stop,
)

Decide = Callable[[Suggestion], bool]


class Declined(Exception):
    """A necessary suggestion was declined, so there is no valid file to write."""


@dataclass
class Steps:
    """Offers suggestions to `decide`, applies the accepted ones, and remembers all."""

    plan: Plan
    decide: Decide
    decisions: list[tuple[Suggestion, bool]] = field(default_factory=list)

    def run(self, source: Source) -> Table:
        """From the table as read to the one to write: columns `messages`, or a pair of texts.

        Raises InputError if the table can't be used or nothing remains, and Declined.
        """
        if source.guess:
            self._offer(_encoding(source))
        table = columns.keep_group(source.table, self.plan)
        if columns.shape_of(table, self.plan) == "chat":
            table = self._chats(chat.read_cells(table))
        else:
            table = columns.fill_gaps(self._one(columns.rename, table))
        if "messages" not in table.columns:
            table = self._until_done(PAIR_RULES, table)
        if not len(table):
            problem = "No row is left."
            raise InputError(table.name, problem, "Look at the reasons above, and mend the file.")
        return table

    def _chats(self, table: Table) -> Table:
        table = self._until_done(CHAT_RULES, table)
        if self.plan.format == "chat" or not len(table):
            return table
        table = self._one(chat.not_a_pair, table)
        return self._one(chat.to_pairs, table) if len(table) else table

    def _until_done(self, rules: Sequence[Rule], table: Table) -> Table:
        """All rules in turn, again and again, until none has anything to say."""
        declined: set[int] = set()
        for _ in range(MAX_PASSES):
            before = table
            for index, rule in enumerate(rules):
                suggestion = (
                    rule(table, self.plan) if len(table) and index not in declined else None
                )
                if suggestion is None:
                    continue
                if self._offer(suggestion):
                    table = suggestion.result
                else:
                    declined.add(index)
            if table is before:
                break
        return table

    def _one(self, rule: Rule, table: Table) -> Table:
        suggestion = rule(table, self.plan)
        return table if suggestion is None or not self._offer(suggestion) else suggestion.result

    def _offer(self, suggestion: Suggestion) -> bool:
        accepted = self.decide(suggestion)
        self.decisions.append((suggestion, accepted))
        if not accepted and suggestion.level == "necessary":
            raise Declined(suggestion.title)
        return accepted


def _encoding(source: Source) -> Suggestion:
    guess = source.guess
    assert guess is not None
    return Suggestion(
        "encoding",
        "necessary",
        f"Read the file as {guess.encoding} (Windows, Western Europe), and write UTF-8",
        "It is not UTF-8. Look at the letters with accents: if they are wrong, say no, and name "
        "the right encoding with --encoding.",
        guess.n_lines,
        guess.lines,
        "line",
        guess.before.strip(),
        guess.after.strip(),
        source.table,
    )
