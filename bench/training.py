"""How fast does a fine-tuning job train?

`python -m bench.training [--trl]`: the course's job (294 rows, 4 epochs), from create to
succeeded, against the same training by `transformers.Trainer` in a bare script, and with `--trl`
against TRL's SFTTrainer (installed for this measurement only, into build/bench). The runs take
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

TRL_FOLDER = ROOT / "build" / "bench" / "trl"
EPOCHS = 4


def run(with_trl: bool, rounds: int = 3) -> None:
    """The runs take turns, so that a slow minute of the machine hits all of them."""
    jobs: list[float] = []
    scripts: dict[str, list[dict[str, float]]] = {"trainer": []}
    if with_trl:
        install_trl()
        scripts["trl"] = []
    with own_sandbox():
        for _ in range(rounds):
            jobs.append(fine_tune("auto", EPOCHS, 42)[1])
            for name, results in scripts.items():
                results.append(bare(name))
    job = median(jobs)
    for name, results in scripts.items():
        script = median(one["seconds"] for one in results)
        aim = "<= 1.3" if name == "trainer" else "<= 1.0"
        detail = f"{job:.1f} s / {script:.1f} s, {rounds} runs each"
        show(f"job, create to succeeded / bare {name} script", job / script, "x", aim, detail)
    plain = scripts["trainer"]
    speed = plain[0]["tokens"] * EPOCHS / median(one["train_seconds"] for one in plain)
    ceiling = matrix_speed() / (6 * plain[0]["parameters"])
    detail = f"{speed:,.0f} / {ceiling:,.0f} tokens/s"
    show("trained tokens per second / matrix-product ceiling", speed / ceiling, "x", "", detail)


def bare(trainer: str) -> dict[str, float]:
    """`train_bare` in a process of its own; what it says of itself."""
    command = [sys.executable, "-m", "bench.training", "--bare", trainer]
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(TRL_FOLDER)])}
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"} | paths
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{trainer} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def train_bare(trainer_name: str) -> dict[str, float]:
    """The same fine-tuning without any server: seconds in all and of training, tokens an epoch.

    Imports are not counted: a job's worker is warm as well.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, DataCollatorForSeq2Seq, Trainer
    from transformers import TrainingArguments as Arguments

    started = time.perf_counter()
    rows = read_jsonl(DATA / "train.jsonl")
    tokenizer = AutoTokenizer.from_pretrained(WEIGHTS)
    model = AutoModelForCausalLM.from_pretrained(WEIGHTS, dtype=torch.float32)
    data = [encode(tokenizer, row["messages"]) for row in rows]
    common: dict[str, Any] = {
        "output_dir": tempfile.mkdtemp(),
        "num_train_epochs": EPOCHS,
        "per_device_train_batch_size": 8,
        "learning_rate": json.loads((WEIGHTS / "sandbox.json").read_text())["learning_rate"],
        "warmup_steps": 7,
        "seed": 42,
        "use_cpu": True,
        "save_strategy": "no",
        "logging_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }
    if trainer_name == "trl":
        from datasets import Dataset
        from trl import SFTConfig, SFTTrainer

        pairs = [{"prompt": r["messages"][:-1], "completion": r["messages"][-1:]} for r in rows]
        config = SFTConfig(
            **common, completion_only_loss=True, gradient_checkpointing=False, bf16=False
        )
        trainer = SFTTrainer(
            model, config, train_dataset=Dataset.from_list(pairs), processing_class=tokenizer
        )
    else:
        arguments = Arguments(**common, train_sampling_strategy="group_by_length")
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


def install_trl() -> None:
    """TRL beside the course's packages, not among them."""
    if not (TRL_FOLDER / "trl").is_dir():
        command = [sys.executable, "-m", "pip", "install", "-q", "--target", str(TRL_FOLDER)]
        subprocess.run([*command, "--no-deps", "trl"], check=True)
        subprocess.run([*command, "-c", str(ROOT / "constraints.txt"), "datasets"], check=True)


def matrix_speed() -> float:
    """Floating-point operations a second of a large float32 matrix product: the best of 12."""
    import torch

    a, b = torch.rand(1536, 1536), torch.rand(1536, 1536)
    return 2 * 1536**3 / min(seconds(lambda: a @ b) for _ in range(12))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.training", description=__doc__)
    parser.add_argument("--trl", action="store_true", help="measure TRL too (installs it)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--bare", choices=["trainer", "trl"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare:
        print(json.dumps(train_bare(options.bare)))
    else:
        run(options.trl, options.rounds)


if __name__ == "__main__":
    main()
