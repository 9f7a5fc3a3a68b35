"""The trainer by hand does what a job does: the same examples, the same order, the same masks."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from helpers import by_hand
from helpers.by_hand import JobOrder, TokenBoxes, batch_picture, label_table
from helpers.data import DATA


class Letters:
    """A tokenizer whose tokens are letters."""

    def decode(self, ids: list[int]) -> str:
        return "".join(map(chr, ids))


@pytest.mark.parametrize("size", [1, 7, 8, 9, 294, 1001])
@pytest.mark.parametrize("batch_size", [1, 8, 16])
@pytest.mark.slow
def test_the_order_is_the_jobs(size: int, batch_size: int) -> None:
    from sandbox.engine.trainer.data import epoch_batches

    lengths = np.random.default_rng(size).integers(20, 200, size).tolist()
    for seed in (0, 42):
        ours = JobOrder(lengths, batch_size, seed)
        assert len(ours) == size
        for epoch in range(3):
            ours.set_epoch(epoch)
            theirs = epoch_batches(lengths, batch_size, seed, epoch)
            assert list(ours) == [index for batch in theirs for index in batch]
            assert sorted(ours) == list(range(size))


@pytest.mark.slow
def test_examples_and_masks_are_the_jobs() -> None:
    """The chat template through transformers, as in the notebook, against the job's encoder."""
    from transformers import AutoTokenizer

    from sandbox.engine.text.encoder import Encoder

    folder = by_hand.base_model_folder()
    tokenizer, encoder = AutoTokenizer.from_pretrained(folder), Encoder(folder)
    lines = (DATA / "train.jsonl").read_text(encoding="utf-8").splitlines()
    for line in lines[::10]:
        messages = json.loads(line)["messages"]
        ids = tokenizer.apply_chat_template(messages, return_dict=False)
        note = tokenizer.apply_chat_template(
            messages[:-1], add_generation_prompt=True, return_dict=False
        )
        their_ids, their_mask = encoder.encode_chat_example(messages)
        assert ids == their_ids
        assert [0] * len(note) + [1] * (len(ids) - len(note)) == their_mask


@pytest.mark.slow
def test_a_model_that_never_chatted_gets_a_plain_template() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(by_hand.base_model_folder())
    tokenizer.chat_template = by_hand.PLAIN_TEMPLATE
    talk = [{"role": "user", "content": "a ->"}, {"role": "assistant", "content": "b"}]
    end = tokenizer.eos_token
    assert tokenizer.apply_chat_template(talk, tokenize=False) == f"a -> b{end}"
    note = tokenizer.apply_chat_template(talk[:1], tokenize=False, add_generation_prompt=True)
    assert note == "a ->"


def test_label_table() -> None:
    table = label_table(Letters(), {"input_ids": [65, 10, 66], "labels": [-100, -100, 66]})
    assert table["token"].tolist() == ["A", "\\n", "B"]
    assert table["label"].tolist() == [-100, -100, 66]
    assert table["learned"].tolist() == ["no", "no", "yes"]


def test_batch_picture() -> None:
    labels = [[-100, -100, 5, 5, 5, 5], [-100, 5, 5, 5, -100, -100]]
    assert batch_picture(labels, [6, 4], scale=1) == "--####\n-###.."
    assert batch_picture(labels, [6, 4], scale=2) == "-##\n-#."


def test_token_boxes() -> None:
    boxes = TokenBoxes(["A", " <b>", "\n", ""])
    assert str(boxes) == repr(boxes) == "4 tokens: A| <b>|\n|"
    html = boxes._repr_html_()
    assert html.count("<span") == 4
    assert "&lt;b&gt;" in html and "<b>" not in html
    assert "↵" in html and "∅" in html


def test_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert (by_hand.base_model_folder() / "tokenizer.json").is_file()
    monkeypatch.setenv("HEROES_SANDBOX_STATE", str(tmp_path))
    assert by_hand.tuned_model_folder("ftjob-1", 148) is None
    folder = tmp_path / "models" / "ftjob-1-148"
    folder.mkdir(parents=True)
    assert by_hand.tuned_model_folder("ftjob-1", 148) is None
    (folder / "model.safetensors").write_bytes(b"")
    assert by_hand.tuned_model_folder("ftjob-1", 148) == folder
    missing = by_hand.ROOT / "sandbox" / "no_such_model"
    monkeypatch.setattr(by_hand, "BASE_MODEL", missing)
    with pytest.raises(FileNotFoundError, match="sandbox/no_such_model"):
        by_hand.base_model_folder()


def test_calm_libraries_respects_what_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_WAIT_POLICY", "TOKENIZERS_PARALLELISM", "HF_HUB_DISABLE_PROGRESS_BARS"):
        monkeypatch.setenv(name, "before")
        monkeypatch.delenv(name)
    monkeypatch.setenv("TRANSFORMERS_VERBOSITY", "info")
    by_hand.calm_libraries()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    assert os.environ["TRANSFORMERS_VERBOSITY"] == "info"
