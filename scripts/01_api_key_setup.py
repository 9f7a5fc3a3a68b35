"""Notebook 01 in short: is the key right, what does a wrong one say, and a first conversation.

python scripts/01_api_key_setup.py "What is a token?"
"""

from __future__ import annotations

import argparse

import openai

from course.env_file import check_env_file
from helpers.connect import connect
from helpers.settings import env_path, load_settings

PERSONA = (
    "You are a stand-up comic performing to an audience of data scientists. "
    "Your specialist genre is dad jokes."
)


def show_env_file() -> None:
    """What is wrong with `.env`, and how to mend it. The key itself is never printed."""
    path = env_path()
    found = check_env_file(path) if path.is_file() else []
    print("The .env file:", *found or ["nothing to mend." if path.is_file() else "there is none."])


def show_a_wrong_key(client: openai.OpenAI) -> None:
    """Servers answer a key that they do not know with the status 401."""
    try:
        client.with_options(api_key="sk-wrong-key").models.list()
    except openai.AuthenticationError as error:
        print(f"A wrong key: {error.status_code} {error.code}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("question", nargs="?", default="What can you do?")
    question = parser.parse_args().question

    show_env_file()
    client, settings = connect(), load_settings()
    show_a_wrong_key(client)

    chat = {"model": settings.generator_model, **settings.chat_options}
    answer = client.chat.completions.create(
        messages=[{"role": "user", "content": question}], max_completion_tokens=150, **chat
    )
    choice, usage = answer.choices[0], answer.usage
    print(f"\nYou: {question}\nModel: {choice.message.content}")
    print(f"({usage.prompt_tokens} + {usage.completion_tokens} tokens, {choice.finish_reason})")

    print("\nThe same model with a system message, as it writes:")
    stream = client.chat.completions.create(
        messages=[
            {"role": "system", "content": PERSONA},
            {"role": "user", "content": "Write a joke about statistics."},
        ],
        max_completion_tokens=150,
        stream=True,
        **chat,
    )
    for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            print(chunk.choices[0].delta.content, end="", flush=True)
    print()


if __name__ == "__main__":
    main()
