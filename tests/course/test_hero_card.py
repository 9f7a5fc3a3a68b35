"""Hero cards for any text."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from course.hero_card import EMBLEMS, _width, _wrap, emblem, hero_card

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
    assert card._repr_svg_() == card.svg


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
    lines = _wrap("漢字" * 60 + " and " + "a" * 100, 40)
    assert all(_width(line) <= 40 for line in lines)
    assert "".join(lines).replace(" ", "") == "漢字" * 60 + "and" + "a" * 100
