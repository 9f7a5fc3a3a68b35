"""`heroes complete` and `heroes chat`: hear what a model says."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from heroes import defaults
from heroes.output import CommandError, Json, client, note, plainly, printable, show_json
from heroes.paying import Agreed, MaxUsd, paying

if TYPE_CHECKING:
    from openai import OpenAI

    from helpers.money import Estimate
    from heroes.talk import Messages, Piece, Wish

Model = Annotated[
    str | None,
    typer.Option("--model", "-m", help="Who shall answer; the endpoint's own model by default."),
]
MaxTokens = Annotated[int, typer.Option(min=1, help="The longest answer, in tokens.")]
Temperature = Annotated[
    float | None, typer.Option(min=0, max=2, help="0: always the likeliest word; 1: as it comes.")
]
Seed = Annotated[int | None, typer.Option(help="The same seed gives the same answer, if it can.")]
Stop = Annotated[
    list[str] | None, typer.Option(help='Stop before this text, such as " END"; may be repeated.')
]


@plainly
def complete(
    prompt: Annotated[
        str, typer.Option("--prompt", "-p", help="The text to go on with; - reads it from a pipe.")
    ],
    model: Model = None,
    max_tokens: MaxTokens = defaults.MAX_TOKENS,
    temperature: Temperature = None,
    seed: Seed = None,
    stop: Stop = None,
    max_usd: MaxUsd = None,
    yes: Agreed = False,
    json: Json = False,
) -> None:
    """Let a model go on with a text, as models tuned on prompt/completion pairs do.

    A model that only chats is asked in a chat instead.

    Example: heroes complete -m superhero-mini -p "40, woman, Healing ->" --stop " END"
    """
    import openai

    from heroes import talk

    text = _from_pipe() if prompt == "-" else prompt
    wish = _wish(model, max_tokens, temperature, seed, stop)
    with paying(_estimate(wish, text), yes, max_usd), client() as api:
        try:
            if json:
                show_json(talk.complete(api, text, wish))
            else:
                _say(talk.complete_pieces(api, text, wish))
        except openai.APIStatusError as error:
            if not talk.only_chats(error):
                raise
            note(f"{wish.model} does not complete texts here, so it is asked in a chat.")
            _answer(api, [{"role": "user", "content": text}], wish, json)


@plainly
def chat(
    prompt: Annotated[
        str | None, typer.Argument(help="What to ask; without it, a conversation begins.")
    ] = None,
    model: Model = None,
    system: Annotated[
        str | None, typer.Option("--system", "-s", help="How the model shall behave.")
    ] = None,
    max_tokens: MaxTokens = defaults.MAX_TOKENS,
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
    wish = _wish(model, max_tokens, temperature, seed, stop)
    start: Messages = [{"role": "system", "content": system}] if system else []
    if prompt is None and not sys.stdin.isatty():
        prompt = _from_pipe()
    if prompt is None and json:
        raise typer.BadParameter("It needs a prompt.", param_hint="--json")
    question = "" if prompt is None else prompt
    with paying(_estimate(wish, f"{system or ''}{question}"), yes, max_usd), client() as api:
        if prompt is None:
            _converse(api, start, wish)
        else:
            _answer(api, [*start, {"role": "user", "content": prompt}], wish, json)


def _wish(
    model: str | None,
    max_tokens: int,
    temperature: float | None,
    seed: int | None,
    stop: list[str] | None,
) -> Wish:
    from helpers.settings import load_settings
    from heroes.talk import Wish

    settings = load_settings()
    name = model or settings.generator_model
    return Wish(name, max_tokens, temperature, seed, stop or [], settings.options_for(name))


def _estimate(wish: Wish, text: str) -> Estimate:
    from helpers.money import estimate_answer
    from helpers.settings import load_settings

    provider = load_settings().provider
    return estimate_answer(text, wish.model, wish.max_tokens, provider=provider)


def _answer(api: OpenAI, messages: Messages, wish: Wish, json: bool) -> None:
    from heroes import talk

    if json:
        show_json(talk.chat(api, messages, wish))
    else:
        _say(talk.chat_pieces(api, messages, wish))


def _converse(api: OpenAI, start: Messages, wish: Wish) -> None:
    """Question and answer in turns. Ctrl-C ends an answer, Ctrl-D or an empty line the talk."""
    from heroes import talk

    note(f"You talk with {wish.model}. An empty line or Ctrl-D ends it, Ctrl-C stops an answer.")
    messages = list(start)
    while question := _hear():
        messages.append({"role": "user", "content": question})
        try:
            said = _say(talk.chat_pieces(api, messages, wish))
        except KeyboardInterrupt:
            note("\n(stopped)")
            messages.pop()
            continue
        messages.append({"role": "assistant", "content": said})


def _hear() -> str:
    try:
        return input("you> ").strip()
    except EOFError:
        print()
        return ""


def _say(pieces: Iterator[Piece]) -> str:
    """Print an answer as it comes, and return it."""
    import httpx2
    import openai

    said, why = [], None
    try:
        for piece in pieces:
            said.append(piece.text)
            why = piece.finish_reason or why
            sys.stdout.write(printable(piece.text))
            sys.stdout.flush()
    except (openai.APIError, httpx2.HTTPError) as error:
        if not said:
            raise
        words = "The answer broke off in the middle. Try the same command again."
        raise CommandError(words) from error
    finally:  # whatever is told next begins on a line of its own
        if said:
            sys.stdout.write("\n")
    if not said:
        raise CommandError("There came no stream of words. --json shows what the server answers.")
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
