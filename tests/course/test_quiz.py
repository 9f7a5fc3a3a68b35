"""The quizzes: every notebook has one, every wrong answer is explained, and it can be shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from jupyter_client import BlockingKernelClient
from jupyter_client.manager import run_kernel

from course.quiz import COLOURS, FOLDER, questions
from course.steps import STEPS

FILES = sorted(FOLDER.glob("*.json"))


def test_there_is_one_for_each_notebook() -> None:
    assert [path.stem for path in FILES] == [step.number for step in STEPS]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_question_can_be_answered_and_every_wrong_answer_is_explained(path: Any) -> None:
    asked = questions(int(path.stem))
    assert 3 <= len(asked) <= 6
    assert len({each["question"] for each in asked}) == len(asked)
    for each in asked:
        assert set(each) <= {"question", "type", "answers", "precision", "code"}
        answers = each["answers"]
        if each["type"] == "numeric":
            assert any(answer.get("correct") for answer in answers), each["question"]
            assert any(answer["type"] == "default" for answer in answers), "a word for the rest"
            continue
        right = [answer for answer in answers if answer["correct"]]
        assert len(right) >= 1 if each["type"] == "many_choice" else len(right) == 1
        if each["type"] == "many_choice":  # the buttons look the same
            assert each["question"].endswith(("right.)", "that apply.")), each["question"]
        if each["type"] == "multiple_choice":  # the longest answer must not give itself away
            others = [len(answer["answer"]) for answer in answers if not answer["correct"]]
            assert len(right[0]["answer"]) <= max(others), each["question"]
        assert len(answers) >= 3, each["question"]
        for answer in answers:
            assert len(answer["feedback"].split()) >= 3, (each["question"], answer)
        told = [answer["feedback"] for answer in answers]
        assert len(set(told)) == len(told), f"the same explanation twice: {each['question']}"


@pytest.fixture(scope="module")
def client() -> Iterator[BlockingKernelClient]:
    """A real kernel, since outside of one there is nothing to show a quiz in."""
    with run_kernel() as made:
        yield made


def shown_by(client: BlockingKernelClient, source: str) -> list[dict[str, str]]:
    shown: list[dict[str, str]] = []

    def keep(message: dict[str, Any]) -> None:
        assert message["msg_type"] != "error", message["content"]
        if message["msg_type"] == "display_data":
            shown.append(message["content"]["data"])

    client.execute_interactive(source, output_hook=keep, timeout=300)
    return shown


@pytest.mark.slow
def test_it_is_shown_the_same_way_every_time_and_random_numbers_go_on(
    client: BlockingKernelClient,
) -> None:
    for step in (0, 11):
        source = f"from course.quiz import quiz; quiz({step})"
        first = shown_by(client, source)
        assert shown_by(client, f"import random; random.seed(5); {source}") == first
        html, script = first
        assert html["text/plain"].startswith(f"(A quiz of {len(questions(step))} questions")
        assert questions(step)[0]["question"] in script["application/javascript"]
        assert not re.search(r"""(src|href)=.?["']https?:|import\(""", json.dumps(first))
    number = "display({'text/plain': str(random.random())}, raw=True)"
    quietly = shown_by(client, f"random.seed(3); {number}")
    assert shown_by(client, f"random.seed(3); quiz(0); {number}")[-1] == quietly[-1]


def luminance(colour: str) -> float:
    """As WCAG 2 defines it, of #rrggbb."""
    parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("paper", ["#ffffff", "#111111"])
@pytest.mark.parametrize("words", ["incorrect-color", "correct-color", "numeric-input-label"])
def test_feedback_can_be_read_on_light_and_dark_paper(words: str, paper: str) -> None:
    light, dark = sorted(map(luminance, (COLOURS[f"--jq-{words}"], paper)), reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.1  # what both papers allow is 4.35
