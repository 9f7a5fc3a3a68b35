"""The judge passes what the grammar writes and catches every planted error."""

import random
from typing import Any

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from course.judge import fair, hero_name, judge, reason_counts, score
from course.powers import Catalogue, catalogue, content_words, power_names
from course.wording import ages, decades, gendered, sentences
from sandbox.base_model import grammar

GOOD = (
    "Meet Amara, a 40-year-old woman from a quiet street behind the station who has the power of "
    "telepathy. Her long coat is patched at both elbows, and every patch has a story. Across a "
    "noisy canteen, Amara can chat mind to mind about the soup in perfect silence. At the school "
    "play, Amara silently sent the forgotten line into a trembling actor's mind. She keeps a list "
    "of people to help, and it only ever gets longer."
)
HERO = (40, "woman", "telepathy")
LAST = "She keeps a list of people to help, and it only ever gets longer."
LEAD = "Plumbers adore her, because every lead pipe under the sink turns golden at her touch."


def kinds(text: str, age: int = 40, gender: str = "woman", power: str = "telepathy") -> set[str]:
    """The kinds of reasons a text is refused for."""
    return {reason.split(":")[0] for reason in judge(text, age, gender, power).reasons}


def test_every_text_of_the_grammar_passes() -> None:
    rng = random.Random(7)
    for _ in range(1000):
        hero = grammar.random_hero(rng)
        verdict = judge(grammar.describe(hero, rng), hero.age, hero.gender, hero.power.name)
        assert verdict.ok, (hero, verdict)
    assert str(judge(GOOD, *HERO)) == "passed"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Meet", " Meet"),  # a completion begins with a space
        ("40-year-old", "forty-year-old"),
        ("40-year-old", "forty year old"),
        ("40-year-old", "40 year-old"),
        ("a list", "for twenty minutes a list"),
        ("a list", "forty years later a list"),
        ("a list", "a hundred lists for two cats: a list"),
        ("She keeps", "She is kind to cats, to bats, to rats and to ants. She keeps"),
    ],
)
def test_what_is_right_in_other_words_passes(old: str, new: str) -> None:
    assert old in GOOD
    assert kinds(GOOD.replace(old, new)) == set()


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("gender", "She keeps a list", "He keeps a list"),
        ("gender", "Her long coat", "His long coat"),
        ("gender", "year-old woman", "year-old man"),
        ("gender", "Her long coat", "He is the uncle every child wants. Her long coat"),
        ("age", "a 40-year-old", "a 50-year-old"),
        ("age", "a 40-year-old", "a"),
        ("age", "She keeps", "At fifty she keeps"),
        ("age", "She keeps", "She turned 41 today. She keeps"),
        ("age", "She keeps", "After her sixtieth birthday she keeps"),
        ("age", "She keeps", "In her sixties she keeps"),
        ("power", "power of telepathy", "power of flight"),
        ("power", "power of telepathy", "power of kindness"),
        ("power", LAST, LEAD),
        ("form", "it only ever gets longer.", "it only ever"),
        ("form", "She keeps", "she keeps"),
        ("form", "She keeps", "She keeps keeps"),
        ("form", "Meet Amara", "meet Amara"),
        ("form", "Meet Amara", "**Meet Amara**"),
        ("form", "She keeps", "She keeps \ufffd"),
        ("form", "She keeps", "Sure. She keeps"),
        ("form", "She keeps", "I only know heroes. She keeps"),
        ("form", "and every patch has a story.", "and every patch has a story .."),
        ("form", LAST, "Her long coat is patched at both elbows, and every patch has a story."),
        ("form", LAST, LAST + " She smiles" + " and smiles" * 70 + "."),
    ],
)
def test_a_planted_error_is_caught(kind: str, old: str, new: str) -> None:
    assert old in GOOD
    assert kinds(GOOD.replace(old, new)) == {kind}


def test_another_hero_is_refused() -> None:
    assert kinds(GOOD, age=41) == {"age"}
    assert kinds(GOOD, gender="man") == {"gender"}
    assert "power" in kinds(GOOD, power="Healing")
    with pytest.raises(ValueError, match="gender is 'robot'"):
        judge(GOOD, 40, "robot", "telepathy")
    with pytest.raises(ValueError, match="age is 'old'"):
        judge(GOOD, "old", "woman", "telepathy")


@settings(deadline=None)
@given(st.text(max_size=400))
@example("")
@example("I am superhero-mini. I only know superheroes.")
@example("40, woman, telepathy ->")
@example("." * 500)
def test_what_is_no_description_is_refused(text: str) -> None:
    verdict = judge(text, *HERO)
    assert not verdict.ok and verdict.reasons


def test_a_sentence_of_any_other_power_is_caught() -> None:
    """Every sentence of every power, judged as another power's, is found out; at home it is not."""
    rng = random.Random(3)
    known = catalogue()
    for power in grammar.powers():
        for sentence in power.sentences:
            hero = grammar.random_hero(rng, power=power)
            filled = grammar.fill(sentence, hero, rng)
            other = rng.choice([p for p in grammar.powers() if p is not power])
            found = known.stranger(filled, other.name)
            assert found is not None, (filled, other.name)
            assert found.power == power.name
            assert known.stranger(filled, power.name) is None, filled


def test_shared_sentences_belong_to_every_power() -> None:
    known = catalogue()
    rng = random.Random(4)
    for sentence in known.shared:
        hero = grammar.random_hero(rng)
        filled = grammar.fill(sentence, hero, rng)
        assert known.stranger(filled, hero.power.name) is None, filled


def test_a_power_of_the_learners_own() -> None:
    text = GOOD.replace("telepathy", "folding maps")
    borrowed = judge(text, 40, "woman", "folding maps")
    assert not borrowed.ok, "its sentences are telepathy's"
    alone = text.split(". ")
    kept = ". ".join([*alone[:2], alone[4]]).replace("Her long", "In the rain her long")
    assert judge(
        kept.replace("story.", "story that she tells twice."), 40, "woman", "folding maps"
    ).ok


def test_score_takes_tuples_dicts_and_frames() -> None:
    texts = [GOOD, "No."]
    tuples = [HERO, HERO]
    dicts = [dict(zip(("age", "gender", "power"), HERO, strict=True))] * 2
    table = score(texts, tuples)
    assert list(table.columns) == ["age", "gender", "power", "text", "ok", "reasons"]
    assert table["ok"].tolist() == [True, False]
    pd.testing.assert_frame_equal(table, score(texts, dicts))
    pd.testing.assert_frame_equal(table, score(texts, pd.DataFrame(dicts, index=[5, 6])))
    assert reason_counts(table).to_dict() == {"form": 1, "gender": 1, "age": 1, "power": 1}
    with pytest.raises(ValueError, match="1 texts, but 2 heroes"):
        score([GOOD], tuples)


def test_the_catalogue_knows_the_course() -> None:
    assert len(power_names()) >= 40
    assert "Healing" in power_names(in_data_set=False)
    assert len(power_names(in_data_set=True)) == 7


TINY: dict[str, Any] = {
    "powers": {
        "flight": {
            "phrase": "flight",
            "in_data_set": True,
            "sentences": [
                "{He} glides over the rooftops like a paper kite.",
                "Kites salute {him}.",
            ],
        },
        "X-Ray Vision": {
            "phrase": "x-ray vision",
            "in_data_set": False,
            "aliases": ["seeing through things"],
            "sentences": ["{He} reads letters through closed envelopes."],
        },
    },
    "shared": ["{He} loves soup."],
}


@pytest.fixture
def tiny() -> Catalogue:
    return Catalogue(TINY)


def test_names_in_any_form(tiny: Catalogue) -> None:
    assert tiny.mentions("Her X-ray vision is famous.", "X-Ray Vision")
    assert tiny.mentions("A gift for seeing through things.", "x-ray vision")
    assert not tiny.mentions("Flightless birds.", "flight")
    assert tiny.find("FLIGHT") == "flight"
    assert tiny.find("nonsense") is None


def test_belonging(tiny: Catalogue) -> None:
    text = "He glides over the rooftops like a big paper kite."
    found = tiny.stranger(text, "X-Ray Vision")
    assert found is not None
    assert found.power == "flight"
    assert found.sentence == TINY["powers"]["flight"]["sentences"][0]
    assert tiny.stranger(text, "flight") is None
    assert tiny.stranger("He loves soup.", "flight") is None
    assert tiny.stranger("Nothing like it anywhere.", "flight") is None
    assert tiny.claimed_instead("He has the power of flight.", "X-Ray Vision") == "flight"
    assert tiny.claimed_instead("He has the power of flight.", "flight") is None


def test_content_words_leave_out_placeholders() -> None:
    assert content_words("{His} kites and the kite's {name}") == {"kites", "kite"}


def test_sentences_names_and_gender() -> None:
    assert sentences("Dr. Okafor met J. R. twice. “Why?” She left") == [
        "Dr. Okafor met J. R. twice.",
        "“Why?”",
        "She left",
    ]
    assert hero_name("Meet Amara, who sings.") == hero_name("Amara is loud.") == "Amara"
    assert hero_name("The hero is loud. Everyone knows.") is None
    told = list(gendered("She's an ex-man. He is the kind uncle of his aunt."))
    assert told == [
        ("woman", "she"),
        ("man", "ex-man"),
        ("man", "he"),
        ("man", "his"),
        ("man", "uncle"),
    ]


@pytest.mark.parametrize(
    ("text", "stated"),
    [
        ("a forty-two-year-old", [42]),
        ("aged nine, or one hundred years old", [9, 100]),
        ("her fortieth birthday and 41st birthday", [40, 41]),
        ("nine lives, thirteen minutes, 7 cats", [7]),
        ("she is ninety–nine, then twenty", [99, 20]),
        ("0" * 5000, [0]),
    ],
)
def test_ages_as_they_are_written(text: str, stated: list[int]) -> None:
    assert ages(text) == stated
    assert decades("In his fifties, before her nineties.") == [50, 90]


FAIR = (
    "Ana is a 31-year-old woman who juggles anything that she can lift. When a bridge broke last "
    "spring she juggled the stones back into place, and the town still talks about her."
)


@pytest.mark.parametrize(
    ("text", "hero", "finished", "kind"),
    [
        (FAIR, (31, "woman", "juggling"), True, None),
        (FAIR, (31, "woman", "Juggling"), True, None),
        (FAIR.replace("31-year-old", "thirty-one-year-old"), (31, "woman", "juggling"), True, None),
        (FAIR, (32, "woman", "juggling"), True, "age"),
        (FAIR + " At 50 she stopped.", (31, "woman", "juggling"), True, "age"),
        (FAIR + " She began in 2015, at 31.", (31, "woman", "juggling"), True, None),
        (FAIR, (31, "man", "juggling"), True, "gender"),
        (FAIR, (31, "woman", "juggling knives"), True, "power"),
        (FAIR, (31, "woman", "juggling"), False, "form"),
        (FAIR[:50], (31, "woman", "juggling"), True, "form"),
        (FAIR + " She juggles." * 3, (31, "woman", "juggling"), True, "form"),
        ("", (31, "woman", "juggling"), True, "form"),
    ],
)
def test_fair_judge_needs_no_knowledge_of_the_model(
    text: str, hero: tuple[int, str, str], finished: bool, kind: str | None
) -> None:
    verdict = fair(text, *hero, finished=finished)
    assert verdict.ok == (kind is None), verdict
    assert kind is None or kind in {reason.split(":")[0] for reason in verdict.reasons}
