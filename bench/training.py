"""How fast does a fine-tuning job train?

`python -m bench.training [--trl]`: the course's job (294 rows, 4 epochs), from create to
succeeded, against the same `transformers.Trainer` in a bare script, and with `--trl` against
TRL's SFTTrainer (installed for this measurement only, into build/bench). The runs take turns.
Then: which share of the machine's own matrix-product speed the training step reaches.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

from bench.common import Row, median, own_sandbox
from bench.quality import fine_tune
from helpers.data import DATA
from helpers.settings import ROOT

WEIGHTS = ROOT / "sandbox" / "base_model" / "weights"
TRL_FOLDER = ROOT / "build" / "bench" / "trl"
EPOCHS = 4


def bare(trainer: str) -> dict[str, float]:
    """One run of `bench/bare_trainer.py` in a process of its own; its own account of itself."""
    command = [sys.executable, "-m", "bench.bare_trainer", trainer, str(WEIGHTS)]
    command += [str(DATA / "train.jsonl"), str(EPOCHS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{trainer} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def install_trl() -> None:
    """TRL beside the course's packages, not among them."""
    if not (TRL_FOLDER / "trl").is_dir():
        command = [sys.executable, "-m", "pip", "install", "-q", "--target", str(TRL_FOLDER)]
        constraints = ["-c", str(ROOT / "constraints.txt")]
        subprocess.run([*command, "--no-deps", "trl"], check=True)
        subprocess.run([*command, *constraints, "datasets"], check=True)


def matrix_speed() -> float:
    """Floating-point operations a second of a large float32 matrix product."""
    import torch

    a, b = torch.rand(1536, 1536), torch.rand(1536, 1536)
    best = 0.0
    for _ in range(12):
        started = time.perf_counter()
        a @ b
        best = max(best, 2 * 1536**3 / (time.perf_counter() - started))
    return best


def parameters() -> int:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(WEIGHTS).num_parameters()


def run(with_trl: bool, rounds: int = 3) -> list[Row]:
    """The runs take turns, so that a slow minute of the machine hits all of them."""
    jobs: list[float] = []
    plain: list[dict[str, float]] = []
    trl: list[dict[str, float]] = []
    if with_trl:
        install_trl()
    with own_sandbox():
        for _ in range(rounds):
            jobs.append(fine_tune("auto", EPOCHS, 42)[1])
            plain.append(bare("trainer"))
            if with_trl:
                trl.append(bare("trl"))
    job = median(jobs)
    script = median([one["seconds"] for one in plain])
    speed = plain[0]["tokens"] * EPOCHS / median([one["train_seconds"] for one in plain])
    ceiling = matrix_speed() / (6 * parameters())
    rows = [
        Row(
            "job, create to succeeded / bare Trainer script",
            job / script,
            "x",
            "<= 1.3",
            f"{job:.1f} s / {script:.1f} s, {rounds} runs each",
        ),
        Row(
            "trained tokens per second / matrix-product ceiling",
            speed / ceiling,
            "x",
            ">= 0.45",
            f"{speed:,.0f} / {ceiling:,.0f} tokens/s",
        ),
    ]
    if with_trl:
        other = median([one["seconds"] for one in trl])
        rows.append(
            Row("job / TRL SFTTrainer script", job / other, "x", "<= 1.0", f"{other:.1f} s")
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.training", description=__doc__)
    parser.add_argument("--trl", action="store_true", help="measure TRL too (installs it)")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for row in run(options.trl, options.rounds):
        print(row)


if __name__ == "__main__":
    main()
