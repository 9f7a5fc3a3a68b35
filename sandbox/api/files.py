"""/v1/files: upload, list, retrieve, content, delete."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from openai.types import FileObject
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from sandbox.api.auth import Project
from sandbox.api.body import shown, without_nulls
from sandbox.api.context import Context, ContextOf
from sandbox.api.errors import BadRequest, Conflict, FileNotFound
from sandbox.api.jsonl import copy_jsonl, copy_plain
from sandbox.api.paging import PageQuery, envelope
from sandbox.api.uploads import PURPOSES, Upload, receive_upload
from sandbox.store import files
from sandbox.store.errors import InUse, storage_errors
from sandbox.store.tables import FileRow

router = APIRouter(prefix="/files", tags=["files"])


UPLOAD_FORM = {
    "type": "object",
    "properties": {
        "purpose": {"type": "string", "enum": list(PURPOSES)},
        "file": {"type": "string", "format": "binary"},
    },
    "required": ["file", "purpose"],
}
UPLOAD_BODY = {"required": True, "content": {"multipart/form-data": {"schema": UPLOAD_FORM}}}


@router.post("", openapi_extra={"requestBody": UPLOAD_BODY})
async def create_file(request: Request, project: Project, context: ContextOf) -> dict[str, Any]:
    """Upload a file as a multipart form with `purpose` and `file`."""
    async with receive_upload(request, context.settings.max_file_bytes) as upload:
        row = await run_in_threadpool(_keep, context, project, upload)
    return file_object(row)


class FilesQuery(PageQuery):
    """Which page of the files, in which order, and of which purpose."""

    limit: Annotated[int, Field(ge=0, le=10_000)] = 10_000
    order: Literal["asc", "desc"] = "desc"
    purpose: str | None = None


@router.get("")
def list_files(
    query: Annotated[FilesQuery, Query()], project: Project, context: ContextOf
) -> dict[str, Any]:
    """The project's files in pages."""
    page = files.list_files(
        context.store,
        project,
        newest_first=query.order == "desc",
        purpose=query.purpose,
        **query.place,
    )
    return envelope(page, file_object)


@router.get("/{file_id}")
def retrieve_file(file_id: str, project: Project, context: ContextOf) -> dict[str, Any]:
    """One file by its id."""
    return file_object(find_file(context, project, file_id))


class WholeFile(FileResponse):
    """A file's bytes, always all of them: Starlette refuses a bad range without our error body."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [header for header in scope["headers"] if header[0] != b"range"]
        await super().__call__(scope | {"headers": headers}, receive, send)


CONTENT = {200: {"description": "The bytes.", "content": {"application/octet-stream": {}}}}


@router.get("/{file_id}/content", response_class=Response, responses=CONTENT)
def file_content(file_id: str, project: Project, context: ContextOf) -> Response:
    """A file's bytes. A job's result file is CSV, in base64 as the hosted API serves it."""
    row = find_file(context, project, file_id)
    path = files.file_path(context.store, row.id)
    return WholeFile(
        path,
        headers={"accept-ranges": "none"},
        media_type="application/octet-stream",
        filename=row.filename,
    )


@router.delete("/{file_id}")
def delete_file(file_id: str, project: Project, context: ContextOf) -> dict[str, Any]:
    """Delete a file, unless an unfinished job or batch needs it."""
    try:
        deleted = files.delete_file(context.store, project, file_id)
    except InUse as error:
        raise Conflict(
            f"The file {file_id} is in use by {error.user}. Wait for its end or cancel it, "
            "then delete the file."
        ) from error
    if not deleted:
        raise FileNotFound(file_id)
    return {"id": file_id, "object": "file", "deleted": True}


def find_file(
    context: Context, project: str, file_id: str, param: str = "id", purpose: str | None = None
) -> FileRow:
    """Return a project's file, which must have this purpose. Raises FileNotFound or BadRequest."""
    row = files.get_file(context.store, project, file_id)
    if row is None:
        raise FileNotFound(file_id, param)
    if purpose not in (None, row.purpose):
        raise BadRequest(
            f"The file {file_id} has the purpose '{row.purpose}'. Upload it again with "
            f"purpose='{purpose}'.",
            param=param,
        )
    return row


# The purposes whose files must be called .jsonl, and the hosted API's name for what reads them.
READ_BY = {"fine-tune": "Fine-Tuning", "batch": "Batch"}


def _keep(context: Context, project: str, upload: Upload) -> FileRow:
    """Check an upload while copying it into the store; what is refused leaves no trace."""
    part = files.part_path(context.store)
    copy = copy_jsonl if upload.purpose == "fine-tune" else copy_plain
    try:
        with storage_errors(part):
            copy(upload.content, part)
        # After the content: what is wrong inside says more.
        reader = READ_BY.get(upload.purpose)
        if reader and not upload.filename.lower().endswith(".jsonl"):
            raise BadRequest(f"Invalid file format for {reader} API. Must be .jsonl", param="file")
        return files.add_file(
            context.store, project, upload.filename, upload.purpose, part, upload.expires_at
        )
    finally:
        part.unlink(missing_ok=True)


def file_object(row: FileRow) -> dict[str, Any]:
    """Return a file as the API shows it. It was checked on arrival, so it is processed."""
    return without_nulls(shown(FileObject, row, object="file", status="processed"))
