"""Rules that change texts in a table with the columns prompt and completion."""

from __future__ import annotations

import re

from heroes.prepare.marks import (
    SEPARATORS,
    STOPS,
    all_same,
    choose_mark,
    common_end,
    common_start,
    count_inside,
    separator_of,
    stop_of,
    with_mark,
)
from heroes.prepare.rows import is_classification, is_open_ended
from heroes.prepare.suggestion import Plan, Suggestion, change_texts, shorten, show_value
from heroes.prepare.table import Table

LONG_START = {"prompt": 13, "completion": 5}  # characters that are worth leaving out
FEW_LETTERS = 20  # a text with fewer may be a code or an abbreviation
SAMPLE = 1000  # texts that tell whether all are in capitals
LINE_SEPARATORS = tuple(mark for mark in SEPARATORS if mark.endswith("\n\n"))
BREAK = re.compile(r"\r\n?")


def whitespace(column: str, table: Table, plan: Plan) -> Suggestion | None:
    """Blanks and line breaks around the texts, and line breaks as Windows writes them."""
    texts = [BREAK.sub("\n", text) if "\r" in text else text for text in table[column]]
    if plan.format == "chat":
        new = [text.strip() for text in texts]
    else:
        tail = _tail(column, texts)
        new = [_clean(column, text, tail) for text in texts]
    why = "They cost tokens, and the model would learn to write them."
    title = ("Clean blanks and line breaks around ", "")
    return change_texts(table, column, new, f"{column}_whitespace", title, why)


def _clean(column: str, text: str, tail: str) -> str:
    """The text without blanks around it, but for those that have a job."""
    body = text.strip()
    if not body:
        return ""
    # How a completion begins matters: one blank in front of its first word is right.
    lead = " " if column == "completion" and text[:1].isspace() else ""
    if column == "prompt" and text.endswith(LINE_SEPARATORS):
        tail = "\n\n"
    return f"{lead}{body}{tail}"


def _tail(column: str, texts: list[str]) -> str:
    """The blanks at the end that belong to a separator or a stop sequence, as in "###\\n\\n"."""
    mark = separator_of(texts) if column == "prompt" else stop_of(texts)
    return mark[len(mark.rstrip()) :]


def lower_case(column: str, table: Table, plan: Plan) -> Suggestion | None:
    """Texts that shout; not where capitals are codes or labels."""
    if column == "completion" and is_classification(table):
        return None
    mark = _mark(column, table)
    bodies = [text.removesuffix(mark) for text in table[column]]
    if not _shout(bodies[:: max(1, len(bodies) // SAMPLE)]):
        return None
    texts = [
        body.lower() + mark if upper * 2 > lower else text
        for text, body, (upper, lower) in zip(
            table[column], bodies, map(_letters, bodies), strict=True
        )
    ]
    why = "Models know ordinary text better: a word in capitals is cut into more tokens."
    title = ("Write ", " in lower case")
    return change_texts(table, column, texts, f"{column}_case", title, why)


def _shout(bodies: list[str]) -> bool:
    """Whether most letters are capitals, and there are enough of them to be sentences."""
    counts = [_letters(body) for body in bodies]
    upper, lower = (sum(numbers) for numbers in zip(*counts, strict=True))
    return upper * 2 > lower and upper + lower >= FEW_LETTERS * len(bodies)


def _letters(text: str) -> tuple[int, int]:
    """How many letters are capitals and how many small, of those that can be both."""
    if text == (small := text.lower()):
        return 0, sum(map(str.islower, text))
    if len(small) != len(text):  # a few letters become two
        return sum(c != c.lower() for c in text), sum(map(str.islower, text))
    upper = sum(a != b for a, b in zip(text, small, strict=True))
    return upper, sum(map(str.islower, text))


def prefix(column: str, table: Table, plan: Plan) -> Suggestion | None:
    """The words with which all texts begin."""
    mark = _mark(column, table)
    bodies = [text.removesuffix(mark) for text in table[column]]
    leads = [body[: len(body) - len(body.lstrip())] for body in bodies]
    start = _common_words([body.lstrip() for body in bodies])
    if len(start) < LONG_START[column]:
        return None
    rests = [body.lstrip()[len(start) :] for body in bodies]
    texts = [lead + rest + mark for lead, rest in zip(leads, rests, strict=True)]
    why = {
        "prompt": "Tuning teaches the task itself, so these words only cost tokens. "
        "Leave them out of later questions too.",
        "completion": "The model need not learn what is always the same; your program can add it.",
    }[column]
    title = (f'Leave out "{shorten(show_value(start), 40)}" at the beginning of ', "")
    return change_texts(table, column, texts, f"{column}_prefix", title, why)


def _common_words(bodies: list[str]) -> str:
    """What all begin with, up to the end of a word; something must remain of every text."""
    if len(bodies) < 2 or all_same(bodies):
        return ""
    start = common_start(bodies)
    while start:
        # Cut back to the last blank: half a word would remain otherwise.
        start = start[: max((i for i, c in enumerate(start, start=1) if c.isspace()), default=0)]
        if all(body[len(start) :].strip() for body in bodies):
            return start
        start = start.rstrip()
    return ""


def _mark(column: str, table: Table) -> str:
    texts = table[column]
    return separator_of(texts) if column == "prompt" else stop_of(texts)


def separator(table: Table, plan: Plan) -> Suggestion | None:
    """Prompts without a sign that they are over."""
    prompts = table["prompt"]
    if plan.format == "chat" or is_open_ended(table) or all_same(prompts):
        return None
    mark = separator_of(prompts)
    if mark and not count_inside(prompts, mark):
        return None
    many_lines = any("\n" in text for text in prompts)
    used = sum(text.endswith(" ->") for text in prompts) * 2 >= len(prompts)
    mark = choose_mark(prompts, SEPARATORS[1:] if many_lines and not used else SEPARATORS)
    why = "The model sees one text: a separator tells where the prompt ends and the answer begins."
    title = ("End ", f' with the separator "{show_value(mark)}"')
    return _marked(table, "prompt", mark, "separator", title, why)


def stop(table: Table, plan: Plan) -> Suggestion | None:
    """Completions without a sign that they are over."""
    completions = table["completion"]
    if plan.format == "chat" or is_open_ended(table) or is_classification(table):
        return None
    if all_same(completions):
        return None
    mark = stop_of(completions)
    if mark and not count_inside(completions, mark):
        return None
    mark = choose_mark(completions, STOPS)
    why = "Without a stop sequence at the end, the model does not know when to stop."
    title = ("End ", f' with the stop sequence "{show_value(mark)}"')
    return _marked(table, "completion", mark, "stop", title, why)


def _marked(
    table: Table, column: str, mark: str, kind: str, title: tuple[str, str], why: str
) -> Suggestion | None:
    texts = [with_mark(text, mark) for text in table[column]]
    return change_texts(table, column, texts, kind, title, why)


def chat_stop(table: Table, plan: Plan) -> Suggestion | None:
    """Stop sequences in a chat, which marks the end itself."""
    end = common_end(table["completion"]).rstrip()
    # A full stop or a bracket at all ends is ordinary text.
    mark = next((known for known in STOPS if known.strip() and end.endswith(known)), "")
    if plan.format != "chat" or not mark or all_same(table["completion"]):
        return None
    texts = [text.rstrip().removesuffix(mark) for text in table["completion"]]
    if not all(text.strip() for text in texts):
        return None
    why = "In the chat format the server marks the end; the model would write this sign to people."
    title = (f'Leave out the stop sequence "{mark.strip()}" at the end of ', "")
    return change_texts(table, "completion", texts, "chat_stop", title, why)


def leading_space(table: Table, plan: Plan) -> Suggestion | None:
    """Completions that begin without a blank."""
    if plan.format == "chat":
        return None
    texts = [text if text[:1] in (" ", "\n") else f" {text}" for text in table["completion"]]
    why = "Models know most words together with the blank in front of them."
    title = ("Begin ", " with a blank")
    return change_texts(table, "completion", texts, "leading_space", title, why)
