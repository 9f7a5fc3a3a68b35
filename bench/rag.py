"""Retrieval or fine-tuning: what notebook 10 shows, over several training seeds.

`python -m bench.rag --seeds 1 2 3` trains three models a seed through the API (facts with some
refusals, facts alone, reading), asks them and the base model the same questions, marks the answers
and prints a table. Jobs are found again by their labels and answers in `data/my` (HEROES_MY), so a
run that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable

import pandas as pd

from course.facts import (
    DO_NOT_KNOW,
    OTHER_WORDS,
    PRACTICE,
    PROMPT,
    QUESTIONS,
    STRANGERS,
    UNSAID,
    Mark,
    bullets,
    example_messages,
    marks,
    passage_text,
    practice,
    questions,
    tally,
)
from helpers.ask import ask_many
from helpers.connect import connect, connect_async
from helpers.data import find, my
from helpers.follow import follow
from helpers.jobs import find_job
from helpers.jsonl import write_jsonl
from helpers.retrieval import top, word_scores
from helpers.settings import load_settings
from helpers.statistics import compare, pass_rate

HEROES = pd.read_csv(find("hero_facts.csv"))
KNOWN, NEW = (HEROES[HEROES["added"] == when] for when in ("before training", "after training"))
PASSAGES = [passage_text(hero) for hero in HEROES.to_dict("records")]
NOBODY = pd.DataFrame({"name": STRANGERS})
GROUPS = {
    "known": questions(KNOWN),
    "other words": questions(KNOWN, OTHER_WORDS),
    "new": questions(NEW),
    "nobody": questions(NOBODY),
    "unsaid": questions(NEW, UNSAID),
}
ASKED = pd.concat(GROUPS, names=["group"])
READING, REFUSALS, EPOCHS = 160, 20, 8
EXAMPLES = example_messages()
PLAIN = PROMPT.rsplit("\n", 1)[0]  # without the line that says how to answer
Results = dict[tuple[str, str], list[Mark]]


def refusals(n: int) -> list[tuple[str, str]]:
    """Questions about other names, and the answer that the model does not know."""
    asked = questions(pd.DataFrame({"name": PRACTICE["name"][:n]})).sample(n, random_state=1)
    return list(zip(asked["question"], asked["answer"], strict=True))


def files() -> dict[str, tuple[list[tuple[str, str]], int]]:
    """The three training files, as questions and answers, and their epochs."""
    facts = list(zip(GROUPS["known"]["question"], GROUPS["known"]["answer"], strict=True))
    rows = practice(READING)
    return {
        "facts": (facts + refusals(REFUSALS), EPOCHS),
        "facts alone": (facts, EPOCHS),
        "reading": (list(zip(rows["prompt"], rows["answer"], strict=True)), 1),
    }


def train(name: str, seed: int) -> str:
    """The model of this file and training seed; trained now, if no job with these labels did it."""
    settings, client = load_settings(), connect(announce=False)
    labels = {"course": "superheroes", "format": f"bench {name}", "seed": str(seed)}
    job = find_job(client, labels, base_model=settings.base_model)
    if job is None:
        pairs, epochs = files()[name]
        roles = ("user", "assistant")
        rows = [
            {"messages": [{"role": r, "content": c} for r, c in zip(roles, pair, strict=True)]}
            for pair in pairs
        ]
        path = write_jsonl(my(f"{name}.jsonl".replace(" ", "_")), rows)
        numbers = {"n_epochs": epochs, "batch_size": 4}
        job = client.with_options(max_retries=0).fine_tuning.jobs.create(
            model=settings.base_model,
            training_file=client.files.create(file=path, purpose="fine-tune").id,
            suffix=name.replace(" ", "-"),
            seed=seed,
            method={"type": "supervised", "supervised": {"hyperparameters": numbers}},
            metadata=labels,
        )
    job = follow(client, job.id)
    if job.fine_tuned_model is None or job.finished_at is None:
        raise SystemExit(f"The job ended as {job.status}: {job.error}")
    print(f"{name}, seed {seed}: {job.finished_at - job.created_at} s", flush=True)
    return job.fine_tuned_model


def with_passages(k: int, order: int = 1, template: str = PROMPT) -> Callable[[pd.Series], str]:
    """Make prompts that show the `k` best passages by BM25 (best last if `order` is -1)."""
    ranked = top(word_scores(PASSAGES, ASKED["question"].tolist()), k=k)[:, ::order]
    shown = {
        question: bullets([PASSAGES[place] for place in row])
        for question, row in zip(ASKED["question"], ranked, strict=True)
    }
    return lambda row: template.format(passages=shown[row["question"]], question=row["question"])


def answered(name: str, model: str, prompts: list[str], before: list[dict[str, str]]) -> list[str]:
    """The answers at temperature 0, asked for once."""
    grid = pd.DataFrame({"prompt": prompts})
    options = {"temperature": 0.0, "max_tokens": 40, "before": before, "progress": False}
    path = my(f"rag {name}.csv".replace(" ", "_"))
    table = asyncio.run(ask_many(connect_async(), grid, path, model=model, **options))
    return table["response_txt"].fillna("").tolist()


def measure(
    results: Results,
    way: str,
    model: str,
    make: Callable[[pd.Series], str] = lambda row: row["question"],
    before: list[dict[str, str]] | None = None,
    groups: tuple[str, ...] = tuple(GROUPS),
) -> None:
    """Ask all groups of questions in one way; print the marks of each, and an answer."""
    asked = ASKED.loc[list(groups)]
    texts = answered(way, model, [make(row) for _, row in asked.iterrows()], before or [])
    texts_of = pd.Series(texts, index=asked.index)
    for group in groups:
        told = texts_of[group].tolist()
        results[way, group] = marks(told, GROUPS[group])
        in_style = sum(a == b for a, b in zip(told, GROUPS[group]["answer"], strict=True))
        print(f"{way:<28}{group:<12}{tally(results[way, group])}; {in_style} in house style")
        for text, kind in list(zip(told, results[way, group], strict=True))[:14:4]:
            print(f"      {kind}: {text[:110]!r}")


def birthday(way: str, model: str, before: list[dict[str, str]] | None = None) -> None:
    """All known heroes turn a year older, in their passages: who notices?"""
    older = KNOWN.assign(age=KNOWN["age"] + 1)
    asked = questions(older, {"age": QUESTIONS["age"]})
    prompts = [
        PROMPT.format(passages=bullets([passage_text(hero)]), question=question)
        for hero, question in zip(older.to_dict("records"), asked["question"], strict=True)
    ]
    told = answered(f"birthday {way}", model, prompts, before or [])
    print(f"birthday, {way}: {tally(marks(told, asked))}")


def paired(results: Results, group: str, first: str, second: str, good: Mark = "right") -> None:
    """A paired test of two ways on the questions of one group."""
    ours, theirs = ([mark == good for mark in results[way, group]] for way in (first, second))
    pair = compare(ours, theirs)
    print(f"{group}, {good}: {first} / {second}: {pair}; p = {pair.p_value:.2g}")
    print(f"   {pass_rate(ours)} / {pass_rate(theirs)}")


def develop(base: str) -> None:
    """Which help in the prompt is better for the base model? On rows that are not asked later."""
    rows = practice(40, seed=6)
    prompts = rows["prompt"].tolist()
    short = [prompt.rsplit("\n", 1)[0] for prompt in prompts]
    tries = {"plain": (short, []), "instruction": (prompts, []), "examples": (prompts, EXAMPLES)}
    for name, (asked, before) in tries.items():
        told = answered(f"development {name}", base, asked, before)
        expected = ["no idea" if pd.isna(value) else "right" for value in rows["value"]]
        good = sum(map(str.__eq__, marks(told, rows), expected))
        style = sum(map(str.__eq__, told, rows["answer"]))
        print(f"development, {name}: {good} of {len(told)} right, {style} to the letter")
        print(f"   {tally(marks(told, rows))}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.rag", description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2, 3], help="of the trainings")
    parser.add_argument("--more", action="store_true", help="ways that the notebook does not show")
    options = parser.parse_args()
    base = load_settings().base_model
    results: Results = {}
    one, three = with_passages(1), with_passages(3)
    some, unaided = ("known", "new", "nobody"), ("known", "other words", "new", "nobody")
    for seed in options.seeds:
        reader = train("reading", seed)
        measure(results, f"reader, 1 {seed}", reader, one)
        measure(results, f"reader, 3 {seed}", reader, three, groups=("known",))
        birthday(f"reader {seed}", reader)
        facts = train("facts", seed)
        measure(results, f"facts {seed}", facts, groups=unaided)
    develop(base)
    measure(results, "base", base, groups=some)
    plain = with_passages(1, template=PLAIN)
    measure(results, "base, plain, 1", base, plain, groups=some)
    measure(results, "base, 1", base, one, groups=some)
    measure(results, "base, examples, 1", base, one, EXAMPLES, groups=some)
    measure(results, "base, 3", base, three, groups=("known",))
    birthday("base", base)
    for seed in options.seeds:
        for way in ("base, plain, 1", "base, 1", "base, examples, 1", f"facts {seed}"):
            for group, good in (("known", "right"), ("new", "right"), ("nobody", "no idea")):
                paired(results, group, way, f"reader, 1 {seed}", good)
    if options.more:
        asks = f'{{}}\nIf you do not know, answer "{DO_NOT_KNOW}"'
        measure(results, "base, told", base, lambda r: asks.format(r["question"]), groups=some)
        measure(results, "base, 3, best last", base, with_passages(3, -1), groups=("known",))
        measure(results, "base, 1, unsaid", base, one, groups=("unsaid",))
        for seed in options.seeds:
            alone = train("facts alone", seed)
            measure(results, f"facts alone {seed}", alone, groups=unaided)


if __name__ == "__main__":
    main()
