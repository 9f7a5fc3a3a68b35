"""Notebook 10 in short: what goes wrong on purpose, and which errors are worth another try.

python scripts/10_when_things_go_wrong.py
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import openai
from openai import OpenAI

from course.errors import explain
from helpers.connect import connect
from helpers.settings import load_settings

HERO, HUGE = ([{"role": "user", "content": "Imagine a superhero. " * n}] for n in (1, 200))


def ask(client: OpenAI, **changes: Any) -> str:
    """A short call that works, unless something is changed so that it does not."""
    call = {"model": load_settings().base_model, "messages": HERO, "max_completion_tokens": 20}
    return client.chat.completions.create(**call | changes).choices[0].message.content


def accidents(client: OpenAI) -> dict[str, Callable[[], Any]]:
    """What could happen to you, by name. The sandbox, and only the sandbox, fails on request."""

    def fault(name: str, **options: Any) -> Callable[[], str]:
        headers = {"X-Sandbox-Fault": name}
        return lambda: ask(client.with_options(**options), extra_headers=headers)

    return {
        "a wrong key": lambda: ask(client.with_options(api_key="sk-wrong-key")),
        "a wrong model": lambda: ask(client, model="superhero-maxi"),
        "nobody there": lambda: ask(client.with_options(base_url="http://127.0.0.1:9/v1")),
        "a prompt that is too long": lambda: ask(client, messages=HUGE),
        "too many calls": fault("rate_limit;retry_after=1"),
        "no money left": fault("insufficient_quota"),
        "a sick server": fault("server_error"),
        "an answer that takes too long": fault("timeout;seconds=1", timeout=0.2),
        "code of 2022": lambda: openai.ChatCompletion.create(model="any", messages=HERO),
    }


def worth_another_try(error: Exception) -> bool:
    """Waiting helps against limits and sick servers; nothing else mends itself."""
    if isinstance(error, openai.RateLimitError):
        return error.code != "insufficient_quota"
    return isinstance(error, (openai.APIConnectionError, openai.InternalServerError))


def patiently(call: Callable[[], Any], tries: int = 3) -> Any:
    """Try again where it makes sense, as long after as the server asks for."""
    for left in reversed(range(tries)):
        try:
            return call()
        except openai.APIError as error:
            if not left or not worth_another_try(error):
                raise
            answer = getattr(error, "response", None)
            time.sleep(float(answer.headers.get("retry-after", 1)) if answer is not None else 1)
    raise ValueError("tries must be at least 1")


def main() -> None:
    client = connect().with_options(max_retries=0)  # we want to see the errors
    for name, call in accidents(client).items():
        try:
            call()
        except openai.OpenAIError as error:
            print(f"\n{name}: {type(error).__name__}; again? {worth_another_try(error)}")
            print(f"  {explain(error)}")
    print("\nAnd when all is well:", patiently(lambda: ask(client)))


if __name__ == "__main__":
    main()
