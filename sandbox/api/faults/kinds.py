"""The faults there are: what each does, in the hosted API's words, and how one is asked for."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, TypeAdapter, ValidationError

from sandbox.api.errors import ApiError, BadRequest
from sandbox.api.faults.calls import AIMS, Call
from sandbox.api.retry_after import limit_headers, rate_limited

LIMIT = 3  # requests a minute: what a new hosted account has had
LIMIT_OF_TOKENS = {
    "x-ratelimit-limit-tokens": "40000",
    "x-ratelimit-remaining-tokens": "39960",
    "x-ratelimit-reset-tokens": "60ms",
}
SERVER_ERRORS = {
    500: "The server had an error while processing your request. Sorry about that!",
    502: "Bad gateway.",
    503: "The engine is currently overloaded, please try again later.",
    504: "Gateway timeout.",
}
NO_QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more "
    "information on this error, read the docs: "
    "https://platform.openai.com/docs/guides/error-codes/api-errors."
)
NO_TRAINING = (
    "OpenAI is winding down the fine-tuning platform and your organization is no longer able to "
    "create new fine-tuning training jobs. Learn more: "
    "https://developers.openai.com/api/docs/deprecations"
)
RETIRED = (
    "The model `{model}` has been deprecated, learn more here: "
    "https://platform.openai.com/docs/deprecations"
)
FLAGGED = (
    "Invalid prompt: your prompt was flagged as potentially violating our usage policy. Please try "
    "again with a different prompt: "
    "https://platform.openai.com/docs/guides/reasoning#advice-on-prompting"
)


@dataclass(frozen=True)
class Detail:
    """What a client may say about a fault; without a default, it must."""

    name: str
    type: Any
    default: Any = None


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{3}", value) else value


def _seconds(most: float) -> Any:
    return Annotated[float, Field(ge=0.01, le=most, allow_inf_nan=False)]


RETRY_AFTER = Detail("retry_after", Annotated[int, Field(ge=1, le=120)], 1)  # seconds
# As text, too: that is how a header brings it.
STATUS = Detail("status", Annotated[Literal[500, 502, 503, 504], BeforeValidator(_number)], 500)
CHUNKS = Detail("chunks", Annotated[int, Field(ge=1, le=100_000)], 4)
STEPS = Detail("steps", Annotated[int, Field(ge=1, le=1_000_000)])
# Numbers of lines in the training file: "4, 13".
LINES = Annotated[
    str,
    BeforeValidator(lambda value: ", ".join(re.split(r"\s*,\s*", str(value).strip()))),
    StringConstraints(pattern=r"^[0-9]{1,9}(, [0-9]{1,9}){0,49}$"),
]

# What a call gets in place of its answer, by the value of the detail. None: it is answered as ever.
Answer = Callable[[Call, Any], ApiError | None]


def _says(status: int, code: str | None, message: str, kind: str = ApiError.type) -> Answer:
    def answer(call: Call, _: Any) -> ApiError:
        error = ApiError(message.format(model=call.model), code=code)
        error.status, error.type = status, kind
        return error

    return answer


def _rate_limit(call: Call, seconds: int) -> ApiError:
    error = rate_limited(call.model or "requests", LIMIT, seconds)
    error.headers |= limit_headers(LIMIT, 0, seconds) | LIMIT_OF_TOKENS
    return error


def _server_error(call: Call, status: int) -> ApiError | None:
    return _says(status, None, SERVER_ERRORS[status], "server_error")(call, status)


def _flagged(call: Call, lines: str) -> ApiError | None:
    # A job is created, and fails.
    return None if "job" in call.aims else _says(400, "invalid_prompt", FLAGGED)(call, lines)


@dataclass(frozen=True)
class Kind:
    """A kind of fault. ``aims`` are the calls that it can happen to (see calls.py).

    It is an answer, or happens to the ``traffic`` (the field of Traffic that its detail is for),
    or is kept with the job that the call creates.
    """

    name: str
    what: str
    aims: tuple[str, ...]
    detail: Detail | None = None
    answer: Answer = lambda call, value: None
    traffic: str = ""

    @property
    def happens_to(self) -> str:
        """The aims in words."""
        return " or ".join(AIMS[aim] for aim in self.aims)


_ROWS = (
    Kind("rate_limit", "429: too many calls. Ask again soon.", ("any",), RETRY_AFTER, _rate_limit),
    Kind(
        "insufficient_quota",
        "429: the money is used up.",
        ("model", "job"),
        answer=_says(429, "insufficient_quota", NO_QUOTA, "insufficient_quota"),
    ),
    Kind("server_error", "500 to 504: the provider has failed.", ("any",), STATUS, _server_error),
    Kind(
        "timeout",
        "The work is done, but the answer comes too late.",
        ("any",),
        Detail("seconds", _seconds(600), 5),
        traffic="late",
    ),
    Kind(
        "slow_stream",
        "A stream that waits before each piece.",
        ("stream",),
        Detail("seconds", _seconds(60), 0.5),
        traffic="slow",
    ),
    Kind(
        "broken_stream",
        "A stream whose connection is cut.",
        ("stream",),
        CHUNKS,
        traffic="most",
    ),
    Kind(
        "training_not_available",
        "403: this account may not train models.",
        ("job",),
        answer=_says(403, "training_not_available", NO_TRAINING),
    ),
    Kind(
        "model_retired",
        "404: the model is gone for good.",
        ("model", "job"),
        answer=_says(404, "model_not_found", RETIRED),
    ),
    Kind(
        "moderation",
        "400: the prompt is flagged; or the job fails, because its file is.",
        ("text", "job"),
        Detail("lines", LINES, "1"),
        _flagged,
    ),
    Kind(
        "job_fails_after_N_steps", "The job fails in the middle of its training.", ("job",), STEPS
    ),
)
KINDS = {kind.name: kind for kind in _ROWS}


@dataclass
class Fault:
    """A fault that was asked for, with the value of its detail; ``left`` counts its calls down."""

    kind: Kind
    value: Any
    left: int = 1

    @property
    def name(self) -> str:
        """The name that asks for this very fault."""
        return self.kind.name.replace("_N_", f"_{self.value}_")

    @property
    def details(self) -> dict[str, Any]:
        """The detail by its name, if the fault has one."""
        return {self.kind.detail.name: self.value} if self.kind.detail else {}


def build_fault(name: str, details: dict[str, Any]) -> Fault:
    """Return the fault of this name. Raises BadRequest for a name or a detail that is unknown."""
    inside = re.fullmatch(r"job_fails_after_([0-9]{1,9})_steps", name)
    if inside:
        name, details = "job_fails_after_N_steps", details | {"steps": inside[1]}
    kind = KINDS.get(name)
    if kind is None:
        known = ", ".join(KINDS)
        raise BadRequest(f"There is no fault '{name}'. There are: {known}.", code="unknown_fault")
    has = kind.detail.name if kind.detail else None
    if unknown := [key for key in details if key != has]:
        text = f"The fault '{name}' has no detail '{unknown[0]}' (it has: {has or 'none'})."
        raise BadRequest(text)
    if kind.detail is None:
        return Fault(kind, None)
    if kind.detail is STEPS and not details:
        raise BadRequest(
            "After how many steps? Write the number into the name (job_fails_after_20_steps) or "
            "give 'steps'.",
            param="steps",
        )
    value = details.get(has, kind.detail.default)
    try:
        return Fault(kind, TypeAdapter(kind.detail.type).validate_python(value))
    except ValidationError as error:
        text = f"Invalid '{has}' of a fault: {error.errors()[0]['msg']}."
        raise BadRequest(text, param=has) from error


def parse_header(text: str) -> Fault:
    """Return the fault of a header, NAME or NAME;key=value. Raises BadRequest."""
    name, *pairs = [part.strip() for part in text.split(";")]
    details: dict[str, Any] = {}
    for pair in filter(None, pairs):
        key, equals, value = pair.partition("=")
        if not equals:
            raise BadRequest(f"X-Sandbox-Fault: '{pair}' has no '='. Write NAME;key=value")
        details[key.strip()] = value.strip()
    return build_fault(name, details)
