"""The trainer by hand does what a job does: the same examples, the same order, the same labels."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from helpers import by_hand
from helpers.by_hand import TokenBoxes, job_batches
from helpers.data import DATA
from helpers.sandbox import SandboxError
from helpers.settings import ROOT
from tools.notebooks import NOTEBOOKS, code_cells, read


@pytest.mark.parametrize("size", [1, 7, 8, 9, 294, 1001])
@pytest.mark.parametrize("batch_size", [1, 4, 16])
@pytest.mark.slow
def test_the_order_is_the_jobs(size: int, batch_size: int) -> None:
    from sandbox.engine.trainer.data import epoch_batches

    lengths = np.random.default_rng(size).integers(20, 200, size).tolist()
    for seed in (0, 42):
        assert job_batches(lengths, batch_size, seed) == epoch_batches(lengths, batch_size, seed, 0)


@pytest.mark.slow
@pytest.mark.parametrize("base", ["smollm2-135m-instruct", "superhero-mini"])
def test_token_ids_and_labels_are_the_jobs(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The notebook's own `encode` against the job's encoder."""
    from transformers import AutoTokenizer

    from sandbox.engine.text.encoder import Encoder

    monkeypatch.setenv("HEROES_BASE_MODEL", base)
    folder = by_hand.base_folder()
    notebook = read(next(NOTEBOOKS.glob("09_*.ipynb")))
    source = next(cell.source for cell in code_cells(notebook) if "def encode(" in cell.source)
    lines = (DATA / "train.jsonl").read_text(encoding="utf-8").splitlines()[::10]
    rows = [json.loads(line) for line in lines]
    names = {"tokenizer": AutoTokenizer.from_pretrained(folder), "rows": rows}
    exec(source, names)  # noqa: S102
    encoder = Encoder(folder)
    for row, example in zip(rows, names["examples"], strict=True):
        ids, mask = encoder.encode_chat_example(row["messages"])
        learned = [label != -100 for label in example["labels"]]
        rest = len(ids) - len(learned)  # what a template writes behind the end token
        assert ids[: len(learned)] == example["input_ids"]
        assert [bool(each) for each in mask] == learned + [False] * rest
        assert [i for i, yes in zip(ids, learned, strict=False) if yes] == [
            label for label in example["labels"] if label != -100
        ]


def test_token_boxes() -> None:
    boxes = TokenBoxes(["A", " <b>", "\n", ""])
    assert str(boxes) == repr(boxes) == "4 tokens: A| <b>|\n|"
    html = boxes._repr_html_()
    assert html.count("<span") == 4
    assert "&lt;b&gt;" in html and "<b>" not in html
    assert "↵" in html and "∅" in html


def test_token_boxes_show_what_is_learned() -> None:
    boxes = TokenBoxes(["a", "b", "c"], [False, True, True])
    assert str(boxes) == "3 tokens, 2 of them learned: (a)|b|c"
    assert boxes._repr_html_().count("dashed") == 1


def test_gpt2_tokenizer_is_the_published_one() -> None:
    """Ids that every implementation of GPT-2's tokenizer gives."""
    tokenizer = by_hand.gpt2_tokenizer()
    assert tokenizer.get_vocab_size() == 50_257
    assert tokenizer.encode("Hello world").ids == [15496, 995]
    text = "Ada is 40.\n    In 1998 she went to Łódź 🦸."
    assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert tokenizer.token_to_id("<|endoftext|>") == 50_256


def test_the_base_is_smollm2_unless_it_is_missing_or_not_wanted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    smollm2, mini = tmp_path / by_hand.SMOLLM2, by_hand.MINI_FOLDER
    monkeypatch.setenv("SANDBOX_MODELS", str(tmp_path))
    assert by_hand.base_folder() == mini
    assert (mini / "tokenizer.json").is_file()
    smollm2.mkdir()
    (smollm2 / "config.json").touch()
    assert by_hand.base_folder() == smollm2
    monkeypatch.setenv("HEROES_BASE_MODEL", by_hand.MINI)
    assert by_hand.base_folder() == mini


@pytest.mark.slow
def test_live_loss_shows_the_losses_and_nothing_else() -> None:
    callback = by_hand.live_loss()
    state = SimpleNamespace(log_history=[], global_step=0, max_steps=2)
    callback.on_train_begin(None, state, None)
    for step, entry in enumerate([{"loss": 3.5}, {"eval_loss": 3.0}, {"loss": 2.5}]):
        state.log_history.append({**entry, "step": step})
        state.global_step = step
        callback.on_log(None, state, None)
    assert callback.view.bar.value == 2
    assert "from 3.50 to 2.50" in callback.view.curve.value


SERVE = """
import sys
from pathlib import Path
from helpers.by_hand import serve
client = serve(Path(sys.argv[1]))
client = serve(Path(sys.argv[1]))  # ends the first
print(*[model.id for model in client.models.list()])
"""


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """The small model under another name."""
    folder = tmp_path / "my-model"
    folder.mkdir()
    for path in by_hand.MINI_FOLDER.iterdir():
        if path.name != "sandbox.json":  # which has another name
            shutil.copy(path, folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("end", ["", "import os; os._exit(9)"])
def test_serve_offers_a_folder_and_ends_with_the_program(
    tmp_path: Path, model_folder: Path, end: str
) -> None:
    """Also with one that is killed: it can clean nothing up."""
    environment = {**os.environ, "TMPDIR": str(tmp_path), "TEMP": str(tmp_path)}
    command = [sys.executable, "-c", SERVE + end, str(model_folder)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=not end
    )
    assert end or "my-model" in done.stdout.split()
    left = [path for path in tmp_path.iterdir() if path != model_folder]
    assert len(left) == bool(end)
    processes = [p for p in psutil.process_iter(["cmdline"]) if str(model_folder) in str(p.info)]
    assert not psutil.wait_procs(processes, 30)[1]


@pytest.mark.slow
def test_serve_says_why_it_cannot(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match=r"config\.json"):
        by_hand.serve(tmp_path)


def test_calm_libraries_respects_what_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_WAIT_POLICY", "TOKENIZERS_PARALLELISM", "HF_HUB_DISABLE_PROGRESS_BARS"):
        monkeypatch.setenv(name, "before")
        monkeypatch.delenv(name)
    monkeypatch.setenv("TRANSFORMERS_VERBOSITY", "info")
    by_hand.calm_libraries()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
    assert os.environ["TRANSFORMERS_VERBOSITY"] == "info"
