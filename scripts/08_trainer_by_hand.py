"""Notebook 08 in short: fine-tuning without an API, with transformers' own Trainer.

python scripts/08_trainer_by_hand.py --steps 148
"""

from __future__ import annotations

import argparse
import math
import tempfile
from typing import Any

from course.judge import judge
from helpers.by_hand import base_model_folder, calm_libraries
from helpers.data import find
from helpers.jsonl import read_jsonl

calm_libraries()  # before torch is loaded

import torch  # noqa: E402
from torch.nn.utils.rnn import pad_sequence  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments  # noqa: E402  # noqa: E402, I001

BASE = base_model_folder()
TOKENIZER = AutoTokenizer.from_pretrained(BASE)
QUIET = {"save_strategy": "no", "report_to": [], "disable_tqdm": True, "use_cpu": True}


def encode(row: dict[str, Any]) -> dict[str, list[int]]:
    """Token ids of a chat; -100 marks what is read but not learned: the question."""
    chat = row["messages"]
    ids = TOKENIZER.apply_chat_template(chat, return_dict=False)
    note = TOKENIZER.apply_chat_template(chat[:-1], add_generation_prompt=True, return_dict=False)
    return {"input_ids": ids, "labels": [-100] * len(note) + ids[len(note) :]}


def collate(batch: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
    """A batch of [rows, tokens], filled up to the longest row; the filling is not learned."""
    return {
        name: pad_sequence([torch.tensor(row[name]) for row in batch], True, filling)
        for name, filling in (("input_ids", 0), ("labels", -100))
    }


def report(trainer: Trainer, note: str = "40, woman, Healing ->") -> None:
    """The loss in the exam, and the likeliest answer to a note."""
    loss = trainer.evaluate()["eval_loss"]
    chat = [{"role": "user", "content": note}]
    asked = TOKENIZER.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt")
    whole = trainer.model.eval().generate(**asked, do_sample=False, max_new_tokens=200)
    text = TOKENIZER.decode(whole[0, asked["input_ids"].shape[1] :], skip_special_tokens=True)
    print(f"exam loss {loss:.2f}, perplexity {math.exp(loss):.2f}\n  {note} {text}")
    print("The judge:", judge(text, 40, "woman", "Healing"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=148, help="steps of eight examples")
    steps = parser.parse_args().steps
    model = AutoModelForCausalLM.from_pretrained(BASE, dtype=torch.float32)
    names = ("train", "validation")
    train, exam = ([encode(row) for row in read_jsonl(find(f"{name}.jsonl"))] for name in names)
    print(f"{model.num_parameters():,} weights, {len(train)} examples, {len(exam)} in the exam.")
    with tempfile.TemporaryDirectory() as folder:
        knobs = {"per_device_train_batch_size": 8, "learning_rate": 8e-4, "seed": 42}
        pace = {"max_steps": steps, "logging_steps": max(1, steps // 8)}
        arguments = TrainingArguments(folder, dataloader_pin_memory=False, **knobs, **pace, **QUIET)
        data = {"train_dataset": train, "eval_dataset": exam, "data_collator": collate}
        trainer = Trainer(model, arguments, **data)
        report(trainer)
        trainer.train()
        report(trainer)


if __name__ == "__main__":
    main()
