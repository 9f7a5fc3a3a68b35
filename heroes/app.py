"""The console command `heroes`: every group of commands, registered in one place."""

from __future__ import annotations

import sys
from typing import Any

from typer.core import TyperGroup

from heroes import chat, cost, doctor, explain, fault, files, generate, jobs, models, progress
from heroes import sandbox as machine
from heroes.output import EXIT_CODES, Commands
from heroes.prepare import command as prepare

# The verbs of the `openai` command line, which its package lost in May 2026.
OLD = {
    "fine_tunes.prepare_data": "prepare FILE",
    "fine_tunes.create": "jobs create -t FILE -m MODEL",
    "fine_tunes.follow": "jobs follow JOB",
    "fine_tunes.list": "jobs list",
    "fine_tunes.get": "jobs get JOB",
    "fine_tunes.cancel": "jobs cancel JOB",
    "fine_tunes.results": "jobs results JOB",
    "fine_tunes.delete": "models delete MODEL",
    "fine_tuning.jobs.create": "jobs create -t FILE -m MODEL",
    "fine_tuning.jobs.retrieve": "jobs get JOB",
    "fine_tuning.jobs.list": "jobs list",
    "fine_tuning.jobs.cancel": "jobs cancel JOB",
    "fine_tuning.jobs.list_events": "jobs events JOB",
    "fine_tuning.checkpoints.list": "jobs checkpoints JOB",
    "completions.create": 'complete -m MODEL -p "TEXT"',
    "chat.completions.create": 'chat -m MODEL "TEXT"',
    "chat_completions.create": 'chat -m MODEL "TEXT"',
    "files.create": "files upload FILE",
    "files.list": "files list",
    "files.get": "files get ID",
    "files.retrieve": "files get ID",
    "files.delete": "files delete ID",
    "models.list": "models list",
    "models.get": "models list",
    "models.retrieve": "models list",
    "models.delete": "models delete MODEL",
}


class Root(TyperGroup):
    """The command itself: it also knows what the old command line's words are called today."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that the first words name; a usage error if there is none."""
        if args[0] not in self.commands and (old := next((w for w in args if w in OLD), None)):
            ctx.fail(f"{old} was a command of the old `openai`. Today: heroes {OLD[old]}")
        if args[0] in ("api", "tools"):
            ctx.fail("`openai api` and `openai tools` are gone. heroes --help lists what there is.")
        return super().resolve_command(ctx, args)


app = Commands(
    "The course on the command line, on its sandbox or any OpenAI-compatible endpoint.",
    cls=Root,
    epilog=EXIT_CODES,
)
PANELS = {
    "Training data": [generate.generate, prepare.prepare, cost.cost],
    "Models": [
        ("files", files.app),
        ("jobs", jobs.app),
        ("models", models.app),
        chat.complete,
        chat.chat,
    ],
    "The course": [progress.progress, progress.board, progress.reset, explain.explain],
    "This machine": [
        doctor.doctor,
        ("sandbox", machine.app),
        ("keys", machine.keys),
        fault.fault,
    ],
}
for panel, commands in PANELS.items():
    for each in commands:
        if isinstance(each, tuple):
            app.add_typer(each[1], name=each[0], rich_help_panel=panel)
        else:
            app.command(rich_help_panel=panel)(each)


@app.callback()
def main() -> None:
    # A pipe on Windows may not know a character: a question mark is better than a crash.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


if __name__ == "__main__":
    app(prog_name="heroes")
