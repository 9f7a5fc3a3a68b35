"""`heroes complete` and `heroes chat`: hear what a model says."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from heroes.output import CommandError, Json, client, note, printable, show_json
from heroes.paying import Agreed, MaxUsd, agree

if TYPE_CHECKING:
    import openai
    from openai import OpenAI

Model = Annotated[
    str | None, typer.Option("--model", "-m", help="Which model; by default the endpoint's own.")
]
MaxTokens = Annotated[int, typer.Option(min=1, help="The longest answer, in tokens.")]
Temperature = Annotated[
    float | None, typer.Option(min=0, max=2, help="0: always the likeliest token; 1: as it comes.")
]
Seed = Annotated[int | None, typer.Option(help="The same seed gives the same answer, if it can.")]
Stop = Annotated[
    list[str] | None, typer.Option(help='Stop before this text, such as " END"; may be repeated.')
]
Messages = list[dict[str, str]]
ADDRESS = "Look at OPENAI_BASE_URL: it usually ends in /v1."
MAX_TOKENS = 300  # a description has about 130


def complete(
    prompt: Annotated[
        str, typer.Option("--prompt", "-p", help="The text to go on with; - reads it from a pipe.")
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
            if json:
                _show(api.completions.create(prompt=text, max_tokens=max_tokens, **call))
                return
            with api.completions.create(
                prompt=text, max_tokens=max_tokens, stream=True, **call
            ) as stream:
                _say((c.text, c.finish_reason) for chunk in stream for c in chunk.choices)
        except openai.APIStatusError as error:
            if not _only_chats(error):
                raise
            note(f"{call['model']} does not complete texts here, so it is asked in a chat.")
            limit = {"max_completion_tokens": max_tokens}
            message = {"role": "user", "content": text}
            _answer(api, [message], {**call, **limit, **chat_options}, json)


def chat(
    prompt: Annotated[
        str | None, typer.Argument(help="What to ask; without it, a conversation begins.")
    ] = None,
    model: Model = None,
    system: Annotated[
        str | None, typer.Option("--system", "-s", help="How the model is to behave.")
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
    messages: Messages = [{"role": "system", "content": system}] if system else []
    if prompt is None and not sys.stdin.isatty():
        prompt = _from_pipe()
    if prompt is None and json:
        raise typer.BadParameter("It needs a prompt.", param_hint="--json")
    if prompt is None:
        _converse(messages, call, yes, max_usd)
        return
    messages.append({"role": "user", "content": prompt})
    _agree(_text(messages), call["model"], max_tokens, yes, max_usd)
    with client() as api:
        _answer(api, messages, call, json)


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


def _text(messages: Messages) -> str:
    return "\n".join(message["content"] for message in messages)


def _only_chats(error: openai.APIStatusError) -> bool:
    """Does this error say that the model, or the whole server, has no completions endpoint?"""
    if error.status_code in (405, 501) or "v1/chat/completions" in error.message:
        return True
    # A model that does not exist has a code; a route that does not exist has none.
    return error.status_code == 404 and error.code in (None, "not_found", "404")


def _answer(api: OpenAI, messages: Messages, call: dict[str, Any], json: bool) -> str:
    if json:
        _show(api.chat.completions.create(messages=messages, **call))
        return ""
    with api.chat.completions.create(messages=messages, stream=True, **call) as stream:
        return _say(
            (c.delta.content or "", c.finish_reason) for chunk in stream for c in chunk.choices
        )


def _show(answer: object) -> None:
    if isinstance(answer, str):  # what the SDK makes of a web page
        raise CommandError(f"That was a web page. {ADDRESS}")
    show_json(answer)


def _converse(messages: Messages, call: dict[str, Any], yes: bool, max_usd: float | None) -> None:
    """Question and answer in turns. Ctrl-C ends an answer, Ctrl-D or an empty line all of it."""
    note(f"You talk with {call['model']}. An empty line or Ctrl-D ends it, Ctrl-C an answer.")
    with client() as api:
        while question := _hear():
            asked = [*messages, {"role": "user", "content": question}]
            # Every turn sends the whole conversation again, so every turn is agreed to.
            _agree(_text(asked), call["model"], call["max_completion_tokens"], yes, max_usd)
            try:
                said = _answer(api, asked, call, json=False)
            except KeyboardInterrupt:
                note("\n(stopped)")
                continue
            messages = [*asked, {"role": "assistant", "content": said}]


def _hear() -> str:
    try:
        return input("you> ").strip()
    except EOFError:
        print()
        return ""


def _say(pieces: Iterable[tuple[str, str | None]]) -> str:
    """Print an answer, (text, finish_reason) by piece, as it comes; returns all of it."""
    import httpx2
    import openai

    said, why = [], None
    try:
        for text, reason in pieces:
            said.append(text)
            why = reason or why
            sys.stdout.write(printable(text))
            sys.stdout.flush()
    except (openai.APIError, httpx2.HTTPError) as error:
        if not said:
            raise
        words = "The answer broke off in the middle. Try the same command again."
        raise CommandError(words) from error
    finally:  # what is printed next begins on a line of its own
        if said:
            sys.stdout.write("\n")
    if not said:
        raise CommandError(f"No words came (--json shows the answer). {ADDRESS}")
    if why == "length":
        note("(cut off: --max-tokens allows a longer answer)")
    elif why == "content_filter":
        note("(cut off by the provider's filter)")
    return "".join(said)


def _from_pipe() -> str:
    text = sys.stdin.read().strip("\r\n") if not sys.stdin.isatty() else ""
    if not text:
        raise CommandError("There is no prompt: give one, or pipe one in.")
    return text
