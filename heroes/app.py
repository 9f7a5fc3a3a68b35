"""The console command `heroes`: every group of commands, registered in one place."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from heroes import chat, cost, fault, files, generate, jobs, models, progress, sandbox, trouble
from heroes.output import plainly
from heroes.prepare import command as prepare

OLD = tomllib.loads(Path(__file__).with_name("old_verbs.toml").read_text(encoding="utf-8"))


class Root(TyperGroup):
    """The command itself: ends every error in one line, and knows the old command line's words."""

    def invoke(self, ctx: Any) -> Any:
        """Run what the words call."""
        return plainly(super().invoke)(ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the first words name; a usage error if there is none."""
        if args[0] not in self.commands and (old := next((w for w in args if w in OLD), None)):
            ctx.fail(f"{old} was a command of the old `openai`. Today: heroes {OLD[old]}")
        if args[0] in ("api", "tools"):
            ctx.fail("`openai api` and `openai tools` are gone. heroes --help lists what there is.")
        return super().resolve_command(ctx, args)


app = typer.Typer(
    help="The course on the command line, on its sandbox or any OpenAI-compatible endpoint.",
    cls=Root,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog=(
        "Exit codes: 0 done; 1 failed or refused; 2 wrong use; 3 not running, or not finished; "
        "130 interrupted."
    ),
)
PANELS: dict[str, list[Any]] = {
    "Training data": [generate.generate, prepare.prepare, cost.cost],
    "Models": [files.app, jobs.app, models.app, chat.complete, chat.chat],
    "The course": [progress.progress, progress.board, progress.reset, trouble.explain],
    "This machine": [trouble.doctor, sandbox.app, sandbox.keys, fault.fault],
}
for panel, commands in PANELS.items():
    for each in commands:
        if isinstance(each, typer.Typer):
            app.add_typer(each, rich_help_panel=panel)
        else:
            app.command(rich_help_panel=panel)(each)


@app.callback()
def main() -> None:
    # A pipe on Windows may not know a character: a question mark is better than a crash.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
