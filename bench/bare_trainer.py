"""The same fine-tuning without any server: `python -m bench.bare_trainer trainer|trl BASE FILE N`.

Prints one JSON line: seconds from reading the data to the saved model, seconds of training
alone, and the tokens of one epoch. Imports are not counted: a job's worker is warm as well.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in the sandbox's own processes
sys.path.append(str(Path(__file__).resolve().parent.parent / "build" / "bench" / "trl"))

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DataCollatorForSeq2Seq,
    Trainer,
    TrainingArguments,
)


def arguments(kind: type, folder: str, epochs: int, rate: float, **more: Any) -> Any:
    return kind(
        output_dir=folder,
        num_train_epochs=epochs,
        per_device_train_batch_size=8,
        learning_rate=rate,
        lr_scheduler_type="linear",
        warmup_steps=7,
        seed=42,
        use_cpu=True,
        bf16=False,
        save_strategy="no",
        logging_strategy="no",
        report_to=[],
        disable_tqdm=True,
        dataloader_pin_memory=False,
        **more,
    )


def encode(tokenizer: Any, messages: list[dict[str, str]]) -> dict[str, list[int]]:
    """Token ids, and labels that leave the question out of the loss."""
    question = tokenizer.apply_chat_template(
        messages[:-1], add_generation_prompt=True, tokenize=False
    )
    start = tokenizer(question, add_special_tokens=False)["input_ids"]
    answer = tokenizer(messages[-1]["content"] + "<|end|>", add_special_tokens=False)["input_ids"]
    return {"input_ids": start + answer, "labels": [-100] * len(start) + answer}


def with_trainer(model: Any, tokenizer: Any, rows: list[Any], epochs: int, rate: float) -> Trainer:
    data = [encode(tokenizer, row["messages"]) for row in rows]
    args = arguments(
        TrainingArguments,
        tempfile.mkdtemp(),
        epochs,
        rate,
        train_sampling_strategy="group_by_length",
    )
    return Trainer(
        model=model,
        args=args,
        train_dataset=data,
        data_collator=DataCollatorForSeq2Seq(tokenizer, model=None),
    )


def with_trl(model: Any, tokenizer: Any, rows: list[Any], epochs: int, rate: float) -> Trainer:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    pairs = [{"prompt": r["messages"][:-1], "completion": r["messages"][-1:]} for r in rows]
    args = arguments(
        SFTConfig,
        tempfile.mkdtemp(),
        epochs,
        rate,
        completion_only_loss=True,
        gradient_checkpointing=False,
    )
    return SFTTrainer(
        model=model, args=args, train_dataset=Dataset.from_list(pairs), processing_class=tokenizer
    )


def main() -> None:
    trainer_name, base, file, epochs = sys.argv[1:5]
    rate = json.loads((Path(base) / "sandbox.json").read_text(encoding="utf-8"))["learning_rate"]
    started = time.perf_counter()
    rows = [json.loads(line) for line in Path(file).read_text(encoding="utf-8").splitlines()]
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    build = with_trl if trainer_name == "trl" else with_trainer
    trainer = build(model, tokenizer, rows, int(epochs), rate)
    training = time.perf_counter()
    trainer.train()
    trained = time.perf_counter() - training
    trainer.save_model(tempfile.mkdtemp())
    tokens = sum(len(encode(tokenizer, row["messages"])["input_ids"]) for row in rows)
    done = {
        "seconds": time.perf_counter() - started,
        "train_seconds": trained,
        "tokens": tokens,
    }
    print(json.dumps(done))


if __name__ == "__main__":
    main()
