"""`heroes files`: upload, list, look at, fetch and delete files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heroes.endpoint import client, delete_all, first
from heroes.options import LIST_LIMIT, All, FileId, Json, Limit, NoCheck, Output, Yes
from heroes.output import CommandError, note, show
from heroes.tables import show_fields, show_list, when

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types import FileObject

app = typer.Typer(
    name="files", help="Files on the server: training data, results.", no_args_is_help=True
)
TRAINING = "fine-tune"


@app.command("list")
def list_(
    purpose: Annotated[
        str | None, typer.Option(help="Only files with this purpose, such as fine-tune.")
    ] = None,
    limit: Limit = LIST_LIMIT,
    all_: All = False,
    json: Json = False,
) -> None:
    """List the uploaded files, newest first.

    Example: heroes files list --purpose fine-tune
    """
    with client() as api:
        found = first(api.files.list(**({"purpose": purpose} if purpose else {})), limit, all_)
    columns = ["id", "name", "purpose", "bytes", "created"]
    row = lambda f: (f.id, f.filename, f.purpose, f"{f.bytes:,}", when(f.created_at))  # noqa: E731
    show_list(found, json, columns, row, "There are no files.")


@app.command()
def upload(
    paths: Annotated[
        list[Path], typer.Argument(help="The files to upload.", exists=True, dir_okay=False)
    ],
    purpose: Annotated[str, typer.Option(help="What it is for: fine-tune, batch, ...")] = TRAINING,
    no_check: NoCheck = False,
    json: Json = False,
) -> None:
    """Check files and upload them; prints their ids.

    Example: heroes files upload data/train.jsonl data/validation.jsonl
    """
    if purpose == TRAINING and not no_check:
        for path in paths:  # a validation file may be small: only a job knows which file is which
            check_or_refuse(path, training=False)
    with client() as api:
        made = [upload_file(api, path, purpose) for path in paths]
    show(made, json, "\n".join(file.id for file in made))


@app.command()
def get(file_id: FileId, json: Json = False) -> None:
    """Show what the server knows about a file.

    Example: heroes files get file-abc123
    """
    with client() as api:
        show_fields(api.files.retrieve(file_id), json)


@app.command()
def content(file_id: FileId, output: Output = None) -> None:
    """Fetch the content of a file.

    Example: heroes files content file-abc123 -o train.jsonl
    """
    with client() as api, api.files.with_streaming_response.content(file_id) as answer:
        if output is None:
            for chunk in answer.iter_bytes():
                sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
        else:
            answer.stream_to_file(output)
            note(f"Written: {output}")


@app.command()
def delete(
    file_ids: Annotated[list[str], typer.Argument(help="The ids of the files.")],
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Delete files from the server, after asking.

    Example: heroes files delete file-abc123 --yes
    """
    delete_all("files", file_ids, yes, json)


def check_or_refuse(path: Path, *, training: bool) -> None:
    """Check a training file for the configured endpoint and print the report.

    Raises CommandError if it has errors.
    """
    from helpers.check_file import check_file
    from helpers.settings import load_settings

    report = check_file(path, training=training, settings=load_settings())
    note(str(report))
    if not report.ok:
        raise CommandError(
            f"{path.name} has errors, so a job would fail. Correct them, or let "
            f"`heroes prepare {path}` do it."
        )


def upload_file(api: OpenAI, path: Path, purpose: str = TRAINING) -> FileObject:
    """Upload one file; for training, wait until the server has looked at it."""
    from helpers.jobs import upload as upload_training

    if purpose == TRAINING:
        file = upload_training(api, path)
    else:
        file = api.files.create(file=path, purpose=purpose)
    note(f"Uploaded {path.name} as {file.id}")
    return file
