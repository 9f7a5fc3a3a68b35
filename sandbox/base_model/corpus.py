"""The pretraining corpus: documents drawn without end from the grammar.

A document is a full-sentence request in the model's own format, followed by a description, or a
description alone. A third of the heroes have a power of the data set. All others have one that is
composed on the spot, often from words that no language has, so that the model must take the power
from the request instead of remembering it.
"""

import random
from collections.abc import Callable, Iterator

from sandbox.base_model import grammar
from sandbox.base_model.grammar import Hero, Power, data_set_powers, describe, random_hero, words

START, SYSTEM, USER, ASSISTANT, END = SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|end|>",
)
# A document in parts: a text, and whether the model learns to write it. The others it only reads.
Document = list[tuple[str, bool]]

# The request the old guides sent, kept word for word: it is the course's generation prompt.
COURSE_PROMPT = (
    "Imagine a complete and detailed description of a {age}-year-old {man} fictional character "
    "who has the superpower of {power}. Write out the entire description in a maximum of 100 "
    "words in great detail:"
)
REQUESTS = (
    "Imagine a {age}-year-old {man} who has the superpower of {power} and describe this hero.",
    "Describe a fictional {man} of {age} years who has the power of {power}.",
    "Please write a description of {an_age} {man} with the superpower of {power}.",
    "Can you describe a superhero who is {an_age} {man} with the power of {power}?",
    "Tell me about a {man} aged {age} whose superpower is {power}.",
    "I need a fictional character for my story who is {an_age} {man} with a gift for {power}.",
    "Write a short text about a superhero. The hero is a {man}, is {age} years old and has the "
    "power of {power}.",
    "Create a detailed hero for me, please. Make the hero {an_age} {man} who has mastered {power}.",
    "My comic needs a new hero with the superpower of {power}. It should be a {man} aged {age}. "
    "Who could that be?",
    "Give me a portrait in words of {an_age} {man} who was born with the power of {power}.",
    "What would {an_age} {man} with the superpower of {power} be like? Describe this person.",
    "Invent a superhero who is a {man}, {age} years of age, and famous for {power}.",
    "Imagine a detailed description of {an_age} {man} who has the superpower of {power}. Use at "
    "most 100 words.",
    "Think of a {man} who is {age} years old. This character has the superpower of {power}. "
    "Describe the character in great detail.",
)
HERO_SYSTEMS = (
    "You are a helpful assistant.",
    "You are a helpful assistant.",
    "You imagine superheroes.",
    "You are a writer of superhero descriptions.",
    "You describe fictional characters in great detail.",
)
# The data set's powers are what the course asks for most, so the model meets them often.
DATA_SET_SHARE = 0.35


def sound(rng: random.Random) -> str:
    """A word that no language has, such as "flompering" or "zaiv"."""
    syllables = [
        rng.choice(words("beginnings"))
        + rng.choice(words("middles"))
        + (rng.choice(words("closings")) if rng.random() < 0.6 else "")
        for _ in range(rng.choice((1, 1, 2, 2, 3)))
    ]
    return "".join(syllables) + (rng.choice(words("endings")) if rng.random() < 0.6 else "")


def word(kind: str, rng: random.Random) -> str:
    """A word of one of the lists, or now and then one that no language has."""
    return sound(rng) if rng.random() < 0.2 else rng.choice(words(kind))


def doing(rng: random.Random) -> str:
    """ "painting", "painting clouds", "dancing with old lamps"."""
    text = word("doing", rng)
    if rng.random() < 0.25:
        return text
    if rng.random() < 0.4:
        text += " " + rng.choice(words("places"))
    if rng.random() < 0.25:
        text += " " + word("qualities", rng)
    return f"{text} {word('things', rng)}"


def having(rng: random.Random) -> str:
    """ "clouds", "endless patience", "pepper song", "hydro-magic", "super noise"."""
    shape = rng.randrange(7)
    if shape == 0:
        return word("things", rng)
    if shape == 1:
        return f"{word('qualities', rng)} {word('things', rng)}"
    if shape == 2:
        return f"{word('things', rng)} {word('kinds', rng)}"
    if shape == 3:
        return f"{word('fronts', rng)} {word(rng.choice(('things', 'kinds')), rng)}"
    if shape == 4:
        join = rng.choice(("", "", "-"))
        return word("fronts", rng) + join + word(rng.choice(("things", "kinds")), rng)
    if shape == 5:
        return f"{word('things', rng)} {word('doing', rng)}"
    return f"{word('qualities', rng)} {word('things', rng)} {word('kinds', rng)}"


def any_power(rng: random.Random) -> Power:
    """A power composed of words and sounds, spelled as somebody might type it.

    The descriptions spell it the same way: the model copies what it is given.
    """
    draw = rng.random()
    text = doing(rng) if draw < 0.4 else having(rng) if draw < 0.8 else sound(rng)
    if draw > 0.96:
        text = f"{text} {sound(rng)}"
    spell = rng.choices((str, str.capitalize, str.title, str.upper), (65, 15, 15, 5))[0]
    return Power(text, spell(text))


def any_hero(rng: random.Random) -> Hero:
    known = rng.random() < DATA_SET_SHARE
    return random_hero(rng, power=rng.choice(data_set_powers()) if known else any_power(rng))


def power_wording(power: Power, rng: random.Random) -> str:
    """The power as somebody might type it; one of the data set by name or phrase."""
    if not power.in_data_set:
        return power.phrase
    wording = rng.choice((power.name, power.name, power.phrase))
    return rng.choice((str, str.lower, str.title, str.capitalize, str.upper))(wording)


def request(hero: Hero, rng: random.Random) -> str:
    """A full-sentence request for the hero's description."""
    wording = COURSE_PROMPT if rng.random() < 0.5 else rng.choice(REQUESTS)
    return wording.format(
        age=hero.age,
        an_age=grammar.an_age(hero.age),
        man=hero.gender,
        power=power_wording(hero.power, rng),
    )


def exchange(rng: random.Random) -> Document:
    """A request and the answer to it."""
    hero = any_hero(rng)
    asked = f"{USER}{request(hero, rng)}{END}{ASSISTANT}"
    return [(asked, False), (describe(hero, rng) + END, True)]


def hero_chat(rng: random.Random) -> Document:
    system = f"{SYSTEM}{rng.choice(HERO_SYSTEMS)}{END}" if rng.random() < 0.3 else ""
    return [(START + system, False), *exchange(rng)]


def hero_talk(rng: random.Random) -> Document:
    """Two heroes asked for, one after the other."""
    return [(START, False), *exchange(rng), *exchange(rng)]


def hero_plain(rng: random.Random) -> Document:
    """The same as running text, for the completions endpoint."""
    hero = any_hero(rng)
    return [(f"{START}{request(hero, rng)}\n\n", False), (describe(hero, rng) + START, True)]


def hero_alone(rng: random.Random) -> Document:
    return [(START, False), (describe(any_hero(rng), rng) + START, True)]


# How often each kind of document is drawn.
KINDS: dict[Callable[[random.Random], Document], float] = {
    hero_chat: 0.80,
    hero_talk: 0.06,
    hero_plain: 0.12,
    hero_alone: 0.02,
}


def documents(seed: int) -> Iterator[Document]:
    """An endless stream of documents; the same seed gives the same stream."""
    rng = random.Random(seed)
    kinds, weights = list(KINDS), list(KINDS.values())
    while True:
        yield rng.choices(kinds, weights)[0](rng)


def text_of(document: Document) -> str:
    return "".join(text for text, _ in document)
