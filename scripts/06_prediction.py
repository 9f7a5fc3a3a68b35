"""Notebook 06 in short: ask the base model and your own model with the same bare note.

python scripts/06_prediction.py --age 40 --gender woman --power Healing
"""

from __future__ import annotations

import argparse

from openai import OpenAI

from course.grid import AGES
from course.judge import judge
from helpers.connect import connect
from helpers.follow import follow
from helpers.jobs import ensure_job
from helpers.settings import load_settings


def ask(client: OpenAI, model: str, note: str, temperature: float = 0) -> str:
    """What the model makes of a bare note: no system message, no explanation."""
    answer = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": note}],
        temperature=temperature,
        max_completion_tokens=200,
        **load_settings().options_for(model),
    )
    return answer.choices[0].message.content


def stream(client: OpenAI, model: str, note: str) -> None:
    """The same, piece by piece as it is written."""
    pieces = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": note}],
        temperature=0.7,
        max_completion_tokens=200,
        stream=True,
        **load_settings().options_for(model),
    )
    for piece in pieces:
        if piece.choices and piece.choices[0].delta.content:
            print(piece.choices[0].delta.content, end="", flush=True)
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--age", type=int, default=40)
    parser.add_argument("--gender", choices=("man", "woman"), default="woman")
    parser.add_argument("--power", default="Healing")
    options = parser.parse_args()

    client, settings = connect(), load_settings()
    job = follow(client, ensure_job(client, settings, "chat").id)
    note = f"{options.age}, {options.gender}, {options.power} ->"

    for name, model in (("base", settings.base_model), ("tuned", job.fine_tuned_model)):
        text = ask(client, model, note)
        print(f"\nThe {name} model after {note!r}:\n  {text}")
        print("The judge:", judge(text, options.age, options.gender, options.power))

    print("\nOnce more, warmer and word by word:")
    stream(client, job.fine_tuned_model, note)

    notes = {age: f"{age}, {options.gender}, {options.power} ->" for age in AGES}
    texts = {age: ask(client, job.fine_tuned_model, note) for age, note in notes.items()}
    passed = [judge(text, age, options.gender, options.power).ok for age, text in texts.items()]
    print(f"\nThe same at {len(passed)} ages: {sum(passed)} pass the judge.")


if __name__ == "__main__":
    main()
