"""The faults that are answers: the hosted API's own words, status, codes and headers."""

from collections.abc import Callable
from typing import Any

from sandbox.api.errors import (
    ApiError,
    Flagged,
    ModelRetired,
    QuotaExceeded,
    ServerError,
    TrainingNotAvailable,
)
from sandbox.api.faults.calls import Call
from sandbox.api.faults.kinds import Fault
from sandbox.api.rate_limits import limit_headers, rate_limited

LIMIT = 3  # requests a minute: what a new hosted account has had
SERVER_WORDS = {
    500: "The server had an error while processing your request. Sorry about that!",
    502: "Bad gateway.",
    503: "The engine is currently overloaded, please try again later.",
    504: "Gateway timeout.",
}
FLAGGED_FILE = (
    "The job failed due to an invalid training file. This training file was blocked by our "
    "moderation system because it contains too many examples that violate the usage policies. "
    "Flagged lines: {lines}."
)


def error_for(fault: Fault, call: Call) -> ApiError | None:
    """Return the answer of a fault, or None if the fault is not an answer but an event."""
    if fault.kind.name == "moderation" and "job" in call.aims:
        return None  # the job is created, and fails
    build = _ANSWERS.get(fault.kind.name)
    return build(fault.details, call) if build else None


def _rate_limit(details: dict[str, Any], call: Call) -> ApiError:
    seconds = details["retry_after"]
    error = rate_limited(call.model or "requests", LIMIT, seconds)
    error.headers |= limit_headers(LIMIT, 0, seconds)
    error.headers |= {
        "x-ratelimit-limit-tokens": "40000",
        "x-ratelimit-remaining-tokens": "39960",
        "x-ratelimit-reset-tokens": "60ms",
    }
    return error


def _quota(_: dict[str, Any], __: Call) -> ApiError:
    return QuotaExceeded(
        "You exceeded your current quota, please check your plan and billing details. For more "
        "information on this error, read the docs: "
        "https://platform.openai.com/docs/guides/error-codes/api-errors."
    )


def _server_error(details: dict[str, Any], _: Call) -> ApiError:
    error = ServerError(SERVER_WORDS[details["status"]])
    error.status = details["status"]
    return error


def _no_training(_: dict[str, Any], __: Call) -> ApiError:
    return TrainingNotAvailable(
        "OpenAI is winding down the fine-tuning platform and your organization is no longer able "
        "to create new fine-tuning training jobs. Learn more: "
        "https://developers.openai.com/api/docs/deprecations"
    )


def _retired(_: dict[str, Any], call: Call) -> ApiError:
    return ModelRetired(
        f"The model `{call.model}` has been deprecated, learn more here: "
        "https://platform.openai.com/docs/deprecations"
    )


def _flagged(_: dict[str, Any], __: Call) -> ApiError:
    return Flagged(
        "Invalid prompt: your prompt was flagged as potentially violating our usage policy. "
        "Please try again with a different prompt: "
        "https://platform.openai.com/docs/guides/reasoning#advice-on-prompting"
    )


_ANSWERS: dict[str, Callable[[dict[str, Any], Call], ApiError]] = {
    "rate_limit": _rate_limit,
    "insufficient_quota": _quota,
    "server_error": _server_error,
    "training_not_available": _no_training,
    "model_retired": _retired,
    "moderation": _flagged,
}
