"""Hero cards for any text; passages, questions and marks of notebook 10."""

from __future__ import annotations

import base64
import re
from html import escape
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.exercise import note_passed, numbers_of
from course.facts import (
    DO_NOT_KNOW,
    OTHER_WORDS,
    PRACTICE,
    QUESTIONS,
    RIDDLES,
    STRANGERS,
    UNSAID,
    example_messages,
    mark,
    marks,
    passage_text,
    practice,
    questions,
    short_answer,
    tally,
)
from course.hero_card import EMBLEMS, emblem, hero_card, hero_team
from course.wall import wall
from helpers.data import DATA
from helpers.retrieval import word_scores
from tools.hero_facts import hero_cards

SVG = "{http://www.w3.org/2000/svg}"
TEXT = "Meet Amara, a 40-year-old woman <b>& friends</b>. She heals with a hum."


def test_a_card_tells_the_hero() -> None:
    card = hero_card(TEXT, 40, "woman", "Healing")
    root = ElementTree.fromstring(card.svg)
    words = " ".join(" ".join(root.itertext()).split())
    assert "Amara" in words
    assert "40 · woman · Healing" in words
    assert "<b>& friends</b>" in words, "escaped in the source, whole for the reader"
    assert root.get("aria-label") == card.alt == repr(card)
    assert card.alt.startswith("Hero card: Amara, 40, woman, with the power Healing. Meet Amara")
    shown = card._repr_html_()
    drawn = re.search(r'src="data:image/svg\+xml;base64,([^"]+)"', shown)
    assert drawn and base64.b64decode(drawn[1]).decode() == card.svg
    assert escape(card.alt) in shown


def test_a_team_shows_everyone_and_who_is_refused() -> None:
    rows = [
        SimpleNamespace(response_txt=TEXT, age=40, gender="woman", power="Healing", ok=True),
        SimpleNamespace(response_txt="…", age=7, gender="man", power="<i>" * 9, ok=False),
    ] * 3
    team = hero_team(rows)
    root = ElementTree.fromstring(team.svg)
    assert root.get("aria-label") == team.alt
    assert team.alt.startswith("3 heroes pass: Amara (40, Healing), Amara")
    assert "3 are refused: A hero (7, " in team.alt
    assert " ".join(root.itertext()).count("Amara") == 3 + 3, "each portrait's name, and the title"
    assert root.get("viewBox") == "0 0 700 448", "two rows: five and one"


def test_the_wall_loses_a_brick_with_each_exercise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEROES_MY", str(tmp_path))
    whole = wall()
    assert "8 of 8 bricks are left" in whole.alt and "429" in whole.alt
    note_passed("11.5")
    note_passed("1.1")
    less = wall()
    assert "7 of 8 bricks are left" in less.alt and less.alt.endswith("Out: 429.")
    assert whole.svg.count("<text") > less.svg.count("<text")
    for number in numbers_of("11"):
        note_passed(number)
    assert wall().alt.startswith("Rosa is free. 0 of 8 bricks are left. Out: the wrong Python")
    assert "<text" not in wall().svg


def test_the_same_hero_gets_the_same_card() -> None:
    again = hero_card(TEXT, 40, "woman", "Healing")
    assert hero_card(TEXT, 40, "woman", "Healing") == again
    assert hero_card(TEXT, 41, "woman", "Healing").svg != again.svg
    assert emblem("Healing") == EMBLEMS["heal"]
    assert emblem("juggling soup") == emblem("Juggling SOUP") != emblem("juggling spoons")


@settings(deadline=None)
@given(st.text(max_size=300), st.text(max_size=60), st.integers())
def test_any_text_makes_a_valid_picture(text: str, power: str, age: int) -> None:
    card = hero_card(text, age, "woman", power)
    root = ElementTree.fromstring(card.svg)
    assert root.tag.endswith("svg")
    assert root.get("aria-label")


def test_long_texts_are_clipped_and_wide_letters_wrapped() -> None:
    card = hero_card("word " * 5000, 40, "man", "x" * 500)
    assert len(card.svg) < 12_000
    assert "…" in card.svg
    for text, longest in (("漢字" * 60, 23), ("a" * 100, 46), ("half-moon " * 20, 39)):
        root = ElementTree.fromstring(hero_card(text, 40, "man", "juggling").svg)
        lines = [node.text or "" for node in root.iter(f"{SVG}text")][2:]
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")
        assert max(map(len, lines)) == longest, "46 columns, of which an East Asian letter takes 2"


HEROES = pd.read_csv(DATA / "hero_facts.csv")
KNOWN = HEROES[HEROES["added"] == "before training"]


def test_the_shipped_cards_are_the_ones_that_the_tool_composes() -> None:
    pd.testing.assert_frame_equal(hero_cards(), HEROES)
    for column in ("name", "age", "power"):
        assert HEROES[column].is_unique
    assert len(KNOWN) == 30 and len(HEROES) > 40


def test_practice_shares_nothing_with_the_heroes_of_the_questions() -> None:
    names = [*HEROES["name"], *STRANGERS, *PRACTICE["name"]]
    assert len(names) == len(set(names))
    for column in ("power", "home", "work"):
        assert not set(PRACTICE[column]) & set(HEROES[column])


def test_a_passage_holds_every_fact() -> None:
    for hero in HEROES.to_dict("records"):
        text = passage_text(hero)
        parts = ("name", "age", "gender", "power", "home", "work")
        assert all(str(hero[part]) in text for part in parts)
    assert " an 18-year-old" in passage_text(HEROES.iloc[0].to_dict() | {"age": 18})
    assert " a 36-year-old" in passage_text(HEROES.iloc[0].to_dict() | {"age": 36})


def test_questions_keep_the_number_of_their_passage() -> None:
    asked = questions(HEROES[30:32])
    assert list(asked.index) == [30, 30, 31, 31]
    hero = HEROES.iloc[30]
    assert asked["question"].iloc[0] == f"How old is {hero['name']}?"
    assert asked["value"].iloc[:2].tolist() == [str(hero["age"]), hero["power"]]
    assert asked["answer"].iloc[0] == f"{hero['name']}: {hero['age']}."
    other = questions(HEROES, OTHER_WORDS)
    assert not set(other["question"]) & set(questions(HEROES)["question"])


@pytest.mark.parametrize(
    ("heroes", "wordings"), [(pd.DataFrame({"name": STRANGERS}), QUESTIONS), (HEROES, UNSAID)]
)
def test_what_nothing_says_has_no_answer(heroes: pd.DataFrame, wordings: dict[str, str]) -> None:
    asked = questions(heroes, wordings)
    assert len(asked) == 2 * len(heroes)
    assert set(asked["answer"]) == {DO_NOT_KNOW} and asked["value"].isna().all()
    assert set(marks(asked["answer"], asked)) == {"no idea"}
    assert set(marks(["He is 40."] * len(asked), asked)) == {"invented"}


def test_riddles_share_no_telling_word_with_their_passage() -> None:
    passages = [passage_text(hero) for hero in HEROES.to_dict("records")]
    for power, riddle in RIDDLES.items():
        right = list(HEROES["power"]).index(power)
        assert (
            word_scores(passages, [riddle])[0].argmax() != right
            or word_scores(passages, [riddle])[0].max() < 2
        ), riddle


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Ada is 36 years old.", "right"),
        ("Ada: 36.", "right"),
        ("She is 36.", "right"),
        ("Ada is 37 years old.", "invented"),
        ("Ada is 36 or 37 years old.", "invented"),
        ("Ada is 136 years old.", "invented"),
        ("I have no facts about Ada, so I cannot say.", "no idea"),
        ("I do not know Ada.", "no idea"),
        ("I don't know how old she is.", "no idea"),
        ("The passage doesn’t mention her age.", "no idea"),
        ("The passages do not specify it.", "no idea"),
        ("", "invented"),
    ],
)
def test_marks_of_an_age(answer: str, expected: str) -> None:
    assert mark(answer, "age", "36") == expected


def test_marks_of_a_power_and_of_a_stranger() -> None:
    assert mark("Ada has the power of Good Luck.", "power", "good luck") == "right"
    assert mark("Ada can fly.", "power", "good luck") == "invented"
    assert mark("Ada is 36 years old.", "age", None) == "invented"
    assert mark(DO_NOT_KNOW, "age", None) == "no idea"


def test_marks_and_their_count() -> None:
    asked = questions(KNOWN)
    assert short_answer("Ada", 36) == "Ada: 36."
    assert set(marks(asked["answer"], asked)) == {"right"}
    answers = [DO_NOT_KNOW, "Nonsense.", *asked["answer"][2:]]
    assert tally(marks(answers, asked)) == f"{len(asked) - 2} right, 1 no idea, 1 invented"
    with pytest.raises(ValueError):
        marks(["one"], asked)


def test_practice_can_only_be_solved_by_reading() -> None:
    rows = practice(200)
    pd.testing.assert_frame_equal(rows, practice(200))
    assert not rows.equals(practice(200, seed=1))
    assert set(marks(rows["answer"], rows)) == {"right", "no idea"}
    assert rows["value"].isna().sum() == 60 and (rows["passages"] == 3).sum() == 70
    for row in rows.itertuples():
        lines = [line for line in row.prompt.splitlines() if line.startswith("- ")]
        question = next(line for line in row.prompt.splitlines() if line.startswith("Question: "))
        name = question.removesuffix("?").split()[-1]
        about = [line for line in lines if line.startswith(f"- {name} is")]
        assert len(lines) == row.passages and len(about) == (row.answer != DO_NOT_KNOW)
        if about:
            assert row.answer == short_answer(name, row.value) and row.value in about[0]


def test_examples_show_an_age_a_power_and_a_refusal() -> None:
    messages = example_messages()
    assert [message["role"] for message in messages] == ["user", "assistant"] * 3
    age, power, refusal = (message["content"] for message in messages[1::2])
    assert age.split(": ")[1][:2].isdigit() and refusal == DO_NOT_KNOW
    assert power.split(": ")[1].removesuffix(".") in PRACTICE["power"]


def test_practice_covers_every_kind_of_question() -> None:
    rows = practice(200)
    kinds = rows.assign(told=rows["value"].notna()).groupby(["field", "passages", "told"]).size()
    assert len(kinds) == 8 and kinds.min() >= 5


def test_every_claim_has_its_words() -> None:
    table = pd.read_csv(DATA / "differences.csv")
    assert list(table) == ["difference", "claim", "not_testable", "on_hosted_models"]
    assert len(table) == 7 and table.drop(columns="not_testable").notna().all(axis=None)
    assert table["not_testable"].notna().sum() == 3
