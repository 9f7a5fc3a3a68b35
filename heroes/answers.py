"""A model's answer on the screen: streamed, or whole as JSON."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from heroes.output import CommandError, note, printable, show_json

if TYPE_CHECKING:
    import openai


def only_chats(error: openai.APIStatusError) -> bool:
    """Does this error say that the model, or the whole server, has no completions endpoint?"""
    if error.status_code in (405, 501) or "v1/chat/completions" in error.message:
        return True
    # A model that does not exist has a code; a route that does not exist has none.
    return error.status_code == 404 and error.code in (None, "not_found", "404")


def print_answer(create: Callable[..., Any], json: bool, **call: Any) -> str:
    """Print the answer, as JSON when it is whole or as text while it comes; returns the text."""
    if json:
        show_json(create(**call).to_dict(mode="json"))
        return ""
    with create(stream=True, **call) as stream:
        return _say(choice for chunk in stream for choice in chunk.choices)


def _say(choices: Iterable[Any]) -> str:
    import httpx2
    import openai

    said, why = "", None
    try:
        for choice in choices:
            text = (choice.delta.content if hasattr(choice, "delta") else choice.text) or ""
            said, why = said + text, choice.finish_reason or why
            sys.stdout.write(printable(text))
            sys.stdout.flush()
    except (openai.APIError, httpx2.HTTPError, ValueError) as error:
        if not said:
            raise
        words = "The answer broke off in the middle. Try the same command again."
        raise CommandError(words) from error
    finally:  # what is printed next begins on a line of its own
        if said:
            sys.stdout.write("\n")
    if not said and not why:
        words = "Nothing came (--json shows the answer). Look at OPENAI_BASE_URL: it usually ends"
        raise CommandError(f"{words} in /v1.")
    if not said:
        note("(the model ended its answer before the first word)")
    if why == "length":
        note("(cut off: --max-tokens allows a longer answer)")
    return said
