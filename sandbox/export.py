"""A tuned model for use elsewhere: a folder that transformers, peft and vLLM load without us."""

import json
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path

from sandbox.bases import NAMED, find_base
from sandbox.store import models
from sandbox.store.database import Store
from sandbox.store.tables import ModelRow

ADAPTER_CONFIG = "adapter_config.json"
LEAST_RANK = 16  # vLLM reserves room for adapters of 16, 32, 64 ...
USE = """
## Elsewhere

From the folder that holds this one. vLLM serves it through OpenAI's API:

```
pip install vllm
vllm serve {served}
```

{library} loads it:

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{tokenizer}")
model = AutoModelForCausalLM.from_pretrained("./{folder}")
```
"""
ROUNDED = """
It was trained beside weights from {source}, which were rounded. Beside those of the Hub its texts
may differ a little; a merged export has its own weights in it.
"""


class ExportError(Exception):
    """The model cannot be exported; the message says why and what to do."""


@dataclass(frozen=True)
class Tuned:
    """A tuned model in a state folder, and the base that it needs if it is an adapter."""

    row: ModelRow
    path: Path
    base: Path | None = None

    @property
    def base_name(self) -> str:
        """What others call the base: its id on the Hugging Face Hub, or else its folder."""
        named = NAMED.get(self.row.base)
        return (named and named.hub) or (self.row.base if "/" in self.row.base else str(self.base))


def export(state: Path, name: str, folder: Path, merged: bool = False) -> None:
    """Write a tuned model of a state folder into a new folder, whole or not at all.

    An adapter stays one unless it is to be ``merged`` into its base; a model with all its weights
    is whole already. Raises ExportError, OSError, or ConfigError for a base that is not here.
    """
    # Imported here: it loads torch, which the other commands need not wait for.
    from sandbox.engine.trainer.checkpoint import write_folder

    folder = folder.resolve()
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ExportError(f"{folder} is there and not an empty folder. Name another one.")
    tuned = _find(state, name)

    def fill(target: Path) -> None:
        if tuned.base and merged:
            _merge(tuned.path, tuned.base, target)
        else:
            _copy(tuned, target)
        text = _readme(tuned, folder.name, adapter=(target / ADAPTER_CONFIG).is_file())
        (target / "README.md").write_text(text, encoding="utf-8")

    write_folder(folder, fill)


def _find(state: Path, name: str) -> Tuned:
    if not (state / "sandbox.db").is_file():
        raise ExportError(f"{state} holds no sandbox's state. Name the right folder with --state.")
    with Store(state) as store:
        row = models.get_model(store, None, name)
        if row is None:
            raise ExportError(
                f"There is no tuned model {name} in {store.state_dir}. Base models are not "
                "exported: they are plain folders already."
            )
        path = models.model_path(store, row)
    if row.adapter is None:
        return Tuned(row, path)
    # A base without a name of its own is known by the folder in which it was when it was tuned.
    known = row.base in NAMED or "/" in row.base
    base = find_base(row.base if known else _config(path)["base_model_name_or_path"])
    return Tuned(row, path, base.path)


def _merge(adapter: Path, base: Path, target: Path) -> None:
    """Write the base with the adapter added to its weights, as the sampler adds them."""
    from peft import PeftModel

    from sandbox.engine.load import load_model
    from sandbox.engine.trainer.checkpoint import write_model

    with warnings.catch_warnings():
        # peft asks transformers by an old name.
        warnings.filterwarnings("ignore", ".*is_gradient_checkpointing.*", FutureWarning)
        model = PeftModel.from_pretrained(load_model(base), adapter, local_files_only=True)
    write_model(target, model.merge_and_unload(safe_merge=True), base)


def _copy(tuned: Tuned, target: Path) -> None:
    """Copy the model's files; an adapter names its base as others know it."""
    for path in tuned.path.iterdir():
        shutil.copyfile(path, target / path.name)
    if tuned.base:
        config = _config(target) | {"base_model_name_or_path": tuned.base_name}
        (target / ADAPTER_CONFIG).write_text(json.dumps(config, indent=2), encoding="utf-8")


def _readme(tuned: Tuned, folder: str, adapter: bool) -> str:
    """The model's own README, and how it is used elsewhere."""
    name, base, place = tuned.row.name, tuned.base_name, f"./{folder}"
    text = (tuned.path / "README.md").read_text(encoding="utf-8")
    if not adapter:
        use = USE.format(
            served=f"{place} --served-model-name {name}",
            library="transformers",
            tokenizer=place,
            folder=folder,
        )
        return text.replace("library_name: peft", "library_name: transformers", 1) + use
    rank = LEAST_RANK
    while rank < _config(tuned.path)["r"]:
        rank *= 2
    use = USE.format(
        served=f"{base} --enable-lora --max-lora-rank {rank} --lora-modules {name}={place}",
        library="transformers, where peft is installed,",
        tokenizer=base,
        folder=folder,
    )
    named = NAMED.get(tuned.row.base)
    if named and named.hub and named.source != named.hub:
        use += ROUNDED.format(source=named.source)
    return text.replace(f"base_model: {tuned.row.base}\n", f"base_model: {base}\n", 1) + use


def _config(folder: Path) -> dict:
    return json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
