"""`check_file`: read a training file once, line by line, and report every problem.

A file of a million lines takes as little memory as one of ten. Good lines are the rule, so they
take a short way: a line's texts are cut out, and if what remains (its shape) was checked in full
before, only the texts are left to look at.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import jiter

from helpers.jsonl.explain import explain
from helpers.jsonl.report import Report
from helpers.jsonl.rules import check_example, format_of, texts_of
from helpers.jsonl.scan import MAX_LINE, Block, Shape, make_shape, read_blocks
from helpers.jsonl.start import check_start
from helpers.jsonl.style import Style

MAX_SHAPES = 8
MAX_SEEN = 200_000  # examples remembered to find duplicates
LONG_TEXT = 10_000  # characters
CHARS_PER_TOKEN = 4
MESSAGE_TOKENS = 4  # what the chat format adds to each message


TokenCounter = Callable[[str], int]


class _Checker:
    def __init__(
        self, report: Report, max_tokens: int | None, count: TokenCounter | None, training: bool
    ) -> None:
        self.training = training
        self.report = report
        self.max_tokens = max_tokens
        self.count_tokens = count
        self.shapes: list[Shape] = []
        self.seen: dict[int, int] = {}
        self.style = Style()
        self.n_chat = self.n_system = 0
        self.first_line: dict[str, int] = {}
        self.blanks = range(0)  # the last run of blank lines
        self.returns = False
        # A text of so many bytes can't be too long, however it is measured.
        if max_tokens is None:
            self.safe_bytes = LONG_TEXT
        else:
            self.safe_bytes = 0 if count else max_tokens * CHARS_PER_TOKEN

    def read(self, file: BinaryIO) -> None:
        """Check all lines, then what concerns the file as a whole."""
        number = 0
        for block in read_blocks(file):
            if number == 0 and not check_start(self.report, block.lines):
                self.report.n_lines = len(block.lines)
                return
            cut = number + len(block.lines) if block.cut else 0
            for line_number, line in self._unknown_lines(block, number):
                if line_number == cut:
                    self.report.add("long_line", f"Longer than {MAX_LINE:,} bytes.", line_number)
                else:
                    self._any_line(line, line_number)
            number += len(block.lines)
        self.report.n_lines = number
        for shape in self.shapes:
            self.report.n_examples += shape.count
            self.n_chat += shape.count * shape.chat
            self.n_system += shape.count * shape.system
        self._finish()

    def _unknown_lines(self, block: Block, before: int) -> Iterator[tuple[int, bytes]]:
        """The short way: count the lines that are certainly right, hand out all others.

        Written for speed, with local names and few calls: nearly every line goes through here.
        `before` is the number of the line before the block.
        """
        if not block.plain:
            yield from enumerate(block.lines, before + 1)
            return
        seen, safe_bytes, escapes = self.seen, self.safe_bytes, block.escapes
        for number, line in enumerate(block.lines, before + 1):
            if len(line) > safe_bytes or (escapes and b"\\" in line):
                yield number, line
                continue
            for shape in self.shapes:
                if match := shape.pattern.fullmatch(line):
                    break
            else:
                yield number, line
                continue
            shape.count += 1
            texts = match.groups()
            key = hash(texts)
            if key in seen or len(seen) >= MAX_SEEN:
                self._remember(key, number)
            else:
                seen[key] = number
            if not shape.chat:
                self.style.add(texts[0].decode(), texts[1].decode(), number)

    def _any_line(self, line: bytes, number: int) -> None:
        """The long way: parse, check every rule, report."""
        if line.endswith(b"\r") and not self.returns:
            self.returns = True
            self.report.add("carriage_return", 'Lines end with "\\r\\n".', number)
        if not line.strip():
            self._blank_line(number)
            return
        try:
            example = jiter.from_json(
                line, catch_duplicate_keys=True, allow_inf_nan=False, cache_mode="keys"
            )
        except ValueError as error:
            kind, where, message = explain(line, error)
            self.report.add(kind, message, number, where)
            return
        if isinstance(example, dict):
            self._example(example, line, number)
        else:
            begin = line[:20].decode("utf-8", "replace")
            self.report.add("not_object", f"Not an object; the line begins with {begin!r}.", number)

    def _blank_line(self, number: int) -> None:
        """Blank lines are an error, unless nothing follows: so wait for what follows."""
        if number == self.blanks.stop and self.blanks:
            self.blanks = range(self.blanks.start, number + 1)
        else:
            self._report_blanks()
            self.blanks = range(number, number + 1)

    def _report_blanks(self) -> None:
        for number in self.blanks:
            self.report.add("blank_line", "The line is empty.", number)

    def _example(self, example: dict[str, Any], line: bytes, number: int) -> None:
        self.report.n_examples += 1
        found = list(check_example(example))
        for kind, where, message in found:
            self.report.add(kind, message, number, where)
        form = format_of(example)
        self.first_line.setdefault(form, number)
        texts = texts_of(example)
        self._length(texts, number)
        if any(kind != "unsupported" for kind, _, _ in found):
            return
        encoded = [text.encode() for text in texts]
        self._remember(hash(tuple(encoded)), number)
        if form == "chat":
            system = any(message.get("role") == "system" for message in example["messages"])
            self.n_chat += 1
            self.n_system += system
        else:
            system = False
            self.style.add(example["prompt"], example["completion"], number)
        if not found and len(self.shapes) < MAX_SHAPES:
            shape = make_shape(line, encoded, form == "chat", system)
            self.shapes += [shape] if shape else []

    def _remember(self, key: int, number: int) -> None:
        earlier = self.seen.get(key)
        if earlier is not None:
            self.report.add("duplicate", f"The same example as line {earlier}.", number)
        elif len(self.seen) < MAX_SEEN:
            self.seen[key] = number
        elif not self.report.counts["duplicates_unchecked"]:
            message = f"Duplicates are only looked for among the first {MAX_SEEN:,} examples."
            self.report.add("duplicates_unchecked", message, number)

    def _length(self, texts: list[str], number: int) -> None:
        if self.max_tokens is None:
            length = sum(map(len, texts))
            if length > LONG_TEXT:
                self.report.add("too_long", f"The example has {length:,} characters.", number)
            return
        if self.count_tokens:
            tokens = sum(map(self.count_tokens, texts)) + MESSAGE_TOKENS * len(texts)
        else:
            tokens = sum(map(len, texts)) // CHARS_PER_TOKEN
        if tokens > self.max_tokens:
            about = "" if self.count_tokens else "about "
            message = f"The example has {about}{tokens:,} tokens, more than {self.max_tokens:,}."
            self.report.add("too_long", message, number)

    def _finish(self) -> None:
        report, known = self.report, {"chat", "completion"} & self.first_line.keys()
        if self.blanks and self.blanks.stop > report.n_lines:
            message = f"{len(self.blanks):,} blank line(s) at the end."
            report.add("blank_end", message, self.blanks.start)
        else:
            self._report_blanks()
        if report.n_examples == 0 and not report.n_errors:
            report.add("empty_file", "The file holds no example.")
        elif self.training and 0 < report.n_examples < 10:
            some = "1 example" if report.n_examples == 1 else f"{report.n_examples} examples"
            report.add("too_few", f"The file has {some}.")
        elif self.training and 10 <= report.n_examples < 50:
            report.add("few", f"The file has {report.n_examples} examples.")
        if len(known) == 2:
            report.format = "mixed"
            lines = " and ".join(
                f"line {self.first_line[form]} is {form}" for form in sorted(known)
            )
            report.add("mixed_formats", f"The file mixes two formats: {lines}.")
        elif self.first_line:
            forms = [*known, *self.first_line]
            report.format = forms[0]  # type: ignore[assignment]
        if 0 < self.n_system < self.n_chat:
            message = f"{self.n_system:,} of {self.n_chat:,} examples have a system message."
            report.add("some_system", message)
        self.style.report_to(report)


def check_file(
    path: str | Path,
    *,
    training: bool = True,
    max_tokens: int | None = None,
    count_tokens: TokenCounter | None = None,
) -> Report:
    """Check a training file in chat or prompt/completion format; every problem goes to the report.

    `training=False` is for a validation file, which may be small. With `max_tokens`, longer
    examples are reported; `count_tokens` counts the tokens of a text (about 4 characters each
    without it). Without `max_tokens`, 10,000 characters are long. Raises OSError only if the file
    can't be read; whatever stands in it, a report comes back.
    """
    path = Path(path)
    report = Report(path.name)
    if path.suffix != ".jsonl":
        report.add("extension", f"The name ends with {path.suffix or 'nothing'!r}.")
    with path.open("rb") as file:
        _Checker(report, max_tokens, count_tokens, training).read(file)
    return report
