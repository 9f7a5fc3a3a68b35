"""How fast is the JSONL checker, and does its memory stay flat?

`python -m bench.checker [--lines N]`: a chat file of a million lines, against the well-known
cookbook's checks written plainly, each in a process of its own that reports its peak memory.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from bench.common import Row, median
from helpers.data import DATA

KEYS = {"role", "content", "name", "function_call", "weight"}
ROLES = {"system", "user", "assistant", "function"}


def cookbook_logic(path: Path) -> int:
    """The checks of OpenAI's cookbook, plainly: read everything, then look at each message."""
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    errors: Counter[str] = Counter()
    missing: Counter[str] = Counter()
    lengths = []
    for row in rows:
        if not isinstance(row, dict):
            errors["data_type"] += 1
            continue
        messages = row.get("messages")
        if not messages:
            errors["missing_messages_list"] += 1
            continue
        for message in messages:
            if "role" not in message or "content" not in message:
                errors["message_missing_key"] += 1
            if any(key not in KEYS for key in message):
                errors["message_unrecognized_key"] += 1
            if message.get("role") not in ROLES:
                errors["unrecognized_role"] += 1
            content = message.get("content")
            if not content and not message.get("function_call") or not isinstance(content, str):
                errors["missing_content"] += 1
        if not any(message.get("role") == "assistant" for message in messages):
            errors["example_missing_assistant_message"] += 1
        for role in ("system", "user"):
            if not any(message.get("role") == role for message in messages):
                missing[role] += 1
        lengths.append(sum(len(message["content"]) for message in messages))
    return sum(errors.values())


def our_checker(path: Path) -> int:
    from helpers.jsonl import check_file

    return len([p for p in check_file(path).problems if p.severity == "error"])


def write_lines(path: Path, lines: int) -> None:
    """A file of `lines` different examples, grown from the shipped ones."""
    rows = (DATA / "train.jsonl").read_text(encoding="utf-8").splitlines()
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for number in range(lines):
            row = rows[number % len(rows)]
            file.write(row.replace(" ->", f" {number} ->", 1) + "\n")


def measure(which: str, path: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.checker", "--one", which, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def one(which: str, path: Path) -> None:
    """What the child process does: check once, print seconds and peak memory in MiB."""
    import psutil

    work = our_checker if which == "ours" else cookbook_logic
    started = time.perf_counter()
    problems = work(path)
    took = time.perf_counter() - started
    info = psutil.Process().memory_info()
    peak = getattr(info, "peak_wset", 0) or _peak_of_posix() or info.rss
    print(json.dumps({"seconds": took, "peak": peak / 2**20, "problems": problems}))


def _peak_of_posix() -> int:
    if sys.platform == "win32":
        return 0
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def run(lines: int = 1_000_000, rounds: int = 3) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        small, large = Path(folder) / "small.jsonl", Path(folder) / "large.jsonl"
        write_lines(small, lines // 10)
        write_lines(large, lines)
        pairs = [(measure("ours", large), measure("cookbook", large)) for _ in range(rounds)]
        little = measure("ours", small)["peak"]
    mine = median([ours["seconds"] for ours, _ in pairs])
    other = median([plain["seconds"] for _, plain in pairs])
    peak, their_peak = pairs[0][0]["peak"], pairs[0][1]["peak"]
    return [
        Row(
            "JSONL checker: the cookbook's logic / ours, seconds",
            other / mine,
            "x",
            ">= 3",
            f"{lines / mine:,.0f} lines/s against {lines / other:,.0f}",
        ),
        Row(
            "its peak memory: all lines / a tenth of them",
            peak / little,
            "x",
            "flat",
            f"{peak:,.0f} MiB (plain logic: {their_peak:,.0f} MiB)",
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.checker", description=__doc__)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--one", nargs=2, metavar=("WHICH", "FILE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(options.one[0], Path(options.one[1]))
        return
    for row in run(options.lines):
        print(row)


if __name__ == "__main__":
    main()
