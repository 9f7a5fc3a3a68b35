"""The options and arguments that several commands share, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

Json = Annotated[bool, Option("--json", help="Answer in JSON, for scripts.")]
Yes = Annotated[bool, Option("--yes", "-y", help="Do not ask first.")]
Output = Annotated[
    Path | None, Option("--output", "-o", help="Write to this file, not to the screen.")
]

# Lists
Limit = Annotated[int, Option(min=1, help="How many to show.")]
All = Annotated[bool, Option("--all", help="Show every one.")]
LIST_LIMIT = 20

# What is meant
FileId = Annotated[str, Argument(help="The file's id, as `heroes files list` shows it.")]
JobId = Annotated[str, Argument(help="The job's id, as `heroes jobs list` shows it.")]
NoCheck = Annotated[bool, Option("--no-check", help="Upload without checking it first.")]
Every = Annotated[float, Option(min=0.1, help="Seconds between two requests.")]

# Calls that cost
MaxUsd = Annotated[float | None, Option(min=0, help="Refuse what can cost more dollars than this.")]
Agreed = Annotated[bool, Option("--yes", "-y", help="Do not ask before a call that costs money.")]

# Answers of a model
Model = Annotated[
    str | None, Option("--model", "-m", help="Which model; by default the endpoint's own.")
]
MaxTokens = Annotated[int, Option(min=1, help="The longest answer, in tokens.")]
Temperature = Annotated[
    float | None, Option(min=0, max=2, help="0 always takes the most likely token.")
]
Seed = Annotated[int | None, Option(help="With the same seed, the same answer, if possible.")]
Stop = Annotated[
    list[str] | None, Option(help='Stop before this text, such as " END"; may be repeated.')
]
MAX_TOKENS = 300  # a description has about 130
