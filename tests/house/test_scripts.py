"""The take-away scripts: each runs as it stands, in a process of its own, on a real sandbox.

They share one sandbox in which the course's two jobs are done; none of them trains for long.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from helpers.connect import connect
from helpers.data import DATA
from helpers.jsonl import read_jsonl
from tools.conditions import Conditions
from tools.notebooks import NOTEBOOKS, ROOT
from tools.trained import trained_state

SCRIPTS = ROOT / "scripts"
NAMES = sorted(path.stem for path in SCRIPTS.glob("*.py"))
LONGEST = 85  # lines


@pytest.fixture(scope="module")
def my_folder() -> Iterator[Path]:
    """The learner's folder, in an environment with a trained sandbox."""
    with Conditions(state=trained_state()):
        yield Path(os.environ["HEROES_MY"])


def run(name: str, *arguments: str) -> str:
    """What a script prints; it must end well, and leave no secret behind."""
    (path,) = SCRIPTS.glob(f"{name}_*.py")
    done = subprocess.run(
        [sys.executable, str(path), *arguments],
        cwd=ROOT,
        # As if installed: the scripts import the helpers.
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert not re.search(r"sk-sandbox-\w{10}", done.stdout + done.stderr)
    return done.stdout


def test_each_notebook_has_a_script() -> None:
    assert NAMES == sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))


@pytest.mark.parametrize("name", NAMES)
def test_scripts_are_short_and_told_of(name: str) -> None:
    text = (SCRIPTS / f"{name}.py").read_text(encoding="utf-8")
    assert text.startswith(f'"""Notebook {name[:2]} in short: ')
    assert f"python scripts/{name}.py" in text
    assert text.endswith('if __name__ == "__main__":\n    main()\n')
    assert len(text.splitlines()) <= LONGEST
    readme = (SCRIPTS / "README.md").read_text(encoding="utf-8")
    assert f"[{name}.py]({name}.py)" in readme
    assert f"(../notebooks/{name}.ipynb)" in readme


@pytest.mark.slow
class TestScripts:
    """All of them together take less than a minute; so they are slow as one."""

    def test_00_forecasts_and_does_not_know_the_note(self, my_folder: Path) -> None:
        said = run("00")
        assert len(re.findall(r"^ +'.+' +\d+% ?#*$", said, re.MULTILINE)) == 5
        assert "After the long request comes a right hero:" in said
        assert "After the short note comes not a hero:" in said

    def test_01_knows_its_key_and_answers(self, my_folder: Path) -> None:
        said = run("01", "What is a token?")
        assert "The .env file: there is none." in said
        assert "A wrong key: 401 invalid_api_key" in said
        assert re.search(r"You: What is a token\?\nModel: \w.+\n\(\d+ \+ \d+ tokens, \w+\)", said)
        assert re.search(r"as it writes:\n\w.+\n$", said)

    def test_02_writes_heroes_and_never_twice(self, my_folder: Path) -> None:
        assert "0 rows were there already, 3 are to be written." in run("02", "--rows", "3")
        table = pd.read_csv(my_folder / "script_superheroes.csv")
        assert list(table["finish_reason"]) == ["stop"] * 3
        assert table["response_txt"].str.len().min() > 200
        assert "3 rows were there already, 1 are to be written." in run("02", "--rows", "4")
        longer = pd.read_csv(my_folder / "script_superheroes.csv")
        pd.testing.assert_frame_equal(longer.head(3), table)

    def test_03_writes_the_same_files_as_the_notebook(self, my_folder: Path) -> None:
        said = run("03")
        assert "powers in both: 0" in said
        for name in ("train", "validation", "train_completions", "validation_completions"):
            made = read_jsonl(my_folder / f"script_{name}.jsonl")
            assert made == read_jsonl(DATA / f"{name}.jsonl")
        assert "script_train.jsonl: 294 examples, chat format, no problems" in said

    def test_05_follows_a_job_and_reads_its_losses(self, my_folder: Path) -> None:
        said = run("05")
        assert "The job has successfully completed" in said
        assert re.search(r"Status: succeeded\. Model: ft:superhero-mini:\S+", said)
        losses = [float(loss) for loss in re.findall(r"  step +\d+ +(\d\.\d\d) #", said)]
        assert len(losses) >= 12
        assert losses[-1] < losses[0]
        assert len(re.findall(r"Checkpoint at step \d+: exam loss \d\.\d\d", said)) == 3

    def test_06_shows_before_and_after(self, my_folder: Path) -> None:
        said = run("06", "--age", "60", "--gender", "man", "--power", "Healing")
        base, tuned = said.split("The tuned model after '60, man, Healing ->':")
        assert "The judge: refused" in base
        assert "The judge: passed" in tuned
        passed = re.search(r"The same at 7 ages: (\d) pass the judge\.", said)
        assert passed is not None
        assert int(passed[1]) >= 5

    def test_07_scores_four_ways(self, my_folder: Path) -> None:
        said = run("07", "--heroes", "6")
        rates = dict(re.findall(r"^(\w+, [\w ]+): (\d+)% of 6 \(95 %", said, re.MULTILINE))
        assert list(rates) == [
            "base, note",
            "base, two examples",
            "base, long prompt",
            "tuned, note",
        ]
        assert int(rates["tuned, note"]) > int(rates["base, note"])
        assert len(re.findall(r"would cost \$0\.\d\d$", said, re.MULTILINE)) == 4

    def test_08_learns_by_hand(self, my_folder: Path) -> None:
        said = run("08", "--steps", "3")
        assert "294 examples, 42 in the exam" in said
        before, after = (
            float(loss) for loss in re.findall(r"^exam loss ([\d.]+)", said, re.MULTILINE)
        )
        assert after < before

    def test_09_looks_up_and_learns(self, my_folder: Path) -> None:
        said = run("09")
        found = dict(re.findall(r"^By (\w+), (\d+) of 88 cards are found\.$", said, re.MULTILINE))
        assert int(found["words"]) == 88
        assert int(found["embeddings"]) >= 70
        rows = re.findall(r"^([\w ]+): facts [\w ]+: +(\d+) right", said, re.MULTILINE)
        assert [way for way, _ in rows[::2]] == ["base alone", "retrieval", "by heart"]
        right = [int(number) for _, number in rows]
        assert right[0] + right[1] <= 2  # the base model does not know these heroes
        assert right[2] >= 50
        assert right[3] >= 20
        assert right[4] >= 40  # learned by heart
        assert right[5] <= 5  # and nothing else

    def test_10_meets_errors_and_explains_them(self, my_folder: Path) -> None:
        said = run("10")
        met = dict(re.findall(r"^([\w ]+): (\w+); again\? (?:True|False)$", said, re.MULTILINE))
        assert met["a wrong key"] == "AuthenticationError"
        assert met["no money left"] == met["too many calls"] == "RateLimitError"
        assert met["code of 2022"] == "APIRemovedInV1"
        assert len(met) == said.count("  means: ") == 9
        assert "no money left: RateLimitError; again? False" in said
        assert re.search(r"And when all is well: \w+", said)

    def test_11_sends_a_batch(self, my_folder: Path) -> None:
        said = run("11", "--rows", "4")
        assert "Sent as one batch: batch_" in said
        assert "4 of 4 rows were answered." in said
        costs = re.findall(r"4,000 such rows with \S+, [\w ]+: \$([\d.]+)", said)
        one_by_one, as_batches = map(float, costs[:2])
        assert 0.45 < as_batches / one_by_one < 0.55

    def test_99_orders_a_job(self, my_folder: Path) -> None:
        """Notebook 04's; the last one, because its job would be the newest for the others."""
        said = run("04", "--epochs", "1")
        ordered = re.search(r"Ordered: (ftjob-\w+)\nStatus: (\w+)", said)
        assert ordered is not None
        assert ordered[2] in ("queued", "running")
        assert "info: Created fine-tuning job" in said
        with connect(announce=False) as client:
            job = client.fine_tuning.jobs.cancel(ordered[1])
            assert job.metadata == {"course": "superheroes", "format": "chat"}
            assert job.hyperparameters.n_epochs == 1
