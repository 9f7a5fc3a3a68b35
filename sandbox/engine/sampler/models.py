"""Model folders in memory."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedModel

from sandbox.engine.load import load_model
from sandbox.engine.sampler.decode import DecodeLoop
from sandbox.engine.sampler.embed import EmbedLoop
from sandbox.engine.sampler.forward import make_forward
from sandbox.engine.sampler.messages import EngineError
from sandbox.engine.text.encoder import Encoder

# Kept in memory, beside the models that are answering.
MOST = 8
MOST_BYTES = 3 * 2**30


@dataclass(frozen=True)
class _Loaded:
    """A model in memory and the two things it can do."""

    stamp: int  # of its files, when they were read
    bytes: int
    decode: DecodeLoop
    embed: EmbedLoop

    @property
    def busy(self) -> bool:
        return self.decode.busy or self.embed.busy


class ModelCache:
    """The models in memory; the least recently used one goes first.

    A model is named by its folder and, if it is a base with a LoRA adapter, the adapter's folder.
    """

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._models: OrderedDict[tuple[str, str | None], _Loaded] = OrderedDict()

    def get(self, folder: str, adapter: str | None = None) -> DecodeLoop:
        """The decode loop of a model, which is loaded the first time it is asked for.

        Raises EngineError when it cannot be loaded.
        """
        return self._load(folder, adapter).decode

    def embedder(self, folder: str) -> EmbedLoop:
        """What turns texts into vectors with the model of a folder. Raises EngineError."""
        return self._load(folder, None).embed

    def busy(self) -> list[DecodeLoop | EmbedLoop]:
        """The loops that have work to do."""
        loops = [loop for model in self._models.values() for loop in (model.decode, model.embed)]
        return [loop for loop in loops if loop.busy]

    def cancel(self, request_id: int) -> None:
        """Stop a request, whichever model it runs on; unknown ones have ended already."""
        for model in self._models.values():
            model.decode.cancel(request_id)
            model.embed.cancel(request_id)

    def _load(self, folder: str, adapter: str | None) -> _Loaded:
        stamp = _stamp(folder, adapter)
        known = self._models.get((folder, adapter))
        # A folder may be deleted and made again under the same name.
        if known is None or (known.stamp != stamp and not known.busy):
            self._models[folder, adapter] = _load_loops(folder, adapter, stamp)
        self._models.move_to_end((folder, adapter))
        self._drop_old()
        return self._models[folder, adapter]

    def _drop_old(self) -> None:
        """Let idle models go, the oldest first, but never the newest."""
        for name, model in list(self._models.items())[:-1]:
            size = sum(each.bytes for each in self._models.values())
            if len(self._models) <= self._most and size <= self._most_bytes:
                return
            if not model.busy:
                del self._models[name]


def _stamp(folder: str, adapter: str | None) -> int:
    files = [Path(folder) / "config.json"]
    if adapter is not None:
        files.append(Path(adapter) / "adapter_config.json")
    try:
        return max(file.stat().st_mtime_ns for file in files)
    except OSError as error:
        raise EngineError("model_unavailable", f"The model's files are gone ({error}).") from None


def _load_loops(folder: str, adapter: str | None, stamp: int) -> _Loaded:
    try:
        model = load_model(Path(folder))
        if adapter is not None:
            model = _with_adapter(model, adapter)
        size = sum(tensor.nbytes for tensor in model.parameters())
        forward, encoder = make_forward(model), Encoder(folder)
        return _Loaded(stamp, size, DecodeLoop(forward, encoder), EmbedLoop(forward, encoder))
    # Whatever is wrong with a folder must only fail the requests that need it.
    except Exception as error:
        raise EngineError(
            "model_unavailable",
            f"The model {Path(folder).name} cannot be loaded ({type(error).__name__}: {error}). "
            "If its files are damaged, put them back or train it again.",
        ) from error


def _with_adapter(model: PreTrainedModel, adapter: str) -> PreTrainedModel:
    """The model with a LoRA adapter added to its weights: as fast as without, at a copy's cost."""
    from peft import PeftModel  # here: few servers have adapters, and it loads slowly

    return PeftModel.from_pretrained(model, adapter, local_files_only=True).merge_and_unload()
