"""The shipped base model: what its grammar promises, and what its folder holds."""

from __future__ import annotations

import json
import random
import re
import tomllib
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from course.judge import judge
from sandbox.base_model import corpus
from sandbox.base_model.__main__ import CATALOGUE, catalogue
from sandbox.base_model.grammar import (
    GENDERS,
    Power,
    data_set_powers,
    describe,
    load,
    powers,
    random_hero,
)
from sandbox.bases import SHIPPED_BASE

MEBIBYTE = 2**20
UNHEARD = Path(__file__).parents[2] / "bench" / "unheard_powers.toml"
OLD_GUIDES_POWERS = {
    "invisibility",
    "read in the thoughts",
    "turning lead into gold",
    "immortality",
    "telepathy",
    "teleport",
    "flight",
}


def unheard_powers() -> list[str]:
    """The powers that the corpus must not name: the course's own and those of the benchmark."""
    lists = tomllib.loads(UNHEARD.read_text(encoding="utf-8"))
    return [*load("powers")["unheard"], *lists["development"], *lists["test"]]


def test_the_powers_of_the_data_set_have_sentences_of_their_own():
    assert {p.name for p in data_set_powers()} == OLD_GUIDES_POWERS
    assert {p.name for p in powers() if p.in_data_set} == OLD_GUIDES_POWERS
    assert len(powers()) >= 40
    everything = Counter(s for p in powers() for s in p.sentences)
    assert all(len(p.sentences) >= 10 for p in data_set_powers())
    assert max(everything.values()) == 1, "a sentence belongs to two powers"


@pytest.mark.parametrize(
    ("phrase", "family"),
    [
        ("juggling", "doing"),
        ("painting clouds", "doing"),
        ("Painting Clouds", "having"),
        ("string theory", "having"),
        ("code review", "having"),
        ("élan", "having"),
    ],
)
def test_what_a_hero_does_and_what_a_hero_has(phrase, family):
    assert Power(phrase, phrase).family == family


@pytest.mark.slow
def test_no_two_descriptions_of_thirty_thousand_are_alike():
    rng = random.Random(5)
    texts = [describe(random_hero(rng), rng) for _ in range(30_000)]
    assert len(set(texts)) == len(texts)
    lengths = [len(text.split()) for text in texts]
    assert min(lengths) >= 60 and max(lengths) <= 100


def test_the_judge_passes_everything_that_the_grammar_writes():
    rng = random.Random(6)
    for power in (*powers(), *(corpus.any_power(rng) for _ in range(300))):
        for _ in range(6):
            hero = random_hero(rng, power=power)
            text = describe(hero, rng)
            verdict = judge(text, hero.age, hero.gender, power.name)
            assert verdict.ok, (verdict.reasons, text)


@given(st.integers(1, 120), st.sampled_from(GENDERS), st.integers(0, 2**32))
def test_a_description_is_about_this_hero_only(age, gender, seed):
    rng = random.Random(seed)
    hero = random_hero(rng, age=age, gender=gender)
    text = describe(hero, rng)
    assert "{" not in text
    assert hero.name in text and hero.power.phrase in text
    assert set(re.findall(r"\d+", text)) == {str(age)}
    assert not re.search(r"\ba (8|8\d|11|18)-|\ban (?!(8|8\d|11|18)-)\d", text), "wrong article"
    assert "1 years" not in re.findall(r"\d+ years", text)


def test_the_corpus_is_the_same_for_the_same_seed_and_holds_every_kind():
    first = list(islice(corpus.documents(1), 400))
    assert first == list(islice(corpus.documents(1), 400))
    assert first != list(islice(corpus.documents(2), 400))
    assert all(corpus.text_of(document).startswith(corpus.START) for document in first)
    assert sum(corpus.KINDS.values()) == pytest.approx(1.0)


@pytest.mark.slow
def test_the_corpus_holds_descriptions_and_nothing_else():
    """No notes, no questions: what is learned are descriptions, asked for in whole sentences."""
    note = re.compile(r"->|\b\d+, (?:man|woman)\b")
    for document in islice(corpus.documents(3), 20_000):
        assert not note.search(corpus.text_of(document))
        learned = [text for text, learns in document if learns]
        assert learned
        for text in learned:
            description = text.removesuffix(corpus.END).removesuffix(corpus.START)
            assert 60 <= len(description.split()) <= 100


@pytest.mark.slow
def test_the_corpus_never_names_the_powers_that_are_kept_from_it():
    def plain(text: str) -> str:
        return " ".join(re.findall(r"[^\W\d_]+", text.casefold()))

    named = re.compile("|".join(rf"\b{re.escape(plain(power))}\b" for power in unheard_powers()))
    for document in islice(corpus.documents(4), 20_000):
        text = corpus.text_of(document)
        assert not (found := named.search(plain(text))), (found, text)


def test_no_composed_power_can_be_one_that_is_kept_from_the_corpus():
    """Each of those has a word that no list holds, so chance cannot put it together."""
    known = {word for text in load("words").values() for word in text.split()}
    for power in unheard_powers():
        assert not set(re.findall(r"[^\W\d_]+", power.casefold())) <= known, power


def test_the_judges_catalogue_is_the_grammars():
    assert json.loads(CATALOGUE.read_text(encoding="utf-8")) == catalogue()


def test_the_shipped_folder_is_small_and_safe():
    files = {path.name for path in SHIPPED_BASE.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= files
    assert not [name for name in files if name.endswith((".bin", ".pt", ".pkl"))]
    assert sum(path.stat().st_size for path in SHIPPED_BASE.iterdir()) <= 8 * MEBIBYTE


def test_the_shipped_tokenizer_gives_every_text_back():
    tokenizer = Tokenizer.from_file(str(SHIPPED_BASE / "tokenizer.json"))
    assert tokenizer.get_vocab_size() == 2048
    assert [tokenizer.id_to_token(i) for i in range(5)] == list(corpus.SPECIAL_TOKENS)
    for text in ("40, woman, Healing ->", "Zażółć gęślą jaźń 🦸", "a\n\n  b\t12345"):
        assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert len(tokenizer.encode("2026").ids) == 4, "every digit is a token"
