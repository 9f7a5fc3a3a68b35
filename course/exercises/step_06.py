"""The exercises of notebook 06."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from course.exercise import Expectations, exercise, expect

GOOD = {
    "40, woman, Healing ->": "40, woman, Healing ->",
    "40, woman, Healing": "40, woman, Healing ->",
    " 33,Man ,  code review->": "33, man, code review ->",
    "120, MAN, talking to cats, dogs and birds ->": "120, man, talking to cats, dogs and birds ->",
}
BAD = {
    "How many days are in a week?": "a question",
    "": "an empty message",
    "40, woman ->": "a note of two parts",
    "40, woman,  ->": "a note without a power",
    "forty, woman, Healing ->": "an age in words",
    "-4, man, flight ->": "a negative age",
    "0, man, flight ->": "the age 0",
    "121, woman, flight ->": "the age 121",
    "40, robot, Healing ->": "the gender robot",
}
TEN = 10


def outcome(checked: Callable[[str], str], message: str) -> object:
    """What the function returns for a message, or the error that it raises."""
    try:
        return checked(message)
    except Exception as error:  # noqa: BLE001 (the learner is told which message it was)
        return error


@exercise("6.1")
def checked_note(checked: Callable[[str], str]) -> Expectations:
    yield expect(callable(checked), "a function", type(checked).__name__)
    for message, wanted in GOOD.items():
        got = outcome(checked, message)
        kind = "" if isinstance(got, str | Exception) else ", which is no text"
        yield expect(got == wanted, f"{wanted!r} for the message {message!r}", f"{got!r}{kind}")
    for message, what in BAD.items():
        got, wanted = outcome(checked, message), f"a ValueError for {what}"
        yield expect(isinstance(got, ValueError), f"{wanted}, {message!r}", repr(got))
        yield expect(str(got).strip(), f"{wanted} that says what is wrong", "one without text")


@exercise("6.2")
def other_words(prompts: Sequence[str], answers: Sequence[str]) -> Expectations:
    for name, texts in (("prompts", prompts), ("answers", answers)):
        yield expect(isinstance(texts, list), f"a list of {name}", type(texts).__name__)
        yield expect(len(texts) == TEN, f"{TEN} {name}", len(texts))
        blank = [text for text in texts if not isinstance(text, str) or not text.strip()]
        yield expect(not blank, f"{name} that are texts", repr(blank[:1]))
    notes = [prompt for prompt in prompts if prompt.rstrip().endswith("->")]
    yield expect(not notes, "prompts in another form than the note", repr(notes[:1]))
    bare = [prompt for prompt in prompts if not any(char.isdigit() for char in prompt)]
    yield expect(not bare, "the age in every prompt", repr(bare[:1]))
    yield expect(len(set(prompts)) == TEN, "a different prompt for each hero", len(set(prompts)))
    yield expect(set(answers) - set(prompts), "answers of the model", "the prompts themselves")
