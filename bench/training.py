"""How fast does a fine-tuning job train?

`python -m bench.training [--rounds N]`: the course's job (294 rows, 4 epochs), from create to
succeeded, against the same training by `transformers.Trainer` in a bare script; the runs take
turns. Then: which share of the machine's own matrix-product speed the training step reaches.

`--base NAME`: one epoch of `--rows` rows on a large base that was fetched, tuned through adapters,
against the barest loop that does it; with `--trl` against TRL's SFTTrainer, too, which is
installed for this measurement only, into build/bench.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from statistics import median

import psutil

from bench.bare_trainers import SCRIPTS
from bench.common import own_sandbox, seconds, show
from bench.quality import fine_tune
from helpers.sandbox import sandbox_status
from helpers.settings import ROOT
from sandbox.bases import find_base
from sandbox.config import DEFAULT_BASE

TRL_FOLDER = ROOT / "build" / "bench" / "trl"
EPOCHS = 4  # of the shipped model's job
ROWS = 294


def run(rounds: int = 3) -> None:
    """The runs take turns, so that a slow minute of the machine hits both."""
    jobs: list[float] = []
    scripts: list[dict[str, float]] = []
    with own_sandbox():
        for _ in range(rounds):
            jobs.append(fine_tune("auto", EPOCHS, 42)[1])
            scripts.append(bare("trainer", DEFAULT_BASE, ROWS, EPOCHS))
    job, script = median(jobs), median(one["seconds"] for one in scripts)
    detail = f"{job:.1f} s / {script:.1f} s, {rounds} runs each"
    show("job, create to succeeded / bare Trainer script", job / script, "x", "<= 1.3", detail)
    speed = scripts[0]["tokens"] * EPOCHS / median(one["train_seconds"] for one in scripts)
    ceiling = matrix_speed("float32") / (6 * scripts[0]["parameters"])
    detail = f"{speed:,.0f} / {ceiling:,.0f} tokens/s"
    show("trained tokens per second / matrix-product ceiling", speed / ceiling, "x", "", detail)


def run_large(base: str, with_trl: bool, rounds: int, rows: int) -> None:
    """The same for a base tuned through adapters: a job, the barest loop and TRL take turns."""
    scripts: dict[str, list[dict[str, float]]] = {"loop": []}
    if with_trl:
        install_trl()
        scripts["trl"] = []
    jobs: list[float] = []
    with own_sandbox():
        for _ in range(rounds):
            jobs.append(fine_tune("auto", 1, 42, base=base, rows=rows, validate=False)[1])
            print(f"job: {jobs[-1]} s; {memory()}", flush=True)
            for name, results in scripts.items():
                results.append(bare(name, base, rows, 1))
                print(f"{name}: {results[-1]['seconds']:.1f} s", flush=True)
    job, tokens = median(jobs), scripts["loop"][0]["tokens"]
    speed = tokens / job
    show(f"job, {rows} rows, create to succeeded", job, "s", "<= 150", f"of {sorted(jobs)}")
    show("the same in tokens per second", speed, "/s", ">= 320", f"{tokens:,} tokens")
    for name, results in scripts.items():
        script = median(one["seconds"] for one in results)
        aim = "<= 1.05" if name == "loop" else "<= 0.6"
        detail = f"{job:.1f} s / {script:.1f} s, {rounds} runs each"
        show(f"job, create to succeeded / bare {name} script", job / script, "x", aim, detail)
    ceiling = matrix_speed("bfloat16") / (4 * scripts["loop"][0]["parameters"])
    detail = f"{speed:,.0f} / {ceiling:,.0f} tokens/s (4 x parameters x tokens)"
    show("tokens per second / matrix-product ceiling", speed / ceiling, "x", "", detail)


def bare(name: str, base: str, rows: int, epochs: int) -> dict[str, float]:
    """A script of bench.bare_trainers in a process of its own; what it says of itself."""
    command = [sys.executable, "-m", "bench.training", "--bare", name, "--base", base]
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(TRL_FOLDER)])}
    done = subprocess.run(
        [*command, "--rows", str(rows), "--epochs", str(epochs)],
        cwd=ROOT,
        env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE"} | paths,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"The bare script {name} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def memory() -> str:
    """What the sandbox's processes hold, right after a job."""
    server = psutil.Process(sandbox_status().pid)
    sizes = [each.memory_info().rss >> 20 for each in (server, *server.children(recursive=True))]
    return f"MiB of the server and its workers: {sizes}"


def install_trl() -> None:
    """TRL beside the course's packages, not among them."""
    if not (TRL_FOLDER / "datasets").is_dir():
        command = [sys.executable, "-m", "pip", "install", "-q", "--target", str(TRL_FOLDER)]
        subprocess.run([*command, "--no-deps", "trl"], check=True)
        subprocess.run([*command, "-c", str(ROOT / "constraints.txt"), "datasets"], check=True)


def matrix_speed(precision: str) -> float:
    """Floating-point operations a second of a large matrix product: the best of 12."""
    import torch

    a, b = torch.rand(2, 1536, 1536).to(getattr(torch, precision))
    return 2 * 1536**3 / min(seconds(lambda: a @ b) for _ in range(12))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.training", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--base", help="a large base by name, such as smollm2-135m-instruct")
    parser.add_argument("--rows", type=int, default=ROWS, help="of the training file, with --base")
    parser.add_argument("--trl", action="store_true", help="measure TRL, too, with --base")
    parser.add_argument("--bare", choices=SCRIPTS, help=argparse.SUPPRESS)
    parser.add_argument("--epochs", type=int, default=1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        script = SCRIPTS[options.bare]
        print(json.dumps(script(find_base(options.base), options.rows, options.epochs)))
    elif options.base:
        run_large(options.base, options.trl, options.rounds, options.rows)
    else:
        run(options.rounds)


if __name__ == "__main__":
    main()
