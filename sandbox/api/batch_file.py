"""The file of a batch: one request a line, with the id that its answer will carry."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from sandbox.api.errors import BadRequest

MOST_LINES = 50_000
MOST_INPUTS = 50_000  # texts to embed, over all lines
MOST_BYTES = 200 * 1024 * 1024
MOST_ERRORS = 100  # in the list that the client gets
FIELDS = {"custom_id": str, "method": str, "url": str, "body": dict}
DUPLICATE = (
    "The custom_id for this request is a duplicate of another request. The custom_id "
    "parameter must be unique for each request in a batch."
)
KINDS = {str: "a string", dict: "an object"}


@dataclass(frozen=True)
class BatchLine:
    """One request of a batch; ``number`` counts the file's lines from 1."""

    number: int
    custom_id: str
    body: dict[str, Any]


def read_lines(path: Path) -> Iterator[BatchLine]:
    """Yield the requests of a file that ``check_file`` has found good."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                data = from_json(line, allow_inf_nan=False)
                yield BatchLine(number, data["custom_id"], data["body"])


def check_file(path: Path, endpoint: str, knows: Callable[[str], bool]) -> "Summary":
    """Check every line; ``knows`` tells whether there is a model of that name."""
    found = Summary(endpoint, knows)
    if path.stat().st_size > MOST_BYTES:
        message = f"The batch file is larger than {MOST_BYTES // 1024**2} MB. Split it."
        found.note(BadRequest(message, code="file_too_large"), None)
        return found
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                found.check_line(line)
            except BadRequest as error:
                found.note(error, number)
            if len(found.errors) == MOST_ERRORS or found.total > MOST_LINES:
                break
    try:
        found.check_whole()
    except BadRequest as error:
        found.note(error, None)
    return found


@dataclass
class Summary:
    """What a file holds: how many requests, for which model, and what is wrong with it."""

    endpoint: str
    knows: Callable[[str], bool]
    total: int = 0
    model: str = ""
    errors: list[dict[str, Any]] = field(default_factory=list)
    _inputs: int = 0
    _ids: set[str] = field(default_factory=set)

    def note(self, error: BadRequest, line: int | None) -> None:
        """Add to the list of errors; ``line`` is None for the whole file, and goes first."""
        told = {"code": error.code, "message": error.message, "param": error.param}
        self.errors.insert(0 if line is None else len(self.errors), told | {"line": line})

    def check_line(self, line: bytes) -> None:
        """Check one line. Raises BadRequest for the first thing that is wrong."""
        if not line.strip():
            return
        self.total += 1
        data = _parse(line)
        for name, kind in FIELDS.items():
            _check_field(data, name, kind)
        if data["custom_id"] in self._ids:
            raise BadRequest(DUPLICATE, param="custom_id", code="duplicate_custom_id")
        self._ids.add(data["custom_id"])
        if data["method"] != "POST":
            message = "The method of a request must be 'POST'."
            raise BadRequest(message, param="method", code="invalid_method")
        if data["url"] != self.endpoint:
            message = "The URL provided for this request does not match the batch endpoint."
            raise BadRequest(message, param="url", code="invalid_url")
        self._check_model(data["body"])
        inputs = data["body"].get("input")
        many = isinstance(inputs, list) and bool(inputs) and not isinstance(inputs[0], int)
        self._inputs += len(inputs) if many else 1

    def check_whole(self) -> None:
        """Check what only the whole file shows. Raises BadRequest."""
        if self.total == 0:
            raise BadRequest("The batch file has no requests in it.", code="empty_file")
        if self.total > MOST_LINES:
            message = f"A batch can have at most {MOST_LINES} requests. Split the file."
            raise BadRequest(message, code="too_many_tasks")
        if self.endpoint == "/v1/embeddings" and self._inputs > MOST_INPUTS:
            message = f"A batch can have at most {MOST_INPUTS} inputs to embed. Split the file."
            raise BadRequest(message, code="too_many_tasks")

    def _check_model(self, body: dict[str, Any]) -> None:
        _check_field(body, "model", str, "body.")
        model = body["model"]
        if not self.model and not self.knows(model):
            message = f"The provided model '{model}' does not exist or you have no access to it."
            raise BadRequest(message, param="body.model", code="model_not_found")
        self.model = self.model or model
        if model != self.model:
            raise BadRequest(
                f"The provided model '{model}' is not the model of the lines before, "
                f"'{self.model}'. A batch goes to one model.",
                param="body.model",
                code="model_mismatch",
            )


def _parse(line: bytes) -> dict[str, Any]:
    try:
        data = from_json(line, allow_inf_nan=False)
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise BadRequest("This line is not parseable as valid JSON.", code="invalid_json_line")
    return data


def _check_field(data: dict[str, Any], name: str, kind: type, where: str = "") -> None:
    value, param = data.get(name), where + name
    if value is None or value == "":
        message = f"Missing required parameter: '{param}'."
        raise BadRequest(message, param=param, code="missing_required_parameter")
    if not isinstance(value, kind):
        message = f"Invalid type for '{param}': expected {KINDS[kind]}."
        raise BadRequest(message, param=param, code="invalid_type")
