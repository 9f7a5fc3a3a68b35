"""The faults there are: what may be said about each, and the hosted API's words for it."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from starlette.types import Receive, Send

from sandbox.api.errors import (
    ApiError,
    BadRequest,
    Forbidden,
    NotFound,
    RateLimited,
    ServerError,
)
from sandbox.api.faults.calls import Call
from sandbox.api.faults.traffic import Broken, Late, Slow, Traffic
from sandbox.api.retry_after import limit_headers, rate_limited

LIMIT = 3  # requests a minute: what a new hosted account has had
SERVER_WORDS = {
    500: "The server had an error while processing your request. Sorry about that!",
    502: "Bad gateway.",
    503: "The engine is currently overloaded, please try again later.",
    504: "Gateway timeout.",
}


class Fault(BaseModel):
    """A fault that was asked for. A kind is a subclass; its fields are what a client may set.

    ``aims`` are the calls that it can happen to (see calls.py).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    name: ClassVar[str]
    what: ClassVar[str]
    aims: ClassVar[tuple[str, ...]]

    @property
    def asked_as(self) -> str:
        """The name that asks for this very fault."""
        return self.name

    def error(self, call: Call) -> ApiError | None:
        """Return the answer that the call gets, or None if it is answered as ever."""
        return None

    def traffic(self, receive: Receive, send: Send) -> Traffic | None:
        """Return what happens to the call's traffic, or None if nothing does."""
        return None


class RateLimit(Fault):
    name = "rate_limit"
    what = "429: too many calls. Ask again soon."
    aims = ("any",)
    retry_after: Annotated[int, Field(ge=1, le=120)] = 1  # seconds

    def error(self, call: Call) -> ApiError:
        error = rate_limited(call.model or "requests", LIMIT, self.retry_after)
        error.headers |= limit_headers(LIMIT, 0, self.retry_after)
        error.headers |= {
            "x-ratelimit-limit-tokens": "40000",
            "x-ratelimit-remaining-tokens": "39960",
            "x-ratelimit-reset-tokens": "60ms",
        }
        return error


class InsufficientQuota(Fault):
    name = "insufficient_quota"
    what = "429: the money is used up."
    aims = ("model", "job")

    def error(self, call: Call) -> ApiError:
        error = RateLimited(
            "You exceeded your current quota, please check your plan and billing details. For "
            "more information on this error, read the docs: "
            "https://platform.openai.com/docs/guides/error-codes/api-errors.",
            code="insufficient_quota",
        )
        error.type = "insufficient_quota"
        return error


class ServerFault(Fault):
    name = "server_error"
    what = "500 to 504: the provider has failed."
    aims = ("any",)
    # As text, too: that is how a header brings it.
    status: Annotated[Literal[500, 502, 503, 504], BeforeValidator(lambda v: _number(v))] = 500

    def error(self, call: Call) -> ApiError:
        error = ServerError(SERVER_WORDS[self.status])
        error.status = self.status
        return error


class Timeout(Fault):
    name = "timeout"
    what = "The work is done, but the answer comes too late."
    aims = ("any",)
    seconds: Annotated[float, Field(ge=0.01, le=600)] = 5

    def traffic(self, receive: Receive, send: Send) -> Traffic:
        return Late(receive, send, self.seconds)


class SlowStream(Fault):
    name = "slow_stream"
    what = "A stream that waits before each piece."
    aims = ("stream",)
    seconds: Annotated[float, Field(ge=0.01, le=60)] = 0.5

    def traffic(self, receive: Receive, send: Send) -> Traffic:
        return Slow(receive, send, self.seconds)


class BrokenStream(Fault):
    name = "broken_stream"
    what = "A stream whose connection is cut."
    aims = ("stream",)
    chunks: Annotated[int, Field(ge=1, le=100_000)] = 4

    def traffic(self, receive: Receive, send: Send) -> Traffic:
        return Broken(receive, send, self.chunks)


class NoTraining(Fault):
    name = "training_not_available"
    what = "403: this account may not train models."
    aims = ("job",)

    def error(self, call: Call) -> ApiError:
        return Forbidden(
            "OpenAI is winding down the fine-tuning platform and your organization is no longer "
            "able to create new fine-tuning training jobs. Learn more: "
            "https://developers.openai.com/api/docs/deprecations",
            code="training_not_available",
        )


class Retired(Fault):
    name = "model_retired"
    what = "404: the model is gone for good."
    aims = ("model", "job")

    def error(self, call: Call) -> ApiError:
        return NotFound(
            f"The model `{call.model}` has been deprecated, learn more here: "
            "https://platform.openai.com/docs/deprecations",
            code="model_not_found",
        )


class Moderation(Fault):
    name = "moderation"
    what = "400: the prompt is flagged; or the job fails, because its file is."
    aims = ("text", "job")
    lines: Annotated[
        str,
        BeforeValidator(lambda value: ", ".join(re.split(r"\s*,\s*", str(value).strip()))),
        StringConstraints(pattern=r"^[0-9]{1,9}(, [0-9]{1,9}){0,49}$"),
    ] = "1"  # numbers of lines in the training file: "4, 13"

    def error(self, call: Call) -> ApiError | None:
        if "job" in call.aims:
            return None  # the job is created, and fails
        return BadRequest(
            "Invalid prompt: your prompt was flagged as potentially violating our usage policy. "
            "Please try again with a different prompt: "
            "https://platform.openai.com/docs/guides/reasoning#advice-on-prompting",
            code="invalid_prompt",
        )


class JobFails(Fault):
    name = "job_fails_after_N_steps"
    what = "The job fails in the middle of its training."
    aims = ("job",)
    steps: Annotated[int, Field(ge=1, le=1_000_000)]

    @property
    def asked_as(self) -> str:
        return self.name.replace("_N_", f"_{self.steps}_")


KINDS: dict[str, type[Fault]] = {kind.name: kind for kind in Fault.__subclasses__()}


def build_fault(name: str, details: dict[str, Any]) -> Fault:
    """Return the fault of this name. Raises BadRequest for a name or a detail that is unknown."""
    inside = re.fullmatch(r"job_fails_after_([0-9]{1,9})_steps", name)
    if inside:
        name, details = JobFails.name, details | {"steps": inside[1]}
    kind = KINDS.get(name)
    if kind is None:
        raise BadRequest(
            f"There is no fault '{name}'. There are: {', '.join(KINDS)}.", code="unknown_fault"
        )
    try:
        return kind.model_validate(details)
    except ValidationError as error:
        raise _explain(kind, error.errors(include_url=False, include_input=False)) from error


def parse_header(text: str) -> tuple[Fault, int | None]:
    """Return the fault of a header, and how many attempts it is for (None: all of them).

    Raises BadRequest.
    """
    name, *pairs = [part.strip() for part in text.split(";")]
    details: dict[str, Any] = {}
    for pair in filter(None, pairs):
        key, equals, value = pair.partition("=")
        if not equals:
            raise BadRequest(f"X-Sandbox-Fault: '{pair}' has no '='. Write NAME;key=value")
        details[key.strip()] = value.strip()
    times = details.pop("times", None)
    if times is not None and not re.fullmatch(r"[1-9][0-9]{0,2}|1000", times):
        raise BadRequest("'times' of a fault must be a whole number from 1 to 1000.", param="times")
    return build_fault(name, details), None if times is None else int(times)


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{3}", value) else value


def _explain(kind: type[Fault], errors: Sequence[Any]) -> BadRequest:
    first = errors[0]
    param = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        known = ", ".join(kind.model_fields) or "none"
        return BadRequest(f"The fault '{kind.name}' has no detail '{param}' (it has: {known}).")
    if first["type"] == "missing":
        return BadRequest(
            "After how many steps? Write the number into the name (job_fails_after_20_steps) or "
            f"give '{param}'.",
            param=param,
        )
    return BadRequest(f"Invalid '{param}' of a fault: {first['msg']}.", param=param)
