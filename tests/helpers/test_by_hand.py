"""The trainer by hand does what a job does: the same examples, the same order, the same masks."""

from __future__ import annotations

import json
import os
from pathlib import Path

import ipywidgets
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from helpers import by_hand, training_plots, weights
from helpers.by_hand import JobOrder, TrainingView, batch_picture, label_table
from helpers.data import DATA
from helpers.token_view import TokenBoxes


class Letters:
    """A tokenizer whose tokens are letters."""

    def decode(self, ids: list[int]) -> str:
        return "".join(map(chr, ids))


@pytest.fixture
def axes() -> Axes:
    return Figure().add_subplot()


@pytest.mark.parametrize("size", [1, 7, 8, 9, 294, 1001])
@pytest.mark.parametrize("batch_size", [1, 8, 16])
def test_the_order_is_the_jobs(size: int, batch_size: int) -> None:
    from sandbox.engine.training_data import LengthGroupedOrder

    lengths = np.random.default_rng(size).integers(20, 200, size).tolist()
    for seed in (0, 42):
        ours, theirs = (
            JobOrder(lengths, batch_size, seed),
            LengthGroupedOrder(lengths, batch_size, seed),
        )
        assert len(ours) == size
        for epoch in range(3):
            ours.set_epoch(epoch)
            theirs.set_epoch(epoch)
            assert list(ours) == list(theirs)
            assert sorted(ours) == list(range(size))


def test_examples_and_masks_are_the_jobs() -> None:
    """The chat template through transformers, as in the notebook, against the job's encoder."""
    from transformers import AutoTokenizer

    from sandbox.engine.chat_format import Encoder

    folder = weights.base_model_folder()
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


def test_a_model_that_never_chatted_gets_a_plain_template() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(weights.base_model_folder())
    tokenizer.chat_template = weights.PLAIN_TEMPLATE
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


def test_the_view_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[tuple[ipywidgets.Widget, str]] = []
    monkeypatch.setattr(by_hand, "in_notebook", lambda: True)
    monkeypatch.setattr(by_hand, "show", lambda widget, words: shown.append((widget, words)))
    view = TrainingView()
    view.update(2, 10, [{"step": 1, "train_loss": 1.0}, {"step": 2, "train_loss": 0.5}])
    [(box, words)] = shown
    assert box is view.view.box and "running notebook" in words
    assert view.view.state.value == "<span>step 2 of 10</span>"
    assert (view.view.bar.value, view.view.bar.max) == (2, 10)
    assert "training loss 0.50" in view.view.curve.value


def test_two_curves(axes: Axes) -> None:
    frame = pd.DataFrame({"step": [1, 2], "by_hand": [0.26, 0.14], "job": [0.26, 0.14]})
    sentence = training_plots.draw_two_curves(axes, frame)
    assert sentence == (
        "By hand the loss goes from 0.26 to 0.14, the job's from 0.26 to 0.14. "
        "In 2 steps they lie on each other."
    )
    assert [list(line.get_ydata()) for line in axes.lines] == [[0.26, 0.14]] * 2
    apart = training_plots.draw_two_curves(axes, frame.assign(job=[0.36, 0.14]))
    assert apart.endswith("In 2 steps they are up to 0.10 apart.")
    alone = training_plots.draw_two_curves(axes, frame.assign(job=float("nan")))
    assert alone.endswith("there is no job to compare it with.")
    with pytest.raises(ValueError, match="no step"):
        training_plots.draw_two_curves(axes, frame[:0])


def test_surprise(axes: Axes) -> None:
    sentence = training_plots.draw_surprise(axes, [6.4, 1.0, 0.4], [2.9, 0.6, 0.4])
    assert sentence == (
        "Loss at the first token: 6.4 before, 2.9 after. "
        "Tokens 2 to 3 on average: 0.7 before, 0.5 after."
    )
    assert [bar.get_height() for bar in axes.patches] == [6.4, 1.0, 0.4, 2.9, 0.6, 0.4]
    with pytest.raises(ValueError, match="same length"):
        training_plots.draw_surprise(axes, [1.0], [])


def test_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert (weights.base_model_folder() / "tokenizer.json").is_file()
    monkeypatch.setenv("HEROES_SANDBOX_STATE", str(tmp_path))
    assert weights.tuned_model_folder("ftjob-1", 148) is None
    folder = tmp_path / "models" / "ftjob-1-148"
    folder.mkdir(parents=True)
    assert weights.tuned_model_folder("ftjob-1", 148) is None
    (folder / "model.safetensors").write_bytes(b"")
    assert weights.tuned_model_folder("ftjob-1", 148) == folder
    missing = weights.ROOT / "sandbox" / "no_such_model"
    monkeypatch.setattr(weights, "BASE_MODEL", missing)
    with pytest.raises(FileNotFoundError, match="sandbox/no_such_model"):
        weights.base_model_folder()


def test_calm_libraries_respects_what_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_WAIT_POLICY", "TOKENIZERS_PARALLELISM", "HF_HUB_DISABLE_PROGRESS_BARS"):
        monkeypatch.setenv(name, "before")
        monkeypatch.delenv(name)
    monkeypatch.setenv("TRANSFORMERS_VERBOSITY", "info")
    weights.calm_libraries()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    assert os.environ["TRANSFORMERS_VERBOSITY"] == "info"
