"""`check_file`: read a training file once and report every problem, before anything is uploaded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from helpers.check_example import check_example
from helpers.dialogue import format_of, turns_of
from helpers.json_lines import BOM, JsonFault, parse_object, whole_fault
from helpers.jsonl import has_missing
from helpers.pairs import pair_problems
from helpers.report import Problem, Report
from helpers.settings import Settings

MAX_BYTES = 512 * 1024 * 1024  # what the Files API takes


def check_file(
    path: str | Path, *, training: bool = True, settings: Settings | None = None
) -> Report:
    """Check a training file in chat or prompt/completion format; every problem goes to the report.

    `training=False` is for a validation file, which may be small. With `settings`, what the
    configured endpoint refuses is an error as well: too many tokens for its base model, tool calls
    on the sandbox. Raises only OSError, if the file can't be read.
    """
    path = Path(path)
    report = Report(path.name)
    openai = settings is not None and settings.provider == "openai"
    if path.suffix != ".jsonl":
        kind = "extension_refused" if openai else "extension"
        report.add(Problem(kind, f"The name ends with {path.suffix or 'nothing'!r}."))
    if (size := path.stat().st_size) > MAX_BYTES:
        message = f"The file has {size:,} bytes; {MAX_BYTES:,} are taken at most."
        report.add(Problem("too_large", message))
        return report
    data = path.read_bytes()
    if fault := whole_fault(data):
        report.add(fault.problem)
        return report
    examples = _check_lines(data, report, settings)
    for problem in _file_problems(examples, report, training):
        report.add(problem)
    if report.format == "completion" and openai:
        message = "OpenAI trains no model on pairs any more."
        report.add(Problem("completion_refused", message))
    return report


def _check_lines(data: bytes, report: Report, settings: Settings | None) -> dict[int, Any]:
    """Check line by line; the examples without errors come back, by line."""
    good, formats = {}, {}  # formats: each with its first line
    lines = data.split(b"\n")
    while lines and not lines[-1].strip():
        lines.pop()  # blank lines at the end do no harm
    for number, line in enumerate(lines, start=1):
        found = []
        if line.startswith(BOM):
            found.append(Problem("bom", "The line begins with a byte order mark (BOM)."))
            line = line.removeprefix(BOM)
        try:
            if line.strip():
                example = parse_object(line)
                report.n_examples += 1
                formats.setdefault(format_of(example), number)
                problems = check_example(example, settings)
                if not any(problem.severity == "error" for problem in problems):
                    good[number] = example
                found += problems
            else:
                found.append(Problem("blank_line", "The line is empty."))
        except JsonFault as fault:
            found.append(fault.problem)
        except RecursionError:
            found.append(Problem("not_json", "The values are nested too deeply."))
        for problem in found:
            problem.line = number
            report.add(problem)
    known = sorted({"chat", "completion"} & formats.keys())
    report.format = next(iter([*known, *formats]), "unknown")
    if len(known) == 2:
        report.format = "mixed"
        places = " and ".join(f"line {formats[form]} is {form}" for form in known)
        report.add(Problem("mixed_formats", f"The file mixes two formats: {places}."))
    return good


def _file_problems(good: dict[int, Any], report: Report, training: bool) -> Iterator[Problem]:
    """What concerns all examples together, or those without errors."""
    n = report.n_examples
    if n == 0 and not report.n_errors:
        yield Problem("empty_file", "The file holds no example.")
    elif training and 0 < n < 50:
        message = f"The file has {n} example{'' if n == 1 else 's'}."
        yield Problem("too_few" if n < 10 else "few", message)
    lines, missing, systems, pairs = {}, [], [], {}
    for line, example in good.items():
        same = hash(json.dumps(example, sort_keys=True))  # all of it: tools and weights, too
        if (earlier := lines.setdefault(same, line)) != line:
            yield Problem("duplicate", f"The same example as line {earlier}.", line=line)
        turns = turns_of(example)
        if any(has_missing(text, asked=role == "user") for role, text in turns):
            missing.append(line)
        if format_of(example) == "chat":
            systems.append(any(role in ("system", "developer") for role, _ in turns))
        else:
            pairs[line] = (turns[0][1], turns[1][1])
    if 0 < sum(systems) < len(systems):
        message = f"{sum(systems):,} of {len(systems):,} examples have a system message."
        yield Problem("some_system", message)
    if missing:
        message = f'"nan" or the like as a value in {len(missing):,} of {n:,} examples.'
        yield Problem("missing_text", message, line=missing[0])
    yield from pair_problems(pairs)
