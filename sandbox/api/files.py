"""/v1/files: upload, list, retrieve, content, delete."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, Response

from sandbox.api import wire
from sandbox.api.auth import Project
from sandbox.api.context import Context, ContextOf
from sandbox.api.errors import BadRequest, Conflict, FileNotFound
from sandbox.api.jsonl import copy_jsonl, copy_plain
from sandbox.api.paging import check_query, envelope, read_after, read_limit, read_order
from sandbox.api.uploads import PURPOSES, Upload, receive_upload
from sandbox.store import FileInUse, files
from sandbox.store.batches import OUTPUT_PURPOSE
from sandbox.store.errors import storage_errors
from sandbox.store.files import FileRow
from sandbox.store.jobs import RESULT_PURPOSE

router = APIRouter(prefix="/files", tags=["files"])


UPLOAD_FORM = {
    "type": "object",
    "properties": {"purpose": {"type": "string"}, "file": {"type": "string", "format": "binary"}},
    "required": ["file", "purpose"],
}
UPLOAD_BODY = {"required": True, "content": {"multipart/form-data": {"schema": UPLOAD_FORM}}}


@router.post("", openapi_extra={"requestBody": UPLOAD_BODY})
async def create_file(request: Request, project: Project, context: ContextOf) -> dict[str, Any]:
    """Upload a file as a multipart form with `purpose` and `file`."""
    async with receive_upload(request, context.settings.max_file_bytes) as upload:
        row = await run_in_threadpool(_keep, context, project, upload)
    return wire.file_object(row)


@router.get("")
def list_files(request: Request, project: Project, context: ContextOf) -> dict[str, Any]:
    """The project's files in pages: `after`, `limit`, `order` (asc, desc), `purpose`."""
    check_query(request, "after", "limit", "order", "purpose")
    purpose = request.query_params.get("purpose")
    choices = [*PURPOSES, RESULT_PURPOSE, OUTPUT_PURPOSE]
    if purpose is not None and purpose not in choices:
        raise BadRequest(f"'{purpose}' is not one of {choices} - 'purpose'", param="purpose")
    page = files.list_files(
        context.store,
        project,
        after=read_after(request),
        limit=read_limit(request, 10_000, 10_000),
        newest_first=read_order(request, "asc", "desc"),
        purpose=purpose,
    )
    return envelope([wire.file_object(row) for row in page.rows], page.has_more, ends=True)


@router.get("/{file_id}")
def retrieve_file(file_id: str, project: Project, context: ContextOf) -> dict[str, Any]:
    """One file by its id."""
    return wire.file_object(_find(context, project, file_id))


@router.get("/{file_id}/content", response_class=Response)
def file_content(file_id: str, project: Project, context: ContextOf) -> Response:
    """A file's bytes. A job's result file is CSV, in base64 as the hosted API serves it."""
    row = _find(context, project, file_id)
    path = files.file_path(context.store, row.id)
    return FileResponse(path, media_type="application/octet-stream", filename=row.filename)


@router.delete("/{file_id}")
def delete_file(file_id: str, project: Project, context: ContextOf) -> dict[str, Any]:
    """Delete a file, unless an unfinished job or batch needs it."""
    try:
        deleted = files.delete_file(context.store, project, file_id)
    except FileInUse as error:
        raise Conflict(
            f"The file {file_id} is in use by {error.job_id}. Wait for its end or cancel it, "
            "then delete the file."
        ) from error
    if not deleted:
        raise FileNotFound(file_id)
    return wire.file_deleted(file_id)


def _find(context: Context, project: str, file_id: str) -> FileRow:
    row = files.get_file(context.store, project, file_id)
    if row is None:
        raise FileNotFound(file_id)
    return row


def _keep(context: Context, project: str, upload: Upload) -> FileRow:
    """Check an upload while copying it into the store; what is refused leaves no trace."""
    part = files.part_path(context.store)
    copy = copy_jsonl if upload.purpose == "fine-tune" else copy_plain
    try:
        with storage_errors(part):
            copy(upload.content, part)
        return files.add_file(
            context.store, project, upload.filename, upload.purpose, part, upload.expires_at
        )
    finally:
        part.unlink(missing_ok=True)
