"""How fast does a fine-tuning job train?

`python -m bench.training [--trl]`: the course's job (294 rows, 4 epochs), from create to
succeeded, against the same training by `transformers.Trainer` in a bare script, and with `--trl`
against TRL's SFTTrainer (installed for this measurement only, into build/bench). The runs take
turns. Then: which share of the machine's own matrix-product speed the training step reaches.

`--base NAME`: the same for a large base that was fetched, tuned through adapters in one epoch, on
`--rows` of the 294 rows. The bare script is then the barest loop that trains them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from statistics import median
from typing import Any

import psutil

from bench.common import WEIGHTS, own_sandbox, seconds, show
from bench.quality import fine_tune
from helpers.data import DATA
from helpers.jsonl import read_jsonl
from helpers.sandbox import sandbox_status
from helpers.settings import ROOT
from sandbox.bases import Base, find_base
from sandbox.config import DEFAULT_BASE

TRL_FOLDER = ROOT / "build" / "bench" / "trl"
EPOCHS = 4
ROWS = 294


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


def run_large(base: Base, with_trl: bool, rounds: int, rows: int) -> None:
    """The same for a base that is tuned through adapters: a job, the barest loop, TRL in turns."""
    scripts: dict[str, list[dict[str, float]]] = {"loop": []}
    if with_trl:
        install_trl()
        scripts["trl"] = []
    jobs: list[float] = []
    with own_sandbox():
        for _ in range(rounds):
            tuned, took = fine_tune("auto", 1, 42, base=base.name, rows=rows, validate=False)
            jobs.append(took)
            print(f"job: {took} s, {tuned}; {_memory()}", flush=True)
            for name, results in scripts.items():
                results.append(bare(name, "--base", base.name, "--rows", str(rows)))
                print(f"{name}: {results[-1]}", flush=True)
    job, tokens = median(jobs), scripts["loop"][0]["tokens"]
    show(f"job, {rows} rows, create to succeeded", job, "s", "<= 150", f"{min(jobs)}-{max(jobs)} s")
    show("the same in tokens per second", tokens / job, "/s", ">= 320", f"{tokens:,} tokens")
    for name, results in scripts.items():
        script = median(one["seconds"] for one in results)
        aim = "<= 1.05" if name == "loop" else "<= 0.6"
        detail = f"{job:.1f} s / {script:.1f} s, {rounds} runs each"
        show(f"job, create to succeeded / bare {name} script", job / script, "x", aim, detail)
    ceiling = matrix_speed("bfloat16") / (4 * scripts["loop"][0]["parameters"])
    detail = f"{tokens / job:,.0f} / {ceiling:,.0f} tokens/s (4 x parameters x tokens)"
    show("tokens per second / matrix-product ceiling", tokens / job / ceiling, "x", "", detail)


def _memory() -> str:
    """What the sandbox's processes hold now, in MiB: the server, then its workers."""
    status = sandbox_status()
    server = psutil.Process(status.pid)
    sizes = [each.memory_info().rss >> 20 for each in (server, *server.children(recursive=True))]
    return f"MiB of the server and its workers: {sizes}"


def bare(trainer: str, *options: str) -> dict[str, float]:
    """`train_bare` in a process of its own; what it says of itself."""
    command = [sys.executable, "-m", "bench.training", "--bare", trainer, *options]
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(TRL_FOLDER)])}
    environment = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"} | paths
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{trainer} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def train_large(trainer_name: str, base: Base, n_rows: int) -> dict[str, float]:
    """One epoch on adapters without any server; seconds in all and of training, and tokens."""
    import torch
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer

    started = time.perf_counter()
    rows = read_jsonl(DATA / "train.jsonl")[:n_rows]
    tokenizer = AutoTokenizer.from_pretrained(base.path)
    model = AutoModelForCausalLM.from_pretrained(base.path, dtype=torch.bfloat16)
    adapters = LoraConfig(**base.advice["lora"], task_type="CAUSAL_LM")
    data = [encode(tokenizer, row["messages"], tokenizer.eos_token) for row in rows]
    if trainer_name == "trl":
        from datasets import Dataset
        from trl import SFTConfig, SFTTrainer

        pairs = [{"prompt": r["messages"][:-1], "completion": r["messages"][-1:]} for r in rows]
        arguments = common_arguments(base) | {"num_train_epochs": 1, "logging_steps": 1000}
        config = SFTConfig(
            **arguments, completion_only_loss=True, gradient_checkpointing=False, bf16=False
        )
        trainer = SFTTrainer(
            model,
            config,
            train_dataset=Dataset.from_list(pairs),
            processing_class=tokenizer,
            peft_config=adapters,
        )
        training = seconds(trainer.train)
        trainer.save_model(tempfile.mkdtemp())
    else:
        training = seconds(lambda: barest_loop(model, adapters, data, base.advice))
    return {
        "seconds": time.perf_counter() - started,
        "train_seconds": training,
        "tokens": sum(len(row["input_ids"]) for row in data),
        "parameters": model.num_parameters(),
    }


def barest_loop(model: Any, adapters: Any, data: list[dict[str, list[int]]], advice: Any) -> None:
    """What somebody writes who wants nothing but speed: like lengths together, no mask, and the
    head on the learned tokens only."""
    import torch
    from peft import get_peft_model
    from torch.nn.utils.rnn import pad_sequence

    model = get_peft_model(model, adapters)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=advice["learning_rate"], weight_decay=0.0)
    size = advice["batch_size"]
    data = sorted(data, key=lambda row: len(row["input_ids"]))
    batches = [data[i : i + size] for i in range(0, len(data), size)]
    random.Random(0).shuffle(batches)
    for batch in batches:
        ids = pad_sequence([torch.tensor(row["input_ids"]) for row in batch], batch_first=True)
        labels = [torch.tensor(row["labels"]) for row in batch]
        labels = pad_sequence(labels, batch_first=True, padding_value=-100)
        learned = torch.nn.functional.pad(labels[:, 1:] != -100, (0, 1))
        logits = model(input_ids=ids, logits_to_keep=learned, use_cache=False).logits
        targets = labels[:, 1:][labels[:, 1:] != -100]
        torch.nn.functional.cross_entropy(logits.float(), targets).backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(tempfile.mkdtemp())


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
    data = [encode(tokenizer, row["messages"], "<|end|>") for row in rows]
    common = common_arguments(find_base(DEFAULT_BASE)) | {"logging_strategy": "no"}
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


def common_arguments(base: Base) -> dict[str, Any]:
    """The arguments that transformers' Trainer and TRL's share."""
    return {
        "output_dir": tempfile.mkdtemp(),
        "num_train_epochs": EPOCHS,
        "per_device_train_batch_size": base.advice["batch_size"],
        "learning_rate": base.advice["learning_rate"],
        "warmup_steps": 7,
        "seed": 42,
        "use_cpu": True,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }


def encode(tokenizer: Any, messages: list[dict[str, str]], end: str) -> dict[str, list[int]]:
    """Token ids, and labels that leave the question out of the loss."""
    question = tokenizer.apply_chat_template(
        messages[:-1], add_generation_prompt=True, tokenize=False
    )
    start = tokenizer(question, add_special_tokens=False)["input_ids"]
    answer = tokenizer(messages[-1]["content"] + end, add_special_tokens=False)["input_ids"]
    return {"input_ids": start + answer, "labels": [-100] * len(start) + answer}


def install_trl() -> None:
    """TRL beside the course's packages, not among them."""
    if not (TRL_FOLDER / "trl").is_dir():
        command = [sys.executable, "-m", "pip", "install", "-q", "--target", str(TRL_FOLDER)]
        subprocess.run([*command, "--no-deps", "trl"], check=True)
        subprocess.run([*command, "-c", str(ROOT / "constraints.txt"), "datasets"], check=True)


def matrix_speed(precision: str = "float32") -> float:
    """Floating-point operations a second of a large matrix product: the best of 12."""
    import torch

    a, b = torch.rand(2, 1536, 1536, dtype=getattr(torch, precision))
    return 2 * 1536**3 / min(seconds(lambda: a @ b) for _ in range(12))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.training", description=__doc__)
    parser.add_argument("--trl", action="store_true", help="measure TRL too (installs it)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--base", help="a large base by name, such as smollm2-135m-instruct")
    parser.add_argument("--rows", type=int, default=ROWS, help="of the training file (--base)")
    parser.add_argument("--bare", choices=["trainer", "loop", "trl"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    base = find_base(options.base) if options.base else None
    if options.bare and base:
        print(json.dumps(train_large(options.bare, base, options.rows)))
    elif options.bare:
        print(json.dumps(train_bare(options.bare)))
    elif base:
        run_large(base, options.trl, options.rounds, options.rows)
    else:
        run(options.trl, options.rounds)


if __name__ == "__main__":
    main()
