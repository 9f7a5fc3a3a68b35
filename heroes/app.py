"""The console command `heroes`: every group of commands, registered in one place."""

from __future__ import annotations

import sys

import typer

from heroes import chat as ask
from heroes import (
    cost,
    doctor,
    fault,
    files,
    generate,
    jobs,
    keys,
    lookup,
    models,
    progress,
    sandbox,
)
from heroes.output import EXIT_CODES
from heroes.prepare import command as prepare

app = typer.Typer(
    help="The course on the command line, on its sandbox or any OpenAI-compatible endpoint.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
DATA, MODELS, COURSE, MACHINE = "Training data", "Models", "The course", "This machine"

app.command(rich_help_panel=DATA)(generate.generate)
app.command(rich_help_panel=DATA)(prepare.prepare)
app.command(rich_help_panel=DATA)(cost.cost)

app.add_typer(files.app, name="files", rich_help_panel=MODELS)
app.add_typer(jobs.app, name="jobs", rich_help_panel=MODELS)
app.add_typer(models.app, name="models", rich_help_panel=MODELS)
app.command(rich_help_panel=MODELS)(ask.complete)
app.command(rich_help_panel=MODELS)(ask.chat)

app.command(rich_help_panel=COURSE)(progress.progress)
app.command(rich_help_panel=COURSE)(progress.board)
app.command(rich_help_panel=COURSE)(progress.reset)
app.command(rich_help_panel=COURSE)(lookup.explain)

app.command(rich_help_panel=MACHINE)(doctor.doctor)
app.add_typer(sandbox.app, name="sandbox", rich_help_panel=MACHINE)
app.add_typer(keys.app, name="keys", rich_help_panel=MACHINE)
app.command(rich_help_panel=MACHINE)(fault.fault)


@app.callback()
def main() -> None:
    # A pipe on Windows may not know a character: a question mark is better than a crash.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


if __name__ == "__main__":
    app(prog_name="heroes")
