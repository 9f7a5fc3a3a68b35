"""The console command `heroes`: every group of commands, registered in one place."""

from __future__ import annotations

import sys

import typer

from helpers.commands import (
    ask,
    cost,
    doctor,
    fault,
    files,
    generate,
    jobs,
    keys,
    lookup,
    models,
    prepare,
    progress,
    sandbox,
)
from helpers.commands.base import EXIT_CODES

app = typer.Typer(
    help="The course on the command line, on its sandbox or any OpenAI-compatible endpoint.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(generate.generate)
app.command()(cost.cost)
app.add_typer(files.app, name="files")
app.add_typer(jobs.app, name="jobs")
app.add_typer(models.app, name="models")
app.command()(prepare.prepare)
app.command()(ask.complete)
app.command()(ask.chat)
app.add_typer(sandbox.app, name="sandbox")
app.add_typer(keys.app, name="keys")
app.command()(progress.progress)
app.command()(progress.board)
app.command()(progress.reset)
app.command()(doctor.doctor)
app.command()(fault.fault)
app.command()(lookup.explain)


@app.callback()
def main() -> None:
    # A pipe on Windows may not know a character: a question mark is better than a crash.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


if __name__ == "__main__":
    app(prog_name="heroes")
