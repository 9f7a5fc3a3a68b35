"""The file of a batch: one request a line, with the id that its answer will carry."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic_core import from_json

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


@dataclass(frozen=True)
class Summary:
    """What a whole file holds: its requests and the model they name, or what is wrong with it."""

    total: int = 0
    model: str = ""
    errors: list[dict[str, Any]] = field(default_factory=list)


class LineFault(Exception):
    """What is wrong with one line, or with the whole file."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.param = code, message, param

    def entry(self, line: int | None) -> dict[str, Any]:
        """Return the entry in the batch's list of errors; ``line`` is None for the whole file."""
        return {"code": self.code, "line": line, "message": self.message, "param": self.param}


def read_lines(path: Path) -> Iterator[BatchLine]:
    """Yield the requests of a file that ``check_file`` has found good."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                data = from_json(line, allow_inf_nan=False)
                yield BatchLine(number, data["custom_id"], data["body"])


def check_file(path: Path, endpoint: str, knows: Callable[[str], bool]) -> Summary:
    """Check every line; ``knows`` tells whether there is a model of that name."""
    if path.stat().st_size > MOST_BYTES:
        message = f"The batch file is larger than {MOST_BYTES // 1024**2} MB. Split it."
        return Summary(errors=[LineFault("file_too_large", message).entry(None)])
    check = _Check(endpoint, knows)
    errors: list[dict[str, Any]] = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                check.line(line)
            except LineFault as fault:
                errors.append(fault.entry(number))
            if len(errors) == MOST_ERRORS or check.total > MOST_LINES:
                break
    try:
        check.whole()
    except LineFault as fault:
        errors.insert(0, fault.entry(None))
    return Summary(check.total, check.model or "", errors)


class _Check:
    """What is remembered from line to line."""

    def __init__(self, endpoint: str, knows: Callable[[str], bool]) -> None:
        self.endpoint = endpoint
        self.knows = knows
        self.total = 0
        self.model: str | None = None
        self._inputs = 0
        self._ids: set[str] = set()

    def line(self, line: bytes) -> None:
        """Check one line. Raises LineFault for the first thing that is wrong."""
        if not line.strip():
            return
        self.total += 1
        data = _parse(line)
        for name, kind in FIELDS.items():
            _check_field(data, name, kind)
        if data["custom_id"] in self._ids:
            raise LineFault("duplicate_custom_id", DUPLICATE, "custom_id")
        self._ids.add(data["custom_id"])
        if data["method"] != "POST":
            raise LineFault("invalid_method", "The method of a request must be 'POST'.", "method")
        if data["url"] != self.endpoint:
            message = "The URL provided for this request does not match the batch endpoint."
            raise LineFault("invalid_url", message, "url")
        self._check_model(data["body"])
        inputs = data["body"].get("input")
        many = isinstance(inputs, list) and bool(inputs) and not isinstance(inputs[0], int)
        self._inputs += len(inputs) if many else 1

    def whole(self) -> None:
        """Check what only the whole file shows. Raises LineFault."""
        if self.total == 0:
            raise LineFault("empty_file", "The batch file has no requests in it.")
        if self.total > MOST_LINES:
            message = f"A batch can have at most {MOST_LINES} requests. Split the file."
            raise LineFault("too_many_tasks", message)
        if self.endpoint == "/v1/embeddings" and self._inputs > MOST_INPUTS:
            message = f"A batch can have at most {MOST_INPUTS} inputs to embed. Split the file."
            raise LineFault("too_many_tasks", message)

    def _check_model(self, body: dict[str, Any]) -> None:
        _check_field(body, "model", str, "body.")
        model = body["model"]
        if self.model is None and not self.knows(model):
            message = f"The provided model '{model}' does not exist or you have no access to it."
            raise LineFault("model_not_found", message, "body.model")
        self.model = self.model or model
        if model != self.model:
            raise LineFault(
                "model_mismatch",
                f"The provided model '{model}' is not the model of the lines before, "
                f"'{self.model}'. A batch goes to one model.",
                "body.model",
            )


def _parse(line: bytes) -> dict[str, Any]:
    try:
        data = from_json(line, allow_inf_nan=False)
    except ValueError:
        data = None
    if not isinstance(data, dict):
        raise LineFault("invalid_json_line", "This line is not parseable as valid JSON.")
    return data


def _check_field(data: dict[str, Any], name: str, kind: type, where: str = "") -> None:
    value = data.get(name)
    if value is None or value == "":
        raise LineFault(
            "missing_required_parameter",
            f"Missing required parameter: '{where}{name}'.",
            where + name,
        )
    if not isinstance(value, kind):
        message = f"Invalid type for '{where}{name}': expected {KINDS[kind]}."
        raise LineFault("invalid_type", message, where + name)
