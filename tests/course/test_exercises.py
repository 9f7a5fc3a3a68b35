"""The exercises: what is right passes, each usual mistake is named, nothing is not a failure."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import openai
import pandas as pd
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletion
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent

from course import exercises, facts, grid
from course.exercise import NOTHING, TEXTS, Exercise, expect
from course.exercises import step_02, step_03, step_11, step_13
from course.experiments import Recipe
from course.facts import passage_text
from course.grid import superhero_grid
from course.judge import fair
from course.wording import sentences
from helpers.check_example import check_example
from helpers.check_file import check_file
from helpers.data import find
from helpers.jsonl import SUB_PROMPT, read_jsonl, split_by, write_jsonl
from tests.support.server import Server

STEPS = [path.stem for path in sorted(Path(exercises.__file__).parent.glob("step_*.py"))]
MODULES = [importlib.import_module(f"course.exercises.{step}") for step in STEPS]
EXERCISES = {
    found.number: found
    for module in MODULES
    for found in vars(module).values()
    if isinstance(found, Exercise)
}


def changed(given: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**given, **changes}


SYSTEM, USER, ASSISTANT, AGAIN = TALK = [
    {"role": "system", "content": "You are a pirate."},
    {"role": "user", "content": "Who are you?"},
    {"role": "assistant", "content": "A captain, arr."},
    {"role": "user", "content": "Where is your ship?"},
]
SAID = [f"She flies at {height} feet" for height in range(5)]
METHOD = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}}}
LABELS = {"course": "superheroes", "made_by": "me"}
JOB: dict[str, Any] = {
    "model": "some-model",
    "training_file": "some-file",
    "suffix": "my-hero",
    "seed": 7,
    "method": METHOD,
    "metadata": LABELS,
}
ENDS = ("succeeded", "failed", "cancelled", "paused")
LABELS_OF_CHAT = {"course": "superheroes", "format": "chat"}
NOTE = {"role": "user", "content": "33, man, Super Hearing ->"}
PROMPTS = [f"A {age}-year-old woman who plays chess." for age in range(20, 30)]
HERO: dict[str, Any] = {
    "name": "Ada",
    "age": 36,
    "gender": "woman",
    "power": "good luck",
    "home": "a narrow house with a yellow door",
    "work": "a clockmaker",
}
OTHERS = [changed(HERO, name=name) for name in ("Bo", "Cleo")]
SHOWN = [passage_text(hero) for hero in (OTHERS[0], HERO, OTHERS[1])]
PROMPT = facts.PROMPT.format(passages=facts.bullets(SHOWN), question="How old is Ada?")
BORN = ("was born", "went to school", "learned to swim")


def two_searches(words: Any, cosines: Any, limit: float) -> Any:
    reached = words.max(axis=1) >= limit
    return np.where(reached, words.argmax(axis=1), cosines.argmax(axis=1))


def missing(*things: str, name: str = "Ada", about: str = "Ada") -> pd.DataFrame:
    """Twenty practice rows that ask for what the passage does not say."""
    passage = facts.bullets([passage_text(changed(HERO, name=about))])
    asked = [f"Where {name} {things[number % len(things)]}?" for number in range(20)]
    prompts = [facts.PROMPT.format(passages=passage, question=question) for question in asked]
    return pd.DataFrame({"prompt": prompts, "answer": facts.DO_NOT_KNOW})


MISSING = missing(*BORN)
GRID = superhero_grid(powers=["Ice", "Cheese"], repeats=1)
TABLE = GRID.assign(response_txt="Meet Ada.", finish_reason="stop")
TEMPLATE = "Describe a {gender} of {age} with {power}."
DRAFTS = superhero_grid(repeats=1).head(7).assign(response_txt="Meet Ada.", finish_reason="stop")
DRAFTS["prompt"] = [TEMPLATE.format(**row) for row in DRAFTS.to_dict("records")]
WAITS = openai.RateLimitError | openai.APIConnectionError | openai.InternalServerError


def newest(client: Any, labels: dict[str, str], most: int | None = None) -> Any:
    for job in list(client.fine_tuning.jobs.list())[:most]:
        fits = labels.items() <= (job.metadata or {}).items()
        if fits and job.status not in ("failed", "cancelled"):
            return job
    return None


def first_of(client: Any, status: str = "cancelled") -> Any:
    return next(job for job in client.fine_tuning.jobs.list() if job.status == status)


def polling(*ends: str, once: bool = False) -> Callable[..., Any]:
    """A loop that knows these states; without "paused" it does not know the time either."""

    def wait(client: Any, job_id: str, seconds: float, every: float) -> Any:
        stop_at = time.monotonic() + (seconds if "paused" in ends else 60)
        job = client.fine_tuning.jobs.retrieve(job_id)
        while job.status not in ends and time.monotonic() < stop_at and not once:
            time.sleep(every)
            job = client.fine_tuning.jobs.retrieve(job_id)
        return job

    return wait


def trained(
    name: str, n_epochs: int, status: str = "succeeded", file: str = "few"
) -> FineTuningJob:
    numbers = SimpleNamespace(n_epochs=n_epochs)
    files = {"training_file": file, "validation_file": "others"}
    return FineTuningJob.construct(id=name, status=status, hyperparameters=numbers, **files)


LONG_JOB = trained("long", 12)


def stopped(job: FineTuningJob, loss: float = 0.3) -> tuple[FineTuningJob, FineTuningJob, Any]:
    """What is handed in: this job, the long one with a loss of 0.4, and their account."""
    losses = {"long": 0.4, job.id: loss}

    def list_events(job_id: str, **asked: Any) -> list[FineTuningJobEvent]:
        data = {"step": 1, "train_loss": 0.1, "full_valid_loss": losses[job_id]}
        return [FineTuningJobEvent.construct(id="1", data=data)]

    jobs = SimpleNamespace(retrieve=lambda job_id: job, list_events=list_events)
    return job, LONG_JOB, SimpleNamespace(fine_tuning=SimpleNamespace(jobs=jobs))


CAUSES = {"ConnectError": "network", "UnsupportedProtocol": "address", "LocalProtocolError": "key"}


def cause_of(error: BaseException) -> str:
    return CAUSES.get(type(error.__cause__).__name__, "network")


def may_work(error: Exception) -> bool:
    return isinstance(error, WAITS) and getattr(error, "code", None) != "insufficient_quota"


def shorten(messages: list[dict[str, str]], limit: int, first: str = "user") -> Any:
    system = [message for message in messages if message["role"] == "system"]
    talk = [message for message in messages if message["role"] != "system"]
    while talk and (words(system + talk) > limit or first not in ("", talk[0]["role"])):
        talk = talk[1:]
    return system + talk


def words(messages: list[dict[str, str]]) -> int:
    return sum(len(message["content"].split()) for message in messages)


def left_over(
    requests: list[Any], results: list[Any], settled: Collection[int] = (200, 400, 404)
) -> list[Any]:
    done = {
        line["custom_id"]
        for line in results
        if (line.get("response") or {}).get("status_code") in settled
    }
    return [request for request in requests if request["custom_id"] not in done]


def lines(number: int = 0, drop: str = "", **body: Any) -> list[dict[str, Any]]:
    """The three requests of a batch without mistakes, but for what is changed in one of them."""
    right = step_13.broken_lines("m")
    right[0]["url"], right[1]["custom_id"] = "/v1/chat/completions", "hero-2"
    right[2]["body"]["model"] = "m"
    right[number]["body"].update(body)
    right[number]["body"].pop(drop, None)
    return right


def line(number: int, **fields: Any) -> list[dict[str, Any]]:
    found = lines()
    found[number].update(fields)
    return found


def is_valid(line: str) -> bool:
    try:
        example = json.loads(line)
    except json.JSONDecodeError:
        return False
    return isinstance(example, dict) and not check_example(example)


def checked(message: str, told: str = "Not a note.") -> str:
    """The note in a message, in the form of the training file."""
    parts = [part.strip() for part in message.strip().removesuffix("->").split(",", 2)]
    age, gender, power = parts if len(parts) == 3 else ("", "", "")
    known = age.isdecimal() and 1 <= int(age) <= 120 and gender.lower() in ("man", "woman")
    if not known or not power:
        raise ValueError(told)
    return f"{age}, {gender.lower()}, {power} ->"


def stricter(text: str, age: int, gender: str, power: str) -> list[str]:
    reasons = list(fair(text, age, gender, power).reasons)
    parts = [sentence.lower() for sentence in sentences(text)]
    stems = [word[:-3] for word in power.split() if len(word) > 3]
    used = sum(any(stem in part for stem in stems) for part in parts)
    return reasons + ["twice"] * (len(set(parts)) < len(parts)) + ["once"] * (used < 2)


def varying(recipes: Sequence[Recipe], batch: int, whole: int = 1) -> set[str]:
    """What differs between the recipes; `whole` 0 forgets that the last batch may be smaller."""
    found = {name: {getattr(each, name) for each in recipes} for name in Recipe._fields}
    found["steps"] = {
        (-(-r.rows // batch) if whole else r.rows / batch) * r.epochs for r in recipes
    }
    return {name for name, values in found.items() if len(values) > 1}


def account(*lines: int) -> Any:
    """A stand-in for a client whose jobs trained on files of so many lines, the last one open."""
    jobs = [
        SimpleNamespace(training_file=n, status="succeeded", metadata={"rows": str(n)})
        for n in lines
    ]
    listed = SimpleNamespace(list=lambda limit: jobs)
    content = SimpleNamespace(
        content=lambda n: SimpleNamespace(read=lambda: b"\n".join([b"{}"] * n))
    )
    return SimpleNamespace(fine_tuning=SimpleNamespace(jobs=listed), files=content)


def example(note: str = "71, man, pigeons ->") -> dict[str, Any]:
    """A training example whose description fits the note as it is by default."""
    told = "Otto is a 71-year-old man who talks to pigeons. Every morning they tell him which "
    told += "roofs leak, and by noon he has been there with his ladder."
    said = {"role": "assistant", "content": told}
    return {"messages": [{"role": "user", "content": note}, said]}


def answer(texts: Sequence[str] = SAID, reason: str = "stop", tokens: int = 40) -> ChatCompletion:
    """An answer with these texts."""
    choices = [
        {"index": n, "finish_reason": reason, "message": {"role": "assistant", "content": text}}
        for n, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": 9, "completion_tokens": tokens, "total_tokens": 9 + tokens}
    body = {"id": "1", "created": 1, "model": "m", "object": "chat.completion", "usage": usage}
    return ChatCompletion.model_validate({**body, "choices": choices})


class Templated:
    """A tokenizer whose tokens are letters and whose template is `u:text!`, `a:text!`."""

    eos_token_id = ord("!")

    def apply_chat_template(
        self, messages: Any, add_generation_prompt: bool = False, return_dict: bool = False
    ) -> list[int]:
        text = "".join(f"{each['role'][0]}:{each['content']}!" for each in messages)
        return [ord(letter) for letter in text + "a:" * add_generation_prompt]


TEMPLATED = Templated()


def every_answer(
    talk: Any, only: int = 0, end: int = 1, role: str = "assistant"
) -> dict[str, list[int]]:
    """Ids and labels of the answers from `only` on, up to the end token and `end` more."""
    ids = TEMPLATED.apply_chat_template(talk)
    labels = [-100] * len(ids)
    numbers = [number for number, each in enumerate(talk) if each["role"] == role]
    for number in numbers[only:]:
        start = len(TEMPLATED.apply_chat_template(talk[:number], add_generation_prompt=True))
        stop = ids.index(TEMPLATED.eos_token_id, start) + end
        labels[start:stop] = ids[start:stop]
    return {"input_ids": ids, "labels": labels}


def learn_everything(talk: Any) -> dict[str, list[int]]:
    ids = TEMPLATED.apply_chat_template(talk)
    return {"input_ids": ids, "labels": list(ids)}


def adapter(rank: int) -> Any:
    return SimpleNamespace(peft_config={"default": SimpleNamespace(r=rank)})


TRIALS = pd.DataFrame(
    [(rows, 4, 1.0, seed, 10, 20) for rows in (10, 20, 40) for seed in (1, 2, 3)],
    columns=["rows", "epochs", "rate", "seed", "right", "n"],
)

# The number of an exercise, what is handed in, and a part of the answer; None where it is right.
CASES: list[tuple[str, tuple[Any, ...], str | None]] = [
    ("0.1", (example(),), None),
    ("0.1", ([example()],), "a dictionary in braces"),
    ("0.1", ({"prompt": "Hello"},), "one example as the API wants it"),
    ("0.1", ({"messages": TALK[:3]},), "a user's message, then an assistant's"),
    ("0.1", ({"prompt": "71, man, pigeons ->", "completion": " Otto"},), "a user's message, then"),
    ("0.1", (example("71, man, pigeons"),), "a note such as 40, woman, Healing ->"),
    ("0.1", (example("171, man, pigeons ->"),), "an age of at most 120"),
    ("0.1", (example("71, robot, pigeons ->"),), "man or woman as the second part"),
    ("0.1", (example("72, man, pigeons ->"),), "its note, saw a problem with its age: states 71"),
    ("0.2", (5, account(60)), "a finished job on 30 lines, saw jobs on 60 lines"),
    ("0.2", (5, account(60, 30)), None),
    ("0.2", (11, account(30)), "a number from 0 to 10"),
    ("0.2", (True, account(30)), "a number from 0 to 10"),
    ("0.2", (5, account()), "saw jobs on no lines"),
    ("1.2", (TALK,), None),
    ("1.2", (TALK[1:],), "4 messages"),
    ("1.2", ([SYSTEM, USER, ASSISTANT, ASSISTANT],), "a question again"),
    ("1.2", ([USER, ASSISTANT, AGAIN, SYSTEM],), "who the model is"),
    ("1.2", ([SYSTEM, USER, ASSISTANT, {"role": "user"}],), "a role and a content"),
    ("1.2", ([SYSTEM, USER, ASSISTANT, changed(AGAIN, content="")],), "few words"),
    ("1.3", (answer(),), None),
    ("1.3", (answer().model_dump(),), "the answer object of a chat request, saw dict"),
    ("1.3", (answer(SAID[:3]),), "5 answers from one call, saw 3"),
    ("1.3", (answer([*SAID[:4], ""]),), "a text in every answer"),
    ("1.3", (answer(SAID[:1] * 5),), "5 different texts, saw 1 of them"),
    ("1.3", (answer(reason="length"),), "no answer that was cut"),
    ("1.3", (answer(tokens=301),), "at most 60 tokens an answer, saw 301 tokens in all"),
    ("2.1", (TABLE,), None),
    ("2.1", (GRID,), "no response_txt, finish_reason"),
    ("2.1", (TABLE[TABLE["power"] == "Ice"],), "two powers"),
    ("2.1", (pd.concat([TABLE, TABLE]),), "28 rows"),
    ("2.1", (pd.concat([TABLE.iloc[1:], TABLE.tail(1)]),), "every hero once"),
    ("2.1", (TABLE.assign(prompt=TABLE["prompt"][0]),), "27 prompts"),
    ("2.1", (TABLE.assign(response_txt=""),), "28 rows without one"),
    ("2.1", (TABLE.replace({"power": {"Ice": "INVISIBILITY"}}),), "saw INVISIBILITY"),
    ("2.3", (TEMPLATE, DRAFTS), None),
    ("2.3", ("Describe a {gender}.", DRAFTS), "no age, power"),
    ("2.3", (grid.PROMPT, DRAFTS), "another request"),
    ("2.3", (TEMPLATE, DRAFTS.drop(columns="response_txt")), "no response_txt"),
    ("2.3", (TEMPLATE, DRAFTS.head(6)), "7 rows, saw 6"),
    ("2.3", (TEMPLATE, DRAFTS.assign(prompt=grid.PROMPT)), "7 others"),
    ("3.3", (is_valid,), None),
    ("3.3", (lambda line: True,), "False for line 2 of damaged.jsonl"),
    ("3.3", (lambda line: None,), "True for line 1 of an intact file, saw None"),
    ("3.3", (json.loads,), "True for line 1 of an intact file"),
    ("3.3", (lambda line: json.loads(line) != [],), "False for line 2 of damaged.jsonl, saw True"),
    ("4.1", (JOB,), None),
    ("4.1", (changed(JOB, validation_file="other", extra_body={}),), None),
    ("4.1", ({},), "the parameter model"),
    ("4.1", (changed(JOB, suffix="hero"),), "my-hero"),
    ("4.1", (changed(JOB, seed="7"),), "the seed 7"),
    ("4.1", (changed(JOB, hyperparameters={"n_epochs": 2}),), "as in 2023"),
    ("4.1", (changed(JOB, method=None),), "the type supervised"),
    ("4.1", (changed(JOB, method=changed(METHOD, supervised=2)),), "two epochs"),
    ("4.1", (changed(JOB, metadata={"made_by": "me"}),), "the label course"),
    ("4.1", (changed(JOB, metadata={"course": "superheroes"}),), "one more"),
    ("4.1", (changed(JOB, metadata=changed(LABELS, made_by=1)),), "are texts"),
    ("4.1", (changed(JOB, epochs=2),), "saw epochs"),
    ("4.2", (newest,), None),
    ("4.2", (lambda client, labels: newest(client, labels, 20),), "a job, saw None"),
    ("4.2", (lambda client, labels: first_of(client),), "saw the one that is cancelled"),
    ("4.2", (lambda client, labels: first_of(client, "running"),), "all of the labels"),
    ("4.2", (lambda client, labels: newest(client, LABELS_OF_CHAT),), "None if no job fits"),
    ("4.2", (lambda client, labels: newest(client, labels)["id"],), "could not be read"),
    ("5.1", (polling(*ENDS),), None),
    ("5.1", (polling(*ENDS, once=True),), "saw one that is validating_files"),
    ("5.1", (polling(*ENDS[:3]),), "stays paused, saw a loop that goes on"),
    ("5.1", (lambda *given: None,), "the job as the answer, saw None"),
    ("5.2", stopped(trained("short", 2)), None),
    ("5.2", stopped(LONG_JOB), "a new job"),
    ("5.2", stopped(trained("short", 2, "running")), "is running"),
    ("5.2", stopped(trained("short", 2, file="another")), "same two files"),
    ("5.2", stopped(trained("short", 12)), "fewer than 12"),
    ("5.2", stopped(trained("short", 2), 0.5), "below 0.40, saw 0.50"),
    ("6.1", (checked,), None),
    ("6.1", (lambda message: message,), "'40, woman, Healing ->' for the message '40, woman, Hea"),
    ("6.1", (lambda message: None,), "None, which is no text"),
    ("6.1", (lambda message: checked(message.replace("robot", "man")),), "for the gender robot"),
    ("6.1", (lambda message: checked(message.replace("-4", "4")),), "for a negative age"),
    ("6.1", (lambda message: checked(message, ""),), "says what is wrong"),
    (
        "6.1",
        (lambda message: checked(message if "," in message else message[99]),),
        "saw IndexError",
    ),
    ("6.2", (PROMPTS, ["A hero."] * 10), None),
    ("6.2", (PROMPTS[1:], ["A hero."] * 10), "10 prompts, saw 9"),
    ("6.2", (PROMPTS, ["A hero."] * 9 + [" "]), "answers that are texts"),
    ("6.2", ([*PROMPTS[1:], "40, woman, chess ->"], ["A hero."] * 10), "another form"),
    ("6.2", ([*PROMPTS[1:], "A woman plays chess."], ["A hero."] * 10), "the age in every prompt"),
    ("6.2", (PROMPTS[:1] * 10, ["A hero."] * 10), "a different prompt"),
    ("6.2", (PROMPTS, PROMPTS), "answers of the model"),
    ("7.1", (stricter,), None),
    ("7.1", (lambda *given: list(fair(*given).reasons),), "says the same sentence twice"),
    ("7.1", (lambda *given: stricter(*given)[:0],), "a reason against a text that says"),
    ("7.1", (lambda *given: [*stricter(*given), "no"],), "no reason against a text that names"),
    ("7.1", (lambda *given: not stricter(*given),), "a list of reasons, saw bool"),
    ("7.2", (3, 20, account(294, 128)), "job on 80 lines, saw jobs on 128, 294 lines"),
    ("7.2", (3, 20, account(128, 80)), None),
    ("7.2", (21, 20, account(80)), "a number from 0 to 20"),
    ("7.2", (3, True, account(80)), "a number from 0 to 40"),
    ("8.1", (varying,), None),
    ("8.1", (lambda *given: varying(*given) - {"steps"},), 'in the plan "more epochs", saw epochs'),
    ("8.1", (lambda *given: varying(*given, 0),), '"57 rows or 64", saw rows, steps'),
    ("8.1", (lambda *given: sorted(varying(*given)),), "a set of names, saw list"),
    ("8.2", (TRIALS, account(10, 20, 40)), None),
    ("8.2", (TRIALS, account(10, 20)), "for all of the table, saw none on 40 rows"),
    ("8.2", (TRIALS.drop(columns="seed"), account()), "saw none of seed"),
    ("8.2", (TRIALS.assign(rate=TRIALS["rows"]), account()), "one thing to vary, saw rows, rate"),
    ("8.2", (TRIALS[TRIALS["rows"] > 10], account()), "3 values of rows, saw 2"),
    ("8.2", (TRIALS[1:], account()), "3 seeds for each value, saw 2"),
    ("9.1", (every_answer, TEMPLATED), None),
    ("9.1", (lambda talk: every_answer(talk, only=-1), TEMPLATED), "the first answer"),
    ("9.1", (lambda talk: every_answer(talk, end=0), TEMPLATED), "its end token learned"),
    ("9.1", (lambda talk: every_answer(talk, role="user"), TEMPLATED), "the first answer"),
    ("9.1", (lambda talk: changed(every_answer(talk), labels=[-1] * 40), TEMPLATED), "as many"),
    ("9.1", (lambda talk: every_answer(talk[:2]), TEMPLATED), "the whole conversation"),
    ("9.1", (lambda talk: every_answer(talk)["labels"], TEMPLATED), "a dictionary"),
    ("9.1", (learn_everything, TEMPLATED), "-100 on everything else"),
    ("9.2", (adapter(1), [3.9] * 9 + [3.1]), None),
    ("9.2", (adapter(16), [3.9] * 9 + [3.1]), "rank 1, saw rank {16}"),
    ("9.2", (adapter(1), [3.9, 3.1]), "10 steps, saw 2"),
    ("9.2", (adapter(1), [3.1] * 9 + [float("nan")]), "that are numbers"),
    ("9.2", (adapter(1), [3.1] * 10), "has fallen"),
    ("10.1", (two_searches,), None),
    ("10.1", (lambda words, cosines, limit: [0, 1],), "2 places"),
    ("10.1", (lambda words, cosines, limit: words.argmax(axis=1),), "best by embeddings"),
    ("10.1", (lambda words, cosines, limit: cosines.argmax(axis=1),), "best by words"),
    ("10.1", (lambda words, cosines, limit: two_searches(words, cosines, 1.0),), "another limit"),
    ("10.1", (lambda words, cosines, limit: two_searches(words, cosines, 1.01),), "exactly"),
    ("10.2", (HERO, PROMPT), None),
    ("10.2", (HERO, "How old is Ada?"), "three passages"),
    ("10.2", (changed(HERO, work=""), PROMPT), "no work"),
    ("10.2", (changed(HERO, name="Zofia"), PROMPT), "in no passage yet"),
    ("10.2", (HERO, None), "as text"),
    ("10.2", (changed(HERO, age=37), PROMPT), "your hero's passage"),
    ("10.2", (HERO, PROMPT.replace("- Bo is", "- Ada is")), "about other heroes"),
    ("10.2", (HERO, PROMPT.replace("is Ada?", "is Bo?")), "a question about your hero"),
    ("10.3", (MISSING,), None),
    ("10.3", (MISSING[:19],), "19 rows"),
    ("10.3", (MISSING[["prompt"]],), "no answer"),
    ("10.3", (list(MISSING["prompt"]),), "a DataFrame"),
    ("10.3", (MISSING.assign(answer="Ada: 1.7 m."),), "I do not know"),
    ("10.3", (missing("is old", "was old", "gets old"),), "no passage answers"),
    ("10.3", (missing("was born"),), "1 kinds"),
    ("10.3", (missing(*BORN, name="Bo"),), "about the hero of the question"),
    ("10.3", (missing(*BORN, name="Zofia", about="Zofia"),), "no hero of hero_facts.csv"),
    ("11.1", ("/opt/python3 -m pip install openai", "/opt/python3"), None),
    ("11.1", ('"/opt/python3" -m pip install -U openai', "/opt/python3"), None),
    ("11.1", ("pip install openai", "/opt/python3"), "that /opt/python3 runs, saw one that pip"),
    ("11.1", ("/opt/python3 -m pip list", "/opt/python3"), "the package openai in the command"),
    ("11.1", ("/opt/python3 pip install openai", "/opt/python3"), "to run pip, as a module"),
    ("11.1", (["pip"], "/opt/python3"), "a command as text, saw list"),
    ("11.3", (cause_of,), None),
    ("11.3", (lambda error: "network",), "'address' for UnsupportedProtocol, saw 'network'"),
    ("11.3", (lambda error: "key",), "'network' for ConnectError"),
    ("11.3", (lambda error: CAUSES.get(type(error.__cause__).__name__),), "for ReadError"),
    ("11.5", (may_work,), None),
    ("11.5", (lambda error: True,), "False for a wrong key (401)"),
    ("11.5", (lambda error: False,), "True for too many requests (429)"),
    ("11.5", (lambda error: None,), "True or False for too many requests (429), saw nothing"),
    ("11.5", (lambda e: isinstance(e, openai.RateLimitError),), "True for a failing server (500)"),
    ("11.5", (lambda e: isinstance(e, WAITS),), "False for credit that is used up (429)"),
    ("11.8", (shorten,), None),
    ("11.8", (lambda messages, limit: messages,), "30 words at most for 8 messages"),
    ("11.8", (lambda messages, limit: messages[:1],), "as many messages as fit"),
    ("11.8", (lambda messages, limit: messages[-1:],), "the system message first"),
    ("11.8", (lambda messages, limit: messages.pop() and messages,), "to stay as it was"),
    ("11.8", (lambda messages, limit: shorten(messages, limit)[:-2],), "the newest messages"),
    ("11.8", (lambda messages, limit: shorten(messages, limit, ""),), "the user to speak first"),
    ("13.1", (lines(), "m"), None),
    ("13.1", (step_13.broken_lines("m"), "m"), "an address in line 1"),
    ("13.1", (lines()[:2], "m"), "three requests, saw 2"),
    ("13.1", (line(0, url="/chat/completions"), "m"), "an address in line 1"),
    ("13.1", (line(1, custom_id="hero-1"), "m"), "every custom_id once, saw hero-1 twice"),
    ("13.1", (line(2, method="GET"), "m"), "POST in line 3"),
    ("13.1", (line(2, body={}), "m"), "all four fields in line 3, saw no body"),
    ("13.1", (lines(2, drop="model"), "m"), "a model in the body of line 3"),
    ("13.1", (lines(2, model="other"), "m"), "the same model"),
    ("13.1", (lines(2, messages=[NOTE]), "m"), "the same three heroes"),
    ("13.2", (left_over,), None),
    ("13.2", (lambda requests, results: requests,), "request-0 (status 400) not to be sent again"),
    ("13.2", (lambda requests, results: [],), "request-2 (status 429) to be sent again"),
    ("13.2", (lambda requests, results: left_over(requests, results, {200}),), "request-0"),
    ("13.2", (lambda requests, results: left_over(requests, results)[::-1],), "their old order"),
    ("13.2", (lambda requests, results: left_over(requests, results) * 2,), "their old order"),
    ("13.2", (lambda requests, results: left_over(results, results),), "request-6, which has no"),
    ("13.2", (lambda requests, results: requests.pop() and requests,), "to stay as they were"),
    ("13.2", (lambda requests, results: None,), "a list, saw NoneType"),
    ("13.2", (lambda requests, results: left_over(requests, results) if results else [],), "all"),
]


@pytest.mark.parametrize(("number", "artefacts", "problem"), CASES)
def test_right_passes_and_a_mistake_is_named(
    number: str, artefacts: tuple[Any, ...], problem: str | None
) -> None:
    outcome = EXERCISES[number].grade(*artefacts)
    assert bool(outcome) is (problem is None), outcome.problem
    assert (problem or "") in str(outcome.problem)


@pytest.mark.parametrize("number", EXERCISES)
@pytest.mark.parametrize("junk", [..., None, 7, "x", [], {}], ids=repr)
def test_nothing_and_nonsense_are_not_yet(number: str, junk: object) -> None:
    given = next((artefacts[1:] for other, artefacts, _ in CASES if other == number), ())
    outcome = EXERCISES[number].grade(junk, *given)
    assert not outcome
    assert outcome.problem == NOTHING or junk is not ...
    assert "could not be read" not in str(outcome.problem) or junk is not None


def test_each_exercise_has_its_texts_and_each_text_its_exercise() -> None:
    written = [f"{step}.{place}" for step, places in TEXTS.items() for place in places]
    assert written == list(EXERCISES), "in the order of the steps"
    for number, found in EXERCISES.items():
        assert found.title, number
        assert len(found.hints) == 3 and all(hint.strip() for hint in found.hints), number


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("OPENAI_API_KEY=sk-demo-1234\n", None),
        ("OPEN_AI_KEY=“sk-demo—1234”\nOPENAI_BASE_URL=\n", "line 1: OPEN_AI_KEY is not read"),
        ("OPENAI_API_KEY=sk-demo—1234\n", "long dash"),
        ("OPENAI_API_KEY=sk-demo-1234\nOPENAI_BASE_URL=\n", "blank"),
        ("OPENAI_API_KEY=sk-demo1234\n", "two short dashes"),
        ("# nothing\n", "a line for the key, and no other, saw []"),
        ("OPENAI_API_KEY=sk-demo-1234\nCOLOUR=green\n", "no other, saw ['COLOUR'"),
    ],
)
def test_an_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, problem: str | None
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-key-of-the-learner")
    path = tmp_path / ".env"
    assert "none at .env" in str(EXERCISES["1.1"].grade(path).problem)
    path.write_text(text, encoding="utf-8")
    outcome = EXERCISES["1.1"].grade(path)
    assert bool(outcome) is (problem is None)
    assert (problem or "") in str(outcome.problem)


@pytest.fixture
def heroes() -> pd.DataFrame:
    """The whole grid with a different text of 45 words in every row."""
    frame = superhero_grid()
    texts = [f"{n} capes of {age} " + "word " * 42 + "end." for n, age in enumerate(frame["age"])]
    return frame.assign(response_txt=texts, finish_reason="stop", completion_tokens=60)


def test_the_damaged_table_has_five_damaged_rows_and_each_is_missed(heroes: pd.DataFrame) -> None:
    grade = EXERCISES["2.2"].grade
    table = step_02.damaged_table(heroes)
    assert "2 that it did not" in str(grade(table).problem)
    finished = table[table["finish_reason"] == "stop"]
    assert "1 shorter" in str(grade(finished).problem)
    whole = finished[finished["response_txt"].str.split().str.len() >= 40]
    assert "1 repeated" in str(grade(whole).problem)
    unique = whole.drop_duplicates("response_txt")
    assert "1 without it" in str(grade(unique).problem)
    sound = unique[unique["age"] == 18]
    assert grade(sound)
    assert "6 rows" in str(grade(sound.head(6)).problem)
    with pytest.raises(ValueError, match="12 are needed"):
        step_02.damaged_table(heroes.head(11))


def test_the_damaged_file_has_six_mistakes_and_is_written_once(tmp_path: Path) -> None:
    path = step_03.write_damaged_file(tmp_path / "damaged.jsonl")
    errors = {p.line for p in check_file(path).problems if p.severity == "error"}
    assert errors == {2, 4, 6, 8, 10, 12}
    assert "7 errors, the first in line 2" in str(EXERCISES["3.1"].grade(path).problem)
    path.write_text("mine", encoding="utf-8")
    assert step_03.write_damaged_file(path).read_text(encoding="utf-8") == "mine"


def test_a_repaired_file_has_every_hero_and_every_word(tmp_path: Path) -> None:
    grade = EXERCISES["3.1"].grade
    whole = read_jsonl(step_03.HERE / "repaired.jsonl")
    path = write_jsonl(tmp_path / "damaged.jsonl", whole)
    assert grade(path)
    assert "11 examples" in str(grade(write_jsonl(path, whole[:11])).problem)
    whole[3]["messages"][1]["content"] = "Something else."
    assert "20, woman, invisibility ->" in str(grade(write_jsonl(path, whole)).problem)


def test_a_split_holds_whole_notes_out(heroes: pd.DataFrame) -> None:
    grade = EXERCISES["3.2"].grade
    notes = heroes["sub_prompt"].drop_duplicates().sample(14, random_state=1)
    held_out = heroes["sub_prompt"].isin(notes)
    train, valid = heroes[~held_out], heroes[held_out]
    assert grade(train, valid)
    assert "13 of them" in str(grade(train, valid.iloc[3:]).problem)
    assert "all 42 rows" in str(grade(train, valid.iloc[1:]).problem)
    assert "that leak" in str(grade(heroes, valid).problem)
    assert "293 rows" in str(grade(train.iloc[1:], valid).problem)
    by_power = grade(*split_by(heroes, "power", ["flight"]))
    assert "every power" in str(by_power.problem) and "no flight" in str(by_power.problem)


def test_every_error_is_tried() -> None:
    assert EXERCISES["11.5"].grade(may_work).met == 1 + 2 * len(step_11.CASES)


def test_a_colleagues_file_is_repaired(tmp_path: Path) -> None:
    good = read_jsonl(find("train.jsonl"))[: step_11.EXAMPLES]
    rest = good[: step_11.UNANSWERED] + good[step_11.UNANSWERED + 1 :]

    def problem(rows: Any) -> str | None:
        return EXERCISES["11.6"].grade(write_jsonl(tmp_path / "mine.jsonl", rows)).problem

    assert problem(rest) is problem(good) is None
    unanswered = {"messages": good[step_11.UNANSWERED]["messages"][:1]}
    assert "a file that a job accepts" in str(problem([*rest, unanswered]))
    assert "saw 1 of them changed or missing" in str(problem(rest[1:]))
    assert "no more than 12 examples, saw 22" in str(problem(rest * 2))
    as_sent = tmp_path / "as_sent.jsonl"
    as_sent.write_text(json.dumps(good), encoding="utf-8")
    assert "JSON array" in str(EXERCISES["11.6"].grade(as_sent).problem)


def repaired_script(client: OpenAI, model: str) -> str:
    try:
        client.files.list()  # instead of a chat, which takes longer
        return f"A hero, told by {model}."
    except openai.RateLimitError:
        return step_11.TOO_MANY


@pytest.mark.parametrize(
    ("hero", "problem"),
    [
        (repaired_script, None),
        (lambda client, model: None, "the text of the answer, saw NoneType"),
        (lambda client, model: step_11.TOO_MANY, "saw the words for too many requests"),
        (lambda client, model: "A hero.", "'Too many requests.' at a rate limit, saw 'A hero.'"),
        (lambda client, model: str(client.files.list()), "could not be read: RateLimitError"),
        (lambda client, model: openai.error, "has no attribute 'error'"),  # type: ignore[attr-defined]
    ],
)
@pytest.mark.slow
def test_an_old_script_is_repaired(live_sandbox: Server, hero: Any, problem: str | None) -> None:
    with live_sandbox.client(max_retries=0) as client:
        outcome = EXERCISES["11.4"].grade(hero, client, "some-model")
        assert bool(outcome) is (problem is None), outcome.problem
        assert (problem or "") in str(outcome.problem)
        assert client.get("/sandbox/faults", cast_to=object)["data"] == []  # type: ignore[index]


@pytest.mark.slow
def test_a_key_is_tried(live_sandbox: Server) -> None:
    with live_sandbox.client(max_retries=0) as client:
        assert EXERCISES["11.2"].grade(client, client.api_key)
        old = EXERCISES["11.2"].grade(client, "sk-an-old-key")
        assert old.problem == "Expected a key that the server knows, saw the answer 401."
        assert EXERCISES["11.2"].grade(client, "").problem


def create_once(client: OpenAI, request: dict[str, Any]) -> Any:
    try:
        return create_and_give_up(client, request)
    except openai.APITimeoutError:
        return client.fine_tuning.jobs.list(metadata=request["metadata"], limit=1).data[0]


def create_and_give_up(client: OpenAI, request: dict[str, Any]) -> Any:
    return client.with_options(max_retries=0).fine_tuning.jobs.create(**request)


@pytest.mark.parametrize(
    ("create", "problem"),
    [
        (create_once, None),
        (lambda client, request: client.fine_tuning.jobs.create(**request), "saw 2 jobs"),
        (create_and_give_up, "could not be read: APITimeoutError"),
        (lambda *given: [create_once(*given)], "the job to be returned, saw list"),
        (lambda client, request: None, "the job on the server, saw no job"),
    ],
)
@pytest.mark.slow
def test_a_job_is_created_once(
    live_sandbox: Server,
    live_model: str,
    create: Callable[..., Any],
    problem: str | None,
) -> None:
    with live_sandbox.client(max_retries=0) as client:
        request = step_11.job_request(client, live_model)
        for _ in range(2 if problem is None else 1):  # the check may be run again
            outcome = EXERCISES["11.7"].grade(create, client, request)
            assert bool(outcome) is (problem is None), outcome.problem
            assert (problem or "") in str(outcome.problem)
        assert client.get("/sandbox/faults", cast_to=object)["data"] == []  # type: ignore[index]


def heroes_of_age(rows: Any) -> Any:
    yield expect(isinstance(rows, list), "a list", type(rows).__name__)
    yield expect(len(rows) == 3, "3 rows", f"{len(rows)} rows")
    yield expect(all(row["age"] > 17 for row in rows), "grown-up heroes only", rows)


@pytest.fixture
def three(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Exercise:
    monkeypatch.setenv("HEROES_MY", str(tmp_path / "my"))
    return Exercise("2.1", "three heroes", heroes_of_age, ("Count.", "Use a loop.", "range(3)."))


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ([{"age": 20}] * 3, "Exercise 2.1 (three heroes): done. All 3 checks passed."),
        ([{"age": 20}], "not yet. Expected 3 rows, saw 1 rows. Stuck? Ask for a hint."),
        ("abc", "not yet. Expected a list, saw str."),
        ([{}] * 3, "not yet. What was handed in (list) could not be read: KeyError: 'age'."),
        ([{"age": 2, "text": "x" * 500}] * 3, "xxx.... Stuck?"),
    ],
)
def test_the_answer_is_printed_in_lines_that_no_window_cuts(
    three: Exercise, capsys: pytest.CaptureFixture[str], answer: Any, line: str
) -> None:
    three.check(answer)
    printed = capsys.readouterr().out
    assert line in " ".join(printed.split())
    assert len(printed) < 250
    assert all(len(part) <= 90 for part in printed.splitlines() if "xxx" not in part)


def test_a_check_that_checks_nothing_does_not_pass() -> None:
    assert not Exercise("1", "t", list, ("a", "b", "c")).grade()


def test_hints_go_up_in_three_steps(three: Exercise, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(4):
        three.hint()
    printed = capsys.readouterr().out.splitlines()
    assert [line[:9] for line in printed] == [f"Hint {n} of" for n in (1, 2, 3, 3)]
    assert printed[1] == "Hint 2 of 3: Use a loop."


def test_the_grids_short_prompts_are_the_ones_that_training_files_get() -> None:
    for row in GRID.to_dict("records"):
        assert row["sub_prompt"] == SUB_PROMPT.format(**row)
