"""What a check found: the kinds of problems, and the report that lists them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from html import escape
from typing import Literal, NamedTuple

import pandas as pd

Severity = Literal["error", "warning"]
KEEP = 10  # of each kind, so that a file of a million bad lines still gives a short report


class Kind(NamedTuple):
    """How bad a kind of problem is, and what to do about it."""

    severity: Severity
    remedy: str


# Every problem the checker knows. An error makes a fine-tuning job fail; a warning makes the
# result worse, or fails on some endpoints only.
KINDS: dict[str, Kind] = {
    "extension": Kind("warning", "Name the file something.jsonl: hosted APIs take nothing else."),
    "empty_file": Kind("error", "Write at least 10 examples into it, one JSON object per line."),
    "bom": Kind("error", 'Save it as "UTF-8" without BOM.'),
    "encoding": Kind("error", "Save the file as UTF-8."),
    "carriage_return": Kind("warning", 'End lines with "\\n" (write_jsonl does).'),
    "blank_line": Kind("error", "Delete the blank line."),
    "blank_end": Kind("warning", "Delete the blank lines at the end."),
    "long_line": Kind("error", "Put every example on a line of its own."),
    "array_file": Kind("error", "Write one object per line, without the outer [ ] (write_jsonl)."),
    "pretty_printed": Kind("error", "Write every example on one line (write_jsonl does)."),
    "not_json": Kind("error", "Let write_jsonl write the file, or mend the line by hand."),
    "not_object": Kind("error", 'A line must be an object: {"messages": [...]}.'),
    "duplicate_key": Kind("error", "Keep one of the two."),
    "unknown_format": Kind("error", 'Use {"messages": [...]} or {"prompt": "", "completion": ""}.'),
    "preference_format": Kind("error", "Supervised jobs need chat or prompt/completion examples."),
    "mixed_formats": Kind("error", "Put chat and prompt/completion examples into two files."),
    "missing_key": Kind("error", "Add it, or mend its spelling."),
    "extra_key": Kind("error", "Delete it: unknown keys make the job fail."),
    "wrong_type": Kind("error", "Change the value to the type that is asked for."),
    "unknown_role": Kind("error", "Use system, user or assistant."),
    "no_assistant": Kind("error", "Add the answer the model shall learn, as assistant message."),
    "last_not_assistant": Kind("error", "End the example with the assistant's answer."),
    "nothing_to_learn": Kind("error", "Give at least one assistant message the weight 1."),
    "too_few": Kind("error", "A job needs at least 10 examples; 50 to 100 are a good start."),
    "few": Kind("warning", "It works from 10 on; 50 to 100 are a good start."),
    "empty_answer": Kind("error", "Write the answer, or delete the example."),
    "empty_content": Kind("error", "Fill it in, or leave the message out."),
    "special_token": Kind("error", "Write it in another way: markers are not text."),
    "no_user": Kind("warning", "Add the user message that shall lead to this answer."),
    "some_system": Kind("warning", "Give all examples the same system message, or none of them."),
    "unsupported": Kind("warning", "Part of OpenAI's format: leave it out for the sandbox."),
    "duplicate": Kind("warning", "Keep one of them (drop_duplicates)."),
    "duplicates_unchecked": Kind("warning", "Look for later duplicates with another tool."),
    "too_long": Kind("warning", "Shorten it: what does not fit is cut off, or the job fails."),
    "no_separator": Kind("warning", "Add one to every prompt (add_separator)."),
    "separator_inside": Kind("warning", "Choose an ending that occurs nowhere else."),
    "separator_long": Kind("warning", "Choose a short separator such as ' ->': it costs tokens."),
    "prompts_equal": Kind("warning", "Say in the prompts what differs, or leave them all empty."),
    "prompt_prefix": Kind("warning", "Leave it out: tuning teaches the task, words cost tokens."),
    "no_stop": Kind("warning", "Add one to every completion (add_stop) and use it as stop."),
    "stop_inside": Kind("warning", "Add an ending that occurs nowhere else (add_stop)."),
    "completions_equal": Kind("warning", "Examples must show different answers."),
    "completion_prefix": Kind("warning", "Move it to the end of the prompts."),
    "no_leading_space": Kind("warning", "Begin completions with a space (leading_space)."),
    "upper_case": Kind("warning", "Write in ordinary case: models know such text better."),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. `line` counts from 1; None and "" mean the whole file and the whole line."""

    line: int | None
    field: str
    kind: str
    message: str

    @property
    def severity(self) -> Severity:
        return KINDS[self.kind].severity

    @property
    def remedy(self) -> str:
        return KINDS[self.kind].remedy

    @property
    def where(self) -> str:
        """The place in words: "line 3, messages[1].role"."""
        line = "the file" if self.line is None else f"line {self.line}"
        return f"{line}, {self.field}" if self.field else line

    def __str__(self) -> str:
        return f"{self.severity}: {self.where}: {self.message} {self.remedy}"


@dataclass
class Report:
    """The result of `check_file`. `problems` keeps the first 10 of each kind, `counts` has all."""

    name: str
    format: Literal["chat", "completion", "preference", "mixed", "unknown"] = "unknown"
    n_lines: int = 0
    n_examples: int = 0
    problems: list[Problem] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, kind: str, message: str, line: int | None = None, field: str = "") -> None:
        """Note a problem; beyond the first ones of its kind only count it."""
        self.counts[kind] += 1
        if self.counts[kind] <= KEEP:
            self.problems.append(Problem(line, field, kind, message))

    @property
    def n_errors(self) -> int:
        return sum(n for kind, n in self.counts.items() if KINDS[kind].severity == "error")

    @property
    def n_warnings(self) -> int:
        return self.counts.total() - self.n_errors

    @property
    def ok(self) -> bool:
        """Whether a job would accept the file: no errors. Warnings are still worth a look."""
        return self.n_errors == 0

    def frame(self) -> pd.DataFrame:
        """The kept problems as a table, errors first, then by line."""
        rows = [(p.severity, p.line, p.field, p.kind, p.message, p.remedy) for p in self._sorted()]
        columns = ["severity", "line", "field", "kind", "message", "remedy"]
        return pd.DataFrame(rows, columns=columns).astype({"line": "Int64"})

    def _sorted(self) -> list[Problem]:
        return sorted(self.problems, key=lambda p: (p.severity, p.line or 0))

    def _more(self) -> list[str]:
        hidden = {kind: n - KEEP for kind, n in self.counts.items() if n > KEEP}
        return [f"and {n:,} more of the kind {kind}" for kind, n in hidden.items()]

    @property
    def summary(self) -> str:
        """One line: name, number of examples, format, numbers of problems."""
        found = [
            f"{n:,} {word}{'' if n == 1 else 's'}"
            for n, word in ((self.n_errors, "error"), (self.n_warnings, "warning"))
            if n
        ]
        examples = f"{self.n_examples:,} example{'' if self.n_examples == 1 else 's'}"
        return f"{self.name}: {examples}, {self.format} format, {', '.join(found) or 'no problems'}"

    def __str__(self) -> str:
        lines = [f"  {problem}" for problem in self._sorted()]
        return "\n".join([self.summary, *lines, *(f"  {more}" for more in self._more())])

    # Where there is no HTML, a cell that ends in a report shows the same words.
    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The report as Jupyter shows it. Everything from the file is escaped."""
        head = f"<p><strong>{escape(self.summary)}</strong></p>"
        if not self.problems:
            return head
        table = self.frame().drop(columns="kind").astype({"line": object})
        table["line"] = table["line"].where(table["line"].notna(), "")
        more = "".join(f"<p>{escape(text)}</p>" for text in self._more())
        return head + table.to_html(index=False, escape=True, border=0) + more
