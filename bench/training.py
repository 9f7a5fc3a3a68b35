"""How fast does a fine-tuning job train?

`python -m bench.training [--rounds N]`: the course's job (294 rows, 4 epochs), from create to
succeeded, against the same training by `transformers.Trainer` in a bare script; the runs take
turns. Then: which share of the machine's own matrix-product speed the training step reaches.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from statistics import median
from typing import Any

from bench.common import WEIGHTS, own_sandbox, seconds, show
from bench.quality import fine_tune
from helpers.data import DATA
from helpers.jsonl import read_jsonl
from helpers.settings import ROOT

EPOCHS = 4


def run(rounds: int = 3) -> None:
    """The runs take turns, so that a slow minute of the machine hits both."""
    jobs: list[float] = []
    scripts: list[dict[str, float]] = []
    with own_sandbox():
        for _ in range(rounds):
            jobs.append(fine_tune("auto", EPOCHS, 42)[1])
            scripts.append(bare())
    job, script = median(jobs), median(one["seconds"] for one in scripts)
    detail = f"{job:.1f} s / {script:.1f} s, {rounds} runs each"
    show("job, create to succeeded / bare Trainer script", job / script, "x", "<= 1.3", detail)
    speed = scripts[0]["tokens"] * EPOCHS / median(one["train_seconds"] for one in scripts)
    ceiling = matrix_speed() / (6 * scripts[0]["parameters"])
    detail = f"{speed:,.0f} / {ceiling:,.0f} tokens/s"
    show("trained tokens per second / matrix-product ceiling", speed / ceiling, "x", "", detail)


def bare() -> dict[str, float]:
    """`train_bare` in a process of its own; what it says of itself."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.training", "--bare"],
        cwd=ROOT,
        env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"The bare script failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def train_bare() -> dict[str, float]:
    """The same fine-tuning without any server: seconds in all and of training, tokens an epoch.

    Imports are not counted: a job's worker is warm as well.
    """
    import torch
    from transformers import (
        AutoModelForCausalLM,
        AutoTokenizer,
        DataCollatorForSeq2Seq,
        Trainer,
        TrainingArguments,
    )

    started = time.perf_counter()
    rows = read_jsonl(DATA / "train.jsonl")
    tokenizer = AutoTokenizer.from_pretrained(WEIGHTS)
    model = AutoModelForCausalLM.from_pretrained(WEIGHTS, dtype=torch.float32)
    data = [encode(tokenizer, row["messages"]) for row in rows]
    arguments = TrainingArguments(
        output_dir=tempfile.mkdtemp(),
        num_train_epochs=EPOCHS,
        per_device_train_batch_size=8,
        learning_rate=json.loads((WEIGHTS / "sandbox.json").read_text())["learning_rate"],
        warmup_steps=7,
        seed=42,
        use_cpu=True,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=False,
        train_sampling_strategy="group_by_length",
    )
    collator = DataCollatorForSeq2Seq(tokenizer, model=None)
    trainer = Trainer(model, arguments, train_dataset=data, data_collator=collator)
    training = seconds(trainer.train)
    trainer.save_model(tempfile.mkdtemp())
    return {
        "seconds": time.perf_counter() - started,
        "train_seconds": training,
        "tokens": sum(len(row["input_ids"]) for row in data),
        "parameters": model.num_parameters(),
    }


def encode(tokenizer: Any, messages: list[dict[str, str]]) -> dict[str, list[int]]:
    """Token ids, and labels that leave the question out of the loss."""
    question = tokenizer.apply_chat_template(
        messages[:-1], add_generation_prompt=True, tokenize=False
    )
    start = tokenizer(question, add_special_tokens=False)["input_ids"]
    answer = tokenizer(messages[-1]["content"] + "<|end|>", add_special_tokens=False)["input_ids"]
    return {"input_ids": start + answer, "labels": [-100] * len(start) + answer}


def matrix_speed() -> float:
    """Floating-point operations a second of a large float32 matrix product: the best of 12."""
    import torch

    a, b = torch.rand(1536, 1536), torch.rand(1536, 1536)
    return 2 * 1536**3 / min(seconds(lambda: a @ b) for _ in range(12))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.training", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        print(json.dumps(train_bare()))
    else:
        run(options.rounds)


if __name__ == "__main__":
    main()
