"""`heroes complete` and `heroes chat`: ask a model."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer

from heroes.answers import only_chats, print_answer
from heroes.endpoint import client
from heroes.options import (
    MAX_TOKENS,
    Agreed,
    Json,
    MaxTokens,
    MaxUsd,
    Model,
    Seed,
    Stop,
    Temperature,
)
from heroes.output import CommandError, note
from heroes.paying import agree


def complete(
    prompt: Annotated[
        str, typer.Option("--prompt", "-p", help="The text to continue; - reads it from a pipe.")
    ],
    model: Model = None,
    max_tokens: MaxTokens = MAX_TOKENS,
    temperature: Temperature = None,
    seed: Seed = None,
    stop: Stop = None,
    max_usd: MaxUsd = None,
    yes: Agreed = False,
    json: Json = False,
) -> None:
    """Let a model continue a text, as models tuned on prompt/completion pairs do.

    A model that only chats is asked in a chat instead.

    Example: heroes complete -m superhero-mini -p "40, woman, Healing ->" --stop " END"
    """
    import openai

    text = _from_pipe() if prompt == "-" else prompt
    call, chat_options = _call(model, temperature, seed, stop)
    _agree(text, call["model"], max_tokens, yes, max_usd)
    with client() as api:
        try:
            print_answer(api.completions.create, json, prompt=text, max_tokens=max_tokens, **call)
        except openai.APIStatusError as error:
            if not only_chats(error):
                raise
            note(f"{call['model']} does not complete texts here, so it is asked in a chat.")
            call |= {"max_completion_tokens": max_tokens, **chat_options}
            messages = [{"role": "user", "content": text}]
            print_answer(api.chat.completions.create, json, messages=messages, **call)


def chat(
    prompt: Annotated[
        str | None, typer.Argument(help="What to ask; without it, a conversation begins.")
    ] = None,
    model: Model = None,
    system: Annotated[
        str | None, typer.Option("--system", "-s", help="How the model should behave.")
    ] = None,
    max_tokens: MaxTokens = MAX_TOKENS,
    temperature: Temperature = None,
    seed: Seed = None,
    stop: Stop = None,
    max_usd: MaxUsd = None,
    yes: Agreed = False,
    json: Json = False,
) -> None:
    """Ask a model once, or talk with it until Ctrl-D.

    Example: heroes chat "Who are you?"
    """
    call, options = _call(model, temperature, seed, stop)
    call |= {"max_completion_tokens": max_tokens, **options}
    messages: list[dict[str, str]] = [{"role": "system", "content": system}] if system else []
    if prompt is None and not sys.stdin.isatty():
        prompt = _from_pipe()
    if prompt is None and json:
        raise typer.BadParameter("It needs a prompt.", param_hint="--json")

    def ask(question: str) -> None:
        """Every turn sends the whole conversation again, so every turn is agreed to."""
        asked = [*messages, {"role": "user", "content": question}]
        text = "\n".join(message["content"] for message in asked)
        _agree(text, call["model"], max_tokens, yes, max_usd)
        said = print_answer(api.chat.completions.create, json, messages=asked, **call)
        messages[:] = [*asked, {"role": "assistant", "content": said}]

    with client() as api:
        if prompt is not None:
            ask(prompt)
        else:
            note(f"You talk with {call['model']}. Ctrl-D ends it, Ctrl-C an answer.")
            _converse(ask)


def _call(
    model: str | None, temperature: float | None, seed: int | None, stop: list[str] | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments that both endpoints take, and those that only a chat needs."""
    from helpers.settings import load_settings

    settings = load_settings()
    name = model or settings.generator_model
    given = {"temperature": temperature, "seed": seed, "stop": stop or None}
    call = {"model": name} | {key: value for key, value in given.items() if value is not None}
    return call, settings.options_for(name)


def _agree(text: str, model: str, max_tokens: int, yes: bool, max_usd: float | None) -> None:
    from helpers.money import estimate_answer
    from helpers.settings import load_settings

    estimate = estimate_answer(text, model, max_tokens, provider=load_settings().provider)
    agree(estimate, yes, max_usd)


def _converse(ask: Callable[[str], None]) -> None:
    """Question and answer in turns, until Ctrl-D or an empty line. Ctrl-C ends an answer."""
    while True:
        try:
            question = input("you> ").strip()
        except EOFError:
            print()
            return
        if not question:
            return
        try:
            ask(question)
        except KeyboardInterrupt:
            note("\n(stopped)")


def _from_pipe() -> str:
    text = sys.stdin.read().strip("\r\n") if not sys.stdin.isatty() else ""
    if not text:
        raise CommandError("There is no prompt: give one, or pipe one in.")
    return text
