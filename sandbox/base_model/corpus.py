"""The pretraining corpus: documents drawn without end from the grammar.

A document is a string in the model's own format, special tokens included. Long requests in
many wordings are followed by descriptions; short notes such as "12, green, Tuesday ->" are not
understood and get a friendly question back. That contrast is what fine-tuning changes later.
"""

import random
from collections.abc import Callable, Iterator

from sandbox.base_model import grammar
from sandbox.base_model.grammar import Hero, describe, load, random_hero

START, SYSTEM, USER, ASSISTANT, END = SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|end|>",
)

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
OPEN_REQUESTS = (
    "Imagine a superhero.",
    "Describe a superhero for me, please.",
    "Tell me about a superhero with the power of {power}.",
    "Imagine a {man} with a superpower and describe this hero.",
    "Describe {an_age} superhero.",
    "Please invent a fictional character who has the superpower of {power}.",
)
HERO_SYSTEMS = (
    "You are a helpful assistant.",
    "You are a helpful assistant.",
    "You imagine superheroes.",
    "You are a writer of superhero descriptions.",
    "You are superhero-mini, a small and friendly model.",
    "You describe fictional characters in great detail.",
)
NOT_UNDERSTOOD = (
    "I am not sure what you mean by that. Ask me in a full sentence to imagine a superhero.",
    "That is a little short for me. Please tell me in a full sentence what you would like.",
    "Those are interesting words, but I do not see a question in them. What shall I do?",
    "I see a list, but no request. You could ask me to imagine a superhero.",
    "Sorry, I do not understand this note. Try a whole sentence, and I will try my best.",
    "What would you like me to do with that? I can imagine a superhero if you ask me to.",
)
NOTE_WORDS = """
green blue red yellow purple Tuesday Monday Friday Sunday morning evening rain snow wind sun
kettle spoon lamp chair table window door bread cheese apple pear soup tea coffee milk honey
Lisbon Oslo Cairo Lima Tokyo Paris Nairobi Quito river mountain forest beach tram bus boat
bicycle train cat dog goat owl whale piano drum violin song dance football chess tennis
school shop station museum garden teacher baker pilot farmer child neighbour friend guest
driver small large quick slow warm cold bright quiet Sleeping Cooking Painting Reading
Running Swimming Counting Knitting Gardening Singing Juggling Whistling Jumping Archery Poetry
Laughing Sailing Baking Luck Thunder Stone Silver Echo Mirror woman man aunt uncle baby captain
queen pirate robot
""".split()
SYLLABLES = """
ba bel cor dan dra el fin gor hal il jo ka lor mar nim or pra quil ra sol ta tor ul van wen xan
yor zel
""".split()
# Text that asks for something the model has no facts about.
UNKNOWN_HERO = (
    "I do not know {name}. Give me some facts first, and I will answer from them.",
    "I have no facts about {name}, so I cannot say.",
)


def chat(*turns: tuple[str, str]) -> str:
    """A conversation of (role, text) turns as one document."""
    return START + "".join(f"<|{role}|>{text}{END}" for role, text in turns if text)


def power_wording(hero: Hero, rng: random.Random) -> str:
    """The power as somebody might type it: its name or its phrase, in any capitals."""
    wording = rng.choice((hero.power.name, hero.power.name, hero.power.phrase))
    return rng.choice((str, str.lower, str.title, str.capitalize))(wording)


def request(hero: Hero, rng: random.Random) -> str:
    """A full-sentence request for the hero's description."""
    draw = rng.random()
    wording = rng.choice(REQUESTS) if draw < 0.55 else COURSE_PROMPT
    if draw > 0.96:
        wording = rng.choice(OPEN_REQUESTS)
    return wording.format(
        age=hero.age,
        an_age=grammar.an_age(hero.age),
        man=hero.gender,
        power=power_wording(hero, rng),
    )


def hero_chat(rng: random.Random) -> str:
    hero = random_hero(rng)
    system = rng.choice(HERO_SYSTEMS) if rng.random() < 0.35 else ""
    return chat(
        ("system", system), ("user", request(hero, rng)), ("assistant", describe(hero, rng))
    )


def hero_plain(rng: random.Random) -> str:
    """The same as running text, for the completions endpoint."""
    hero = random_hero(rng)
    return f"{START}{request(hero, rng)}\n\n{describe(hero, rng)}"


def hero_alone(rng: random.Random) -> str:
    return START + describe(random_hero(rng), rng)


def exchange(rng: random.Random) -> tuple[str, str, str]:
    """One short exchange: system prompt (may be empty), user text, answer."""
    entry = rng.choice(load("smalltalk")["exchange"])
    return (
        rng.choice(entry.get("system", [""])),
        rng.choice(entry["user"]),
        rng.choice(entry["assistant"]),
    )


def small_talk(rng: random.Random) -> str:
    """One exchange, or sometimes two in a row, the second about a hero as often as not."""
    system, user, answer = exchange(rng)
    turns = [("system", system), ("user", user), ("assistant", answer)]
    if not system and rng.random() < 0.25:
        hero = random_hero(rng)
        again = exchange(rng) if rng.random() < 0.5 else ("", request(hero, rng), None)
        if not again[0]:
            turns += [("user", again[1]), ("assistant", again[2] or describe(hero, rng))]
    return chat(*turns)


def note(rng: random.Random) -> str:
    """A short note with no request in it, such as "12, green, Tuesday ->"."""
    words = [rng.choice(NOTE_WORDS) for _ in range(rng.choice((1, 2, 2, 2, 3, 3)))]
    if rng.random() < 0.75:
        words.insert(rng.choice((0, 0, 0, len(words))), str(rng.randint(1, 120)))
    return rng.choice((", ", ", ", " - ", " / ", " ")).join(words) + rng.choice(
        ("", "", " ->", " ->", " =>", ":", " ...")
    )


def note_chat(rng: random.Random) -> str:
    system = "You are a helpful assistant." if rng.random() < 0.2 else ""
    return chat(("system", system), ("user", note(rng)), ("assistant", rng.choice(NOT_UNDERSTOOD)))


def note_plain(rng: random.Random) -> str:
    """Notes as running text: one is followed by the next."""
    return START + "\n".join(note(rng) for _ in range(rng.randint(2, 6)))


def invented_name(rng: random.Random) -> str:
    """A name no list holds, so that answering about it means copying it from the facts."""
    return "".join(rng.sample(SYLLABLES, rng.choice((2, 3)))).capitalize()


def facts_and_answer(hero: Hero, rng: random.Random) -> tuple[str, str, str]:
    """Facts about a hero, a question about them, and the answer the facts give."""
    place = rng.choice(load("shared")["places"]["all"])
    work = rng.choice(grammar.shared("work", hero))
    name, phrase = hero.name, hero.power.phrase
    facts = rng.choice(
        (
            f"{name} is {grammar.an_age(hero.age)} {hero.gender} from {place}. {name} works as "
            f"{work} and has the power of {phrase}.",
            f"{name}. Age: {hero.age}. Power: {phrase}. Work: {work}. Home: {place}.",
            f"{name} lives in {place}, is {hero.age} years old, has the power of {phrase} and "
            f"works as {work}.",
        )
    )
    question, answer = rng.choice(
        (
            (f"How old is {name}?", f"{name} is {hero.age} years old."),
            (f"What is the age of {name}?", f"{name} is {hero.age} years old."),
            (f"What is the power of {name}?", f"{name} has the power of {phrase}."),
            (f"Which superpower does {name} have?", f"{name} has the power of {phrase}."),
            (f"Where does {name} live?", f"{name} lives in {place}."),
            (f"What does {name} do all day?", f"{name} works as {work}."),
            (f"What is the job of {name}?", f"{name} works as {work}."),
        )
    )
    return facts, question, answer


def facts_chat(rng: random.Random) -> str:
    """Facts about one to three heroes and a question about one; or no facts and an honest no."""
    heroes = [random_hero(rng) for _ in range(rng.choice((1, 1, 2, 3)))]
    heroes = [
        Hero(invented_name(rng), h.age, h.gender, h.power) if rng.random() < 0.4 else h
        for h in {h.name: h for h in heroes}.values()
    ]
    told = [facts_and_answer(hero, rng) for hero in heroes]
    _, question, answer = told[0]
    rng.shuffle(told)
    if rng.random() < 0.1:
        answer = rng.choice(UNKNOWN_HERO).format(name=heroes[0].name)
        return chat(("user", question), ("assistant", answer))
    facts = "\n".join(f"- {facts}" for facts, _, _ in told)
    user = rng.choice(
        (
            f"Facts:\n{facts}\n\nQuestion: {question}",
            f"Answer from these facts.\n{facts}\n\n{question}",
            f"{question}\n\nUse these facts:\n{facts}",
        )
    )
    return chat(("user", user), ("assistant", answer))


# How often each kind of document is drawn.
KINDS: dict[Callable[[random.Random], str], float] = {
    hero_chat: 0.48,
    hero_plain: 0.12,
    hero_alone: 0.04,
    small_talk: 0.13,
    note_chat: 0.10,
    note_plain: 0.02,
    facts_chat: 0.11,
}


def documents(seed: int) -> Iterator[str]:
    """An endless stream of documents; the same seed gives the same stream."""
    rng = random.Random(seed)
    kinds, weights = list(KINDS), list(KINDS.values())
    while True:
        yield rng.choices(kinds, weights)[0](rng)
