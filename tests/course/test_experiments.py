"""The experiments of notebook 08: one thing varies, the sets are apart, a stopped run goes on."""

from __future__ import annotations

import json
import re
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from bench import experiments as command
from course.experiments import (
    DEVELOPMENT,
    KNOWN,
    OTHERS,
    SEEDS,
    TEST,
    Recipe,
    finished,
    grid,
    heroes,
    measure,
    of,
    pooled,
    scores,
    shipped,
)
from course.grid import AGES, POWERS, VALIDATION_POWERS
from helpers.settings import ROOT
from helpers.statistics import Rate

UNHEARD = (ROOT / "bench" / "unheard_powers.toml").read_text(encoding="utf-8")
USUAL = 2


def test_each_experiment_varies_what_its_name_says() -> None:
    recipes = grid(USUAL)
    assert {each.epochs for each in recipes["same epochs"]} == {USUAL}
    assert len({each.rows * each.epochs for each in recipes["same steps"]}) == 1
    for name, column in (("epochs", "epochs"), ("rate", "rate")):
        for other in {"rows", "epochs", "rate"} - {column}:
            assert len({getattr(each, other) for each in recipes[name]}) == 1
    assert {len(set(each)) for each in recipes.values()} == {3}


def test_development_and_test_powers_are_apart_and_were_never_read_by_mini() -> None:
    assert len(DEVELOPMENT) == len(TEST) == 20
    assert len({*DEVELOPMENT, *TEST, *POWERS, *VALIDATION_POWERS}) == 40 + 7 + 3
    development, test = UNHEARD.split("\ntest = ")
    assert all(f'"{power}"' in development for power in DEVELOPMENT)
    assert all(f'"{power}"' in test for power in TEST)


def test_half_of_the_heroes_are_like_the_file_and_half_are_like_nothing_in_it() -> None:
    table = heroes(seed=0)
    assert table.equals(heroes(seed=0)) and not table.equals(heroes(seed=1))
    known, others = (table[table["group"] == group] for group in (KNOWN, OTHERS))
    assert len(known) == len(others) == 20
    assert set(known["power"]) == set(POWERS) and set(known["age"]) <= set(AGES)
    assert set(others["power"]) == set(DEVELOPMENT) and not set(others["age"]) & set(AGES)
    assert set(heroes(0, TEST).query("group == @OTHERS")["power"]) == set(TEST)


class Jobs:
    """Stands in for a client: a job has succeeded when it is looked at the second time."""

    def __init__(self, ends: str = "succeeded") -> None:
        self.ends, self.checkpoints = ends, self
        self.fine_tuning = SimpleNamespace(jobs=self)

    def retrieve(self, job_id: str) -> Any:
        return job(job_id, self.ends)

    def list(self, job_id: str, limit: int) -> Any:
        return SimpleNamespace(data=[SimpleNamespace(step_number=12)])


def job(name: str, status: str = "queued") -> Any:
    return SimpleNamespace(id=name, status=status, fine_tuned_model=f"ft:{name}", error="no rows")


def ask(model: str) -> pd.DataFrame:
    """What is like the file is right; of the others, what was trained on more than 30 rows."""
    table = heroes(seed=0)
    return table.assign(ok=(table["group"] == KNOWN) | ("ft:60" in model))


def test_every_recipe_is_trained_with_every_seed() -> None:
    recipes = [Recipe(30, 4), Recipe(60, 4)]
    table = measure(Jobs(), recipes, lambda recipe, seed: job(f"{recipe.rows}-{seed}"), ask)
    assert len(table) == 2 * len(SEEDS) * 2
    assert set(table["seed"]) == set(SEEDS) and set(table["steps"]) == {12}
    right = table.groupby(["rows", "group"])["right"].sum().to_dict()
    assert right == {(30, KNOWN): 60, (30, OTHERS): 0, (60, KNOWN): 60, (60, OTHERS): 60}
    assert set(of(table, recipes[1:])["rows"]) == {60}
    more = [*recipes, Recipe(90, 4)]
    whole = measure(Jobs(), more, lambda recipe, seed: job(f"{recipe.rows}-{seed}"), ask, table)
    assert whole[:12].equals(table) and set(whole[12:]["rows"]) == {90}, "only what is new"
    assert pooled(table) == {KNOWN: Rate(120, 120), OTHERS: Rate(60, 120)}
    assert of(table, [Recipe(60, 4, 2.0)]).empty


@pytest.mark.parametrize("end", ["failed", "cancelled", "paused"])
def test_a_training_that_does_not_succeed_ends_the_experiment(end: str) -> None:
    with pytest.raises(RuntimeError, match=f"The job 30-1 is {end}: no rows"):
        finished(Jobs(end), "30-1", every=0)
    with pytest.raises(RuntimeError, match="is running"):
        finished(Jobs("running"), "30-1", every=0, most=-1)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Recipe, int]]:
    """The command without a sandbox: what it has trained."""
    done: list[tuple[Recipe, int]] = []

    def train(base: str, recipe: Recipe, seed: int) -> list[dict[str, Any]]:
        done.append((recipe, seed))
        if len(done) == 5:
            raise KeyboardInterrupt
        return [{**recipe._asdict(), "seed": seed, **score} for score in scores(ask("ft:30"))]

    monkeypatch.setattr(command, "train_and_ask", train)
    monkeypatch.setattr(command, "own_sandbox", nullcontext)
    return done


def test_a_run_that_was_stopped_goes_on_where_it_was(
    tmp_path: Path, trained: list[tuple[Recipe, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "table.json"
    arguments = ["--base", "superhero-mini", "--out", str(path)]
    with pytest.raises(KeyboardInterrupt):
        command.main(arguments)
    assert len(json.loads(path.read_text(encoding="utf-8"))["trainings"]) == 4 * 2
    command.main(arguments)
    assert len(trained) == len(set(trained)) + 1, "only the one that was cut off is done again"
    assert len(set(trained)) == len(command.recipes_of("superhero-mini")) * len(SEEDS)
    assert capsys.readouterr().out.endswith("0 trainings are missing.\n")
    command.main([*arguments, "--minutes", "0", "--fresh"])
    assert re.search(r"[1-9]\d* trainings are missing", capsys.readouterr().out)


def test_a_table_that_was_made_in_another_way_is_not_continued(tmp_path: Path) -> None:
    path = tmp_path / "table.json"
    made = command.how("superhero-mini")
    wanted, other = {"rows": 30, "epochs": 4, "rate": 1.0}, {"rows": 7, "epochs": 4, "rate": 1.0}
    command.Table(made, [wanted, other]).write(path)
    assert command.Table.read(path, made | {"date": "2030-01-01"}).trainings == [wanted]
    assert not command.Table.read(path, made | {"temperature": 1.0}).trainings


def test_the_shipped_table_is_whole_and_says_how_it_was_made() -> None:
    table, made = shipped()
    recipes = command.recipes_of(made["base"])
    assert not command.Table(made, table.to_dict("records")).missing(recipes)
    assert len(table) == len(recipes) * len(SEEDS) * 2, "a row for each group, nothing twice"
    assert set(table["group"]) == {KNOWN, OTHERS} and set(table["n"]) == {20}
    assert table["right"].between(0, table["n"]).all()
    assert set(made) == set(command.how("superhero-mini"))
