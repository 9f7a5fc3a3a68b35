"""The same fine-tuning without any server, as others would write it: for bench.training.

Each script gives its seconds in all and of training, the tokens of an epoch and the base's
parameters. Imports are not counted: a job's worker is warm as well.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable
from typing import Any

from bench.common import seconds
from helpers.data import DATA
from helpers.jsonl import read_jsonl
from sandbox.bases import Base

Encoded = list[dict[str, list[int]]]


def with_trainer(base: Base, n_rows: int, epochs: int) -> dict[str, float]:
    """All weights, by the Trainer of transformers."""
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    started = time.perf_counter()
    rows, tokenizer, model = load(base, n_rows, "float32")
    data = encode(tokenizer, rows, "<|end|>")
    arguments = TrainingArguments(
        **common_arguments(base, epochs), train_sampling_strategy="group_by_length"
    )
    collator = DataCollatorForSeq2Seq(tokenizer, model=None)
    trainer = Trainer(model, arguments, train_dataset=data, data_collator=collator)
    training = seconds(trainer.train)
    trainer.save_model(tempfile.mkdtemp())
    return figures(started, training, data, model.num_parameters())


def with_trl(base: Base, n_rows: int, epochs: int) -> dict[str, float]:
    """Adapters, by TRL's SFTTrainer."""
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    started = time.perf_counter()
    rows, tokenizer, model = load(base, n_rows, "bfloat16")
    parameters = model.num_parameters()
    pairs = [{"prompt": r["messages"][:-1], "completion": r["messages"][-1:]} for r in rows]
    trainer = SFTTrainer(
        model,
        SFTConfig(
            **common_arguments(base, epochs),
            train_sampling_strategy="group_by_length",
            completion_only_loss=True,
            gradient_checkpointing=False,
            bf16=False,  # the weights are in it already
        ),
        train_dataset=Dataset.from_list(pairs),
        processing_class=tokenizer,
        peft_config=LoraConfig(**base.advice["lora"], task_type="CAUSAL_LM"),
    )
    training = seconds(trainer.train)
    trainer.save_model(tempfile.mkdtemp())
    data = encode(tokenizer, rows, tokenizer.eos_token)
    return figures(started, training, data, parameters)


def with_barest_loop(base: Base, n_rows: int, epochs: int) -> dict[str, float]:
    """Adapters, as somebody writes it who wants nothing but speed.

    Like lengths together, padding on the right, no mask, the head on the learned tokens only.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    started = time.perf_counter()
    rows, tokenizer, model = load(base, n_rows, "bfloat16")
    parameters = model.num_parameters()
    data = encode(tokenizer, rows, tokenizer.eos_token)
    model = get_peft_model(model, LoraConfig(**base.advice["lora"], task_type="CAUSAL_LM"))
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=base.advice["learning_rate"], weight_decay=0.0)
    size, by_length = base.advice["batch_size"], sorted(data, key=lambda r: len(r["input_ids"]))
    batches = [by_length[i : i + size] for i in range(0, len(data), size)] * epochs
    random.Random(0).shuffle(batches)

    def train() -> None:
        for batch in batches:
            bare_loss(model, batch).backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            optimizer.zero_grad()

    training = seconds(train)
    model.save_pretrained(tempfile.mkdtemp())
    return figures(started, training, data, parameters)


def bare_loss(model: Any, batch: Encoded) -> Any:
    """The mean cross-entropy over the learned tokens of a batch."""
    import torch.nn.functional as F
    from torch import tensor
    from torch.nn.utils.rnn import pad_sequence

    ids = pad_sequence([tensor(row["input_ids"]) for row in batch], batch_first=True)
    labels = pad_sequence([tensor(row["labels"]) for row in batch], True, padding_value=-100)
    learned = F.pad(labels[:, 1:] != -100, (0, 1))
    logits = model(input_ids=ids, logits_to_keep=learned, use_cache=False).logits
    return F.cross_entropy(logits.float(), labels[:, 1:][learned[:, :-1]])


def load(base: Base, n_rows: int, precision: str) -> tuple[list[dict[str, Any]], Any, Any]:
    """The first rows of the course's training file, the base's tokenizer and its model."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    rows = read_jsonl(DATA / "train.jsonl")[:n_rows]
    model = AutoModelForCausalLM.from_pretrained(base.path, dtype=getattr(torch, precision))
    return rows, AutoTokenizer.from_pretrained(base.path), model


def encode(tokenizer: Any, rows: list[dict[str, Any]], end: str) -> Encoded:
    """Token ids of each row, and labels that leave the question out of the loss."""
    data = []
    for row in rows:
        *before, answer = row["messages"]
        question = tokenizer.apply_chat_template(before, add_generation_prompt=True, tokenize=False)
        start = tokenizer(question, add_special_tokens=False)["input_ids"]
        learned = tokenizer(answer["content"] + end, add_special_tokens=False)["input_ids"]
        data.append({"input_ids": start + learned, "labels": [-100] * len(start) + learned})
    return data


def common_arguments(base: Base, epochs: int) -> dict[str, Any]:
    """The arguments that Trainer and SFTTrainer share."""
    return {
        "output_dir": tempfile.mkdtemp(),
        "num_train_epochs": epochs,
        "per_device_train_batch_size": base.advice["batch_size"],
        "learning_rate": base.advice["learning_rate"],
        "warmup_steps": 7,
        "seed": 42,
        "use_cpu": True,
        "save_strategy": "no",
        "logging_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
    }


def figures(started: float, training: float, data: Encoded, parameters: int) -> dict[str, float]:
    """What bench.training reads from a script's last line."""
    return {
        "seconds": time.perf_counter() - started,
        "train_seconds": training,
        "tokens": sum(len(row["input_ids"]) for row in data),
        "parameters": parameters,
    }


SCRIPTS: dict[str, Callable[[Base, int, int], dict[str, float]]] = {
    "trainer": with_trainer,
    "loop": with_barest_loop,
    "trl": with_trl,
}
