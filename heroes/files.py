"""`heroes files`: upload, list, look at, fetch and delete files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heroes.output import (
    LIST_LIMIT,
    All,
    CommandError,
    Commands,
    Json,
    Limit,
    Yes,
    client,
    confirm,
    console,
    first,
    note,
    show_fields,
    show_json,
    show_table,
    when,
)

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types import FileObject

app = Commands("Files on the server: training data, results.")

TRAINING = "fine-tune"
FileId = Annotated[str, typer.Argument(help="The file's id, as `heroes files list` shows it.")]
Purpose = Annotated[str, typer.Option(help="What for: fine-tune, batch, ...")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write to this file, not to the screen.")
]
NoCheck = Annotated[bool, typer.Option("--no-check", help="Upload without checking it first.")]


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
    if json:
        show_json(found)
        return
    rows = [(f.id, f.filename, f.purpose, f"{f.bytes:,}", when(f.created_at)) for f in found]
    show_table(["id", "name", "purpose", "bytes", "created"], rows, empty="There are no files.")


@app.command()
def upload(
    paths: Annotated[
        list[Path], typer.Argument(help="The files to upload.", exists=True, dir_okay=False)
    ],
    purpose: Purpose = TRAINING,
    no_check: NoCheck = False,
    json: Json = False,
) -> None:
    """Check training files and upload them. Prints their ids.

    Example: heroes files upload data/train.jsonl data/validation.jsonl
    """
    if purpose == TRAINING and not no_check:
        for path in paths:  # a validation file may be small: only a job knows which file is which
            check_or_refuse(path, training=False)
    with client() as api:
        made = [upload_file(api, path, purpose) for path in paths]
    if json:
        show_json(made)
    else:
        for file in made:
            console.print(file.id)


@app.command()
def get(file_id: FileId, json: Json = False) -> None:
    """Show what the server knows about a file.

    Example: heroes files get file-abc123
    """
    with client() as api:
        file = api.files.retrieve(file_id)
    if json:
        show_json(file)
        return
    times = {"created": when(file.created_at), "expires": when(file.expires_at)}
    known = {"id": file.id, "name": file.filename, "purpose": file.purpose}
    state = {"status": file.status, "details": file.status_details}
    show_fields({**known, "bytes": f"{file.bytes:,}", **times, **state})


@app.command()
def content(file_id: FileId, output: Output = None) -> None:
    """Fetch what is in a file.

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
    confirm(f"Delete {' and '.join(file_ids)} from the server?", yes)
    with client() as api:
        deleted = [api.files.delete(file_id) for file_id in file_ids]
    if json:
        show_json(deleted)
    else:
        for file in deleted:
            console.print(f"Deleted: {file.id}")


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
    """Upload one file and wait until the server has looked at it."""
    from helpers.jobs import upload as upload_training

    if purpose == TRAINING:
        file = upload_training(api, path)
    else:
        file = api.files.create(file=path, purpose=purpose)
    note(f"Uploaded {path.name} as {file.id}")
    return file
