"""Notebook 00 in short: a language model forecasts the next token, and then the next.

python scripts/00_start_here.py
"""

from __future__ import annotations

import math

from openai import OpenAI
from openai.types.chat.chat_completion import Choice

from course.grid import PROMPT
from course.judge import judge
from helpers.connect import connect
from helpers.settings import load_settings

NOTE = "40, woman, Healing ->"


def ask(client: OpenAI, text: str, length: int) -> Choice:
    """At most `length` tokens of an answer, always the likeliest, with the five best candidates."""
    settings = load_settings()
    answer = client.chat.completions.create(
        model=settings.base_model,
        messages=[{"role": "user", "content": text}],
        max_completion_tokens=length,
        temperature=0,
        logprobs=True,
        top_logprobs=5,
        **settings.options_for(settings.base_model),
    )
    return answer.choices[0]


def show_forecast(choice: Choice) -> None:
    """The candidates for the first token, as bars."""
    for candidate in choice.logprobs.content[0].top_logprobs:
        chance = math.exp(candidate.logprob)
        print(f"  {candidate.token!r:<14}{chance:5.0%} {'#' * round(40 * chance)}")


def main() -> None:
    client = connect()

    print("\nHow will the answer to 'Tell me a joke.' begin?")
    show_forecast(ask(client, "Tell me a joke.", 1))

    request = PROMPT.format(age=40, gender="woman", power="Healing")
    print(f"\nToken after token, for the long request:\n  {request}")
    for length in range(1, 13):
        choice = ask(client, request, length)
        newest = choice.logprobs.content[-1]
        print(f"  {math.exp(newest.logprob):4.0%}  {choice.message.content}")

    for title, text in (("the long request", request), ("the short note", NOTE)):
        answer = ask(client, text, 200).message.content
        verdict = "a right hero" if judge(answer, 40, "woman", "Healing") else "not a hero"
        print(f"\nAfter {title} comes {verdict}:\n  {answer}")

    print("\nFine-tuning will make the model understand the short note.")


if __name__ == "__main__":
    main()
