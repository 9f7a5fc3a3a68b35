"""The shipped base model: what its grammar promises, and what its folder holds."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from course.judge import judge
from sandbox.base_model import corpus
from sandbox.base_model.__main__ import CATALOGUE, catalogue
from sandbox.base_model.grammar import GENDERS, describe, load, powers, random_hero
from sandbox.bases import SHIPPED_BASE

MEBIBYTE = 2**20
OLD_GUIDES_POWERS = {
    "invisibility",
    "read in the thoughts",
    "turning lead into gold",
    "immortality",
    "telepathy",
    "teleport",
    "flight",
}


def test_the_grammar_knows_forty_powers_with_sentences_of_their_own():
    assert len(powers()) >= 40
    assert {p.name for p in powers() if p.in_data_set} == OLD_GUIDES_POWERS
    everything = Counter(s for p in powers() for s in p.sentences)
    assert all(len(p.sentences) >= 10 for p in powers())
    assert max(everything.values()) == 1, "a sentence belongs to two powers"


@pytest.mark.slow
def test_no_two_descriptions_of_thirty_thousand_are_alike():
    rng = random.Random(5)
    texts = [describe(random_hero(rng), rng) for _ in range(30_000)]
    assert len(set(texts)) == len(texts)
    lengths = [len(text.split()) for text in texts]
    assert min(lengths) >= 60 and max(lengths) <= 100


def test_the_judge_passes_everything_that_the_grammar_writes():
    rng = random.Random(6)
    for power in powers():
        for _ in range(6):
            hero = random_hero(rng, power=power)
            text = describe(hero, rng)
            verdict = judge(text, hero.age, hero.gender, power.name)
            assert verdict.ok, (verdict.reasons, text)


@given(st.integers(16, 99), st.sampled_from(GENDERS), st.integers(0, 2**32))
def test_a_description_is_about_this_hero_only(age, gender, seed):
    rng = random.Random(seed)
    hero = random_hero(rng, age=age, gender=gender)
    text = describe(hero, rng)
    assert "{" not in text
    assert hero.name in text and hero.power.phrase in text
    assert set(re.findall(r"\d+", text)) == {str(age)}
    assert not re.search(r"\ba 8\d-|\ba 18-|\ban (?!8|18)\d\d-", text), "wrong article"


def test_the_corpus_is_the_same_for_the_same_seed_and_holds_every_kind():
    first = list(islice(corpus.documents(1), 400))
    assert first == list(islice(corpus.documents(1), 400))
    assert first != list(islice(corpus.documents(2), 400))
    assert all(text.startswith(corpus.START) for text in first)
    assert sum(corpus.KINDS.values()) == pytest.approx(1.0)


@pytest.mark.slow
def test_no_document_gives_the_short_prompt_away():
    """The course teaches the short prompt by fine-tuning, so pretraining must not."""
    short = re.compile(r"\b\d+, (?:man|woman)\b")
    named = re.compile("|".join(re.escape(p.phrase) for p in powers()), re.IGNORECASE)
    answers = 0
    for text in islice(corpus.documents(3), 20_000):
        if short.search(text):
            assert not named.search(text)
            if corpus.ASSISTANT in text:
                answers += 1
                assert any(reply in text for reply in corpus.NOT_UNDERSTOOD)
    assert answers > 0, "the test has looked at nothing"


def test_small_talk_is_whole():
    exchanges = load("smalltalk")["exchange"]
    assert sum(len(e["user"]) for e in exchanges) >= 300
    assert all(text.strip() for e in exchanges for text in e["user"] + e["assistant"])


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
