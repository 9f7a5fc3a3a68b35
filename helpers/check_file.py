"""`check_file`: read a training file once and report every problem, before anything is uploaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from helpers.json_lines import parse_line, whole_fault
from helpers.jsonl import has_missing
from helpers.near_json import JsonFault
from helpers.pairs import check_pairs
from helpers.report import KINDS, Report
from helpers.rules import check_example, format_of, sandbox_findings, turns_of
from helpers.settings import Settings
from helpers.tokens import counter_for

BOM = b"\xef\xbb\xbf"
MAX_BYTES = 512 * 1024 * 1024  # what the Files API takes


class _Examples:
    """Checks one example after the other, and remembers what only all of them show."""

    def __init__(self, report: Report, settings: Settings | None) -> None:
        self.report = report
        self.sandbox = settings is not None and settings.endpoint == "sandbox"
        self.openai = settings is not None and settings.provider == "openai"
        self.counter = counter_for(settings.base_model) if settings else None
        self.first_line: dict[str, int] = {}  # of a format
        self.line_of: dict[int, int] = {}  # of an example, by its hash
        self.pairs: list[tuple[int, str, str]] = []  # line, prompt, completion
        self.system: list[bool] = []  # does a chat example have a system message?
        self.missing: list[int] = []  # lines with the word for a missing value

    def add(self, example: dict[str, Any], line: int) -> None:
        found = check_example(example)
        wrong = any(KINDS[finding.kind].severity == "error" for finding in found)
        refused = sandbox_findings(example) if self.sandbox else []
        for kind, field, message in [*found, *refused]:
            self.report.add(kind, message, line, field)
        self.first_line.setdefault(form := format_of(example), line)
        if wrong:
            return
        same = hash(json.dumps(example, sort_keys=True))  # all of it: tools and weights, too
        if (earlier := self.line_of.setdefault(same, line)) != line:
            self.report.add("duplicate", f"The same example as line {earlier}.", line)
        turns = turns_of(example)
        if form == "chat":
            self.system.append(any(role == "system" for role, _ in turns))
        else:
            self.pairs.append((line, turns[0][1], turns[1][1]))
        if any(has_missing(text, asked=role == "user") for role, text in turns):
            self.missing.append(line)
        if self.counter and not refused:
            self._fit(example, [{"role": role, "content": text} for role, text in turns], line)

    def _fit(self, example: dict[str, Any], said: list[dict[str, str]], line: int) -> None:
        """Add what the model that will learn can't take. The sandbox cuts nothing off."""
        counter, texts = self.counter, "\n".join(message["content"] for message in said)
        if markers := [token for token in counter.special_tokens if token in texts]:
            self.report.add("special_token", f"A text holds the marker {markers[0]!r}.", line)
        try:
            tokens = counter.example(
                {"messages": said} if format_of(example) == "chat" else example
            )
            if tokens > counter.max_tokens:
                most = f"more than the model's {counter.max_tokens:,}"
                self.report.add("too_long", f"The example has {tokens:,} tokens, {most}.", line)
        except ValueError as error:  # the model's template refuses the roles
            self.report.add("unsupported", f"{error}.", line)

    def finish(self, training: bool) -> None:
        """Add what concerns all examples together."""
        report, n = self.report, self.report.n_examples
        if n == 0 and not report.n_errors:
            report.add("empty_file", "The file holds no example.")
        elif training and 0 < n < 50:
            message = f"The file has {n} example{'' if n == 1 else 's'}."
            report.add("too_few" if n < 10 else "few", message)
        forms = sorted({"chat", "completion"} & self.first_line.keys())
        report.format = next(iter([*forms, *self.first_line]), "unknown")
        if len(forms) == 2:
            report.format = "mixed"
            lines = " and ".join(f"line {self.first_line[form]} is {form}" for form in forms)
            report.add("mixed_formats", f"The file mixes two formats: {lines}.")
        if report.format == "completion" and self.openai:
            report.add("completion_refused", "OpenAI trains no model on pairs any more.")
        if 0 < (with_system := sum(self.system)) < len(self.system):
            message = f"{with_system:,} of {len(self.system):,} examples have a system message."
            report.add("some_system", message)
        if self.missing:
            message = f'"nan" or the like as a value in {len(self.missing):,} of {n:,} examples.'
            report.add("missing_text", message, self.missing[0])
        check_pairs(report, self.pairs)


def _check_lines(lines: list[bytes], report: Report, examples: _Examples) -> None:
    """Check every line. Blank ones are an error, unless nothing follows."""
    last = max((n for n, line in enumerate(lines, 1) if line.strip()), default=0)
    for number, line in enumerate(lines[:last], start=1):
        if line.endswith(b"\r") and not report.counts["carriage_return"]:
            report.add("carriage_return", 'Lines end with "\\r\\n".', number)
        if line.startswith(BOM):
            report.add("bom", "The line begins with a byte order mark (BOM).", number)
            line = line.removeprefix(BOM)
        if not line.strip():
            report.add("blank_line", "The line is empty.", number)
            continue
        try:
            example = parse_line(line)
            if not isinstance(example, dict):
                begin = line[:20].decode("utf-8", "replace")
                raise JsonFault("not_object", f"Not an object; the line begins with {begin!r}.")
            report.n_examples += 1
            examples.add(example, number)
        except JsonFault as fault:
            report.add(fault.kind, fault.cause, number, fault.field, fault.remedy)
        except RecursionError:
            report.add("not_json", "The values are nested too deeply.", number)
    if 0 < last < len(lines):
        report.add("blank_end", f"{len(lines) - last:,} blank line(s) at the end.", last + 1)


def check_file(
    path: str | Path, *, training: bool = True, settings: Settings | None = None
) -> Report:
    """Check a training file in chat or prompt/completion format; every problem goes to the report.

    `training=False` is for a validation file, which may be small. With `settings`, what the
    configured endpoint refuses is an error as well: too many tokens for its base model, tool calls
    on the sandbox. Raises only OSError, if the file can't be read.
    """
    path = Path(path)
    examples = _Examples(report := Report(path.name), settings)
    if path.suffix != ".jsonl":
        kind = "extension_refused" if examples.openai else "extension"
        report.add(kind, f"The name ends with {path.suffix or 'nothing'!r}.")
    if (size := path.stat().st_size) > MAX_BYTES:
        report.add("too_large", f"The file has {size:,} bytes; {MAX_BYTES:,} are taken at most.")
        return report
    data = path.read_bytes()
    lines = data.removesuffix(b"\n").split(b"\n") if data else []
    report.n_lines = len(lines)
    if fault := whole_fault(data):
        report.add(fault.kind, fault.cause, fault.line, remedy=fault.remedy)
    else:
        _check_lines(lines, report, examples)
        examples.finish(training)
    return report
