"""The rules by which the notebooks' outputs are compared: what they replace, what they leave."""

from __future__ import annotations

import re

import pytest

from tools.refresh_notebooks import SANITIZE, sanitize, sanitize_rules

RULES = sanitize_rules()
LETTERS = "AbCdEfGhIjKlMnOpQrStUvWxYz0123456789"

REPLACED = [
    (f"file-{LETTERS[:24]}", "FILE_ID"),
    (f"training_file='file-{LETTERS[:24]}'", "training_file='FILE_ID'"),
    (f"Created fine-tuning job: ftjob-{LETTERS[:24]}", "Created fine-tuning job: JOB_ID"),
    (f"ftevent-{LETTERS[:24]}", "EVENT_ID"),
    (f"ftckpt_{LETTERS[:24]}", "CHECKPOINT_ID"),
    (f"chatcmpl-{LETTERS[:29]}", "CHAT_ID"),
    (f"cmpl-{LETTERS[:29]}", "COMPLETION_ID"),
    (f"req_{'0a' * 16}", "REQUEST_ID"),
    (f"key-{LETTERS[:16]} learner", "KEY_ID learner"),
    (
        "ft:superhero-mini:learner:superhero:Ab3dEf9h",
        "ft:superhero-mini:learner:superhero:MODEL_ID",
    ),
    (
        "ft:superhero-mini:learner:superhero:Ab3dEf9h:ckpt-step-74 is usable",
        "ft:superhero-mini:learner:superhero:MODEL_ID:ckpt-step-74 is usable",
    ),
    ("ft:superhero-mini:learner::Ab3dEf9h", "ft:superhero-mini:learner::MODEL_ID"),
    ("key sk-sandbox-...x7Qz", "key MASKED_KEY"),
    ("provided: sk-sandb****************x7Qz.", "provided: MASKED_KEY."),
    ("http://127.0.0.1:41783/v1", "http://ADDRESS/v1"),
    ("http://localhost:8765/docs", "http://ADDRESS/docs"),
    ("ready (pid 4711)", "ready (PROCESS_ID)"),
    ("at 2026-11-20 10:38", "at MOMENT"),
    ("2026-11-20T10:38:42.125+00:00", "MOMENT"),
    ("created_at=1795171122,", "created_at=UNIX_TIME,"),
    ("100%|##########| 294/294 [00:05<00:00, 52.67it/s]", "100%|##########| 294/294 [TIMING]"),
    ("  0%|          | 0/294 [00:00<?, ?it/s]", "  0%|          | 0/294 [TIMING]"),
    ("10:38:42 step 3", "CLOCK step 3"),
    ("at 1,350 tokens/s", "at SPEED"),
    ("52.7 rows per second", " SPEED"),
    ("about 52 answers a second", "about SPEED"),
    ("took 17.3 s", "took DURATION"),
    ("took  9.8 s", "took DURATION"),
    ("1 min 5 s", " DURATION"),
    ("2 minutes and 1 second", " DURATION"),
    ("first token after 35 ms.", "first token after DURATION."),
    ("it lasted 12 seconds", "it lasted DURATION"),
    ("24 rows, 13 of them new. Cost: $0.00", "24 rows, SOME of them new. Cost: $0.00"),
    ("2.13.0+cpu CPU", "2.13.0 CPU"),
    ("2.13.0+cu130 CPU", "2.13.0 CPU"),
    ("3.11.4 on Linux x86_64", "PYTHON_AND_SYSTEM"),
    ("2 cores, 3.8 GiB (1.2 GiB free)", "CORES, BYTES ( BYTES free)"),
    ("uses 98.5 % CPU", "uses LOAD"),
]

LEFT_ALONE = [
    "294 rows, 7 columns",
    "train_loss 1.234, valid_loss 1.301",
    "Step 37/148: training loss=0.87, validation loss=0.93",
    "epoch 4, 148 steps, batch_size=8, learning_rate_multiplier=1.0",
    "trained_tokens=160524",
    "40, woman, Healing ->",
    "a 40-year-old woman who has the superpower of Healing",
    "$0.0042 for about 12,345 tokens in and 38,220 out",
    "gpt-4.1-mini-2025-04-14 will be shut down on 2027-01-14.",
    "superhero-mini",
    "Error code: 404 - The model `hero-9` does not exist",
    "Line 3, field messages[1].role: 'bot' is not a role",
    "finish_reason: stop 290, length 4",
    "98 % of the answers are well-formed",
    "file-too-short",
    "ft:superhero-mini",
    "version 3.51.0 of the SDK",
    "50% 101.5",
    "seed 1234567",
    "2 superheroes",
    "the ratio is 4:3",
]


@pytest.mark.parametrize(("given", "wanted"), REPLACED)
def test_what_may_differ_is_replaced(given: str, wanted: str) -> None:
    assert sanitize(given, RULES) == wanted


@pytest.mark.parametrize("given", LEFT_ALONE)
def test_what_matters_is_left_alone(given: str) -> None:
    assert sanitize(given, RULES) == given


def test_every_rule_is_needed_by_an_example() -> None:
    for index in range(len(RULES)):
        others = RULES[:index] + RULES[index + 1 :]
        assert any(sanitize(given, others) != wanted for given, wanted in REPLACED), RULES[index]


def test_applying_the_rules_twice_changes_nothing_more() -> None:
    for given, _ in REPLACED:
        once = sanitize(given, RULES)
        assert sanitize(once, RULES) == once


def test_the_file_is_as_nbval_needs_it() -> None:
    text = SANITIZE.read_text(encoding="ascii")
    assert len(RULES) == len(re.findall("^regex:", text, re.MULTILINE)), "a rule was not read"
    assert len({pattern for pattern, _ in RULES}) == len(RULES), "a pattern is there twice"
    for pattern, replacement in RULES:
        assert replacement.strip(), f"an empty replacement is ignored: {pattern}"
        assert re.search(pattern, "") is None, f"it matches nothing at all: {pattern}"


def test_a_tuned_model_of_another_base_is_still_a_difference() -> None:
    one = sanitize("ft:superhero-mini:learner:superhero:Ab3dEf9h", RULES)
    other = sanitize("ft:superhero-mini:learner:villain:Ab3dEf9h", RULES)
    assert one != other
