"""Models in memory: whole folders, and bases with a LoRA adapter on them."""

from __future__ import annotations

import ctypes
import sys
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sandbox.engine.load import load_model
from sandbox.engine.sampler.decode import DecodeLoop
from sandbox.engine.sampler.embed import EmbedLoop, TextEncoder
from sandbox.engine.sampler.forward import make_forward
from sandbox.engine.sampler.messages import EngineError
from sandbox.engine.text.encoder import Encoder

# Kept in memory, beside the models that are answering.
MOST = 8
MOST_BYTES = 2**30

Name = tuple[str, str | None]  # the folder of a model, and that of the adapter on it


@dataclass(frozen=True)
class _Loaded:
    """A model in memory, and the loop that answers with it."""

    stamp: tuple[int, ...]  # of its files, when they were read
    bytes: int  # that it shares with no other
    decode: DecodeLoop


class ModelCache:
    """The models in memory; the least recently used one goes first."""

    def __init__(self, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._models: OrderedDict[Name, _Loaded] = OrderedDict()
        self._embedders: dict[str, EmbedLoop] = {}

    def get(self, folder: str, adapter: str | None = None) -> DecodeLoop:
        """The decode loop of a model, which is loaded the first time it is asked for.

        Raises EngineError when it cannot be loaded.
        """
        return self._find(folder, adapter).decode

    def embedder(self, folder: str) -> EmbedLoop:
        """What turns texts into vectors with the model of a folder. Raises EngineError."""
        if folder not in self._embedders:
            with _unavailable(folder):
                self._embedders[folder] = EmbedLoop(TextEncoder(Path(folder)))
        return self._embedders[folder]

    def busy(self) -> list[DecodeLoop | EmbedLoop]:
        """The loops that have work to do."""
        return [loop for loop in self._loops() if loop.busy]

    def cancel(self, request_id: int) -> None:
        """Stop a request, whichever model it runs on; unknown ones have ended already."""
        for loop in self._loops():
            loop.cancel(request_id)

    def _loops(self) -> list[DecodeLoop | EmbedLoop]:
        return [*(model.decode for model in self._models.values()), *self._embedders.values()]

    def _find(self, folder: str, adapter: str | None) -> _Loaded:
        base = None if adapter is None else self._find(folder, None)
        name, stamp = (folder, adapter), _stamp(folder, adapter)
        known = self._models.get(name)
        # A folder may be deleted and made again under the same name.
        if known is None or (known.stamp != stamp and not known.decode.busy):
            with _unavailable(adapter or folder):
                if base is None or adapter is None:
                    self._models[name] = _load(folder, stamp)
                else:
                    self._models[name] = _tuned(base.decode, folder, adapter, stamp)
                _give_back_memory()
        self._models.move_to_end(name)
        self._drop_old()
        return self._models[name]

    def _drop_old(self) -> None:
        """Let idle models go, the oldest first, but never the newest."""
        for name, model in list(self._models.items())[:-1]:
            size = sum(each.bytes for each in self._models.values())
            if len(self._models) <= self._most and size <= self._most_bytes:
                return
            if not model.decode.busy:
                del self._models[name]


def _stamp(folder: str, adapter: str | None) -> tuple[int, ...]:
    files = [Path(folder) / "config.json"]
    if adapter is not None:
        files.append(Path(adapter) / "adapter_config.json")
    try:
        return tuple(file.stat().st_mtime_ns for file in files)
    except OSError as error:
        raise EngineError("model_unavailable", f"The model's files are gone ({error}).") from None


@contextmanager
def _unavailable(folder: str) -> Iterator[None]:
    """Whatever is wrong with a folder must only fail the requests that need it."""
    try:
        yield
    except Exception as error:
        raise EngineError(
            "model_unavailable",
            f"The model {Path(folder).name} cannot be loaded ({type(error).__name__}: {error}). "
            "If its files are damaged, put them back or train it again.",
        ) from error


def _give_back_memory() -> None:
    """Hand what loading needed for a moment to the system: glibc would keep much of it."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


def _load(folder: str, stamp: tuple[int, ...]) -> _Loaded:
    """Read a whole model."""
    forward = make_forward(load_model(Path(folder)))
    size = sum(forward.sizes().values())
    return _Loaded(stamp, size, DecodeLoop(forward, Encoder(folder)))


def _tuned(base: DecodeLoop, folder: str, adapter: str, stamp: tuple[int, ...]) -> _Loaded:
    """A base with an adapter added to its weights: as fast as the base.

    Only the matrices that the adapter changes are its own, the others are the base's.
    """
    from peft import PeftModel  # here: few servers have adapters, and it loads slowly

    model = PeftModel.from_pretrained(load_model(Path(folder)), adapter, local_files_only=True)
    forward = make_forward(model.merge_and_unload(safe_merge=True), like=base.forward)
    known = base.forward.sizes()
    size = sum(size for weight, size in forward.sizes().items() if weight not in known)
    return _Loaded(stamp, size, DecodeLoop(forward, base.encoder))
