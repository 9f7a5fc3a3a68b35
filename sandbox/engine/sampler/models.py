"""Model folders in memory."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging as transformers_logging

from sandbox.engine.sampler.decode import DecodeLoop
from sandbox.engine.sampler.embed import EmbedLoop
from sandbox.engine.sampler.forward import make_forward
from sandbox.engine.sampler.messages import EngineError
from sandbox.engine.text.encoder import Encoder

MAX_LOADED = 8  # models kept in memory, beside those that are answering


def load_model(folder: Path, *, for_training: bool = False) -> PreTrainedModel:
    """Load a causal language model: in float32 on a CPU, on the GPU if there is one.

    Only safetensors are read. Raises OSError or ValueError when the folder holds no such model.
    """
    transformers_logging.disable_progress_bar()
    gpu = torch.cuda.is_available()
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype="auto" if gpu and not for_training else torch.float32,
        use_safetensors=True,
        local_files_only=True,
        attn_implementation="sdpa",
    )
    model.train(for_training)
    return model.to("cuda") if gpu else model


@dataclass(frozen=True)
class _Loaded:
    """A model in memory and the two things it can do."""

    stamp: int  # of its folder, when it was read
    decode: DecodeLoop
    embed: EmbedLoop

    @property
    def busy(self) -> bool:
        return self.decode.busy or self.embed.busy


class ModelShelf:
    """The models in use; the least recently used one goes first."""

    def __init__(self, max_loaded: int = MAX_LOADED) -> None:
        self._max_loaded = max_loaded
        self._models: OrderedDict[str, _Loaded] = OrderedDict()

    def get(self, folder: str) -> DecodeLoop:
        """The decode loop of a model folder, loaded the first time it is asked for.

        Raises EngineError when the folder cannot be loaded.
        """
        return self._load(folder).decode

    def embedder(self, folder: str) -> EmbedLoop:
        """What turns texts into vectors with the model of a folder. Raises EngineError."""
        return self._load(folder).embed

    def busy(self) -> list[DecodeLoop | EmbedLoop]:
        """The loops that have work to do."""
        loops = [loop for model in self._models.values() for loop in (model.decode, model.embed)]
        return [loop for loop in loops if loop.busy]

    def cancel(self, request_id: int) -> None:
        """Stop a request, whichever model it runs on; unknown ones have ended already."""
        for model in self._models.values():
            model.decode.cancel(request_id)
            model.embed.cancel(request_id)

    def _load(self, folder: str) -> _Loaded:
        stamp = _stamp(folder)
        known = self._models.get(folder)
        # A folder may be deleted and made again under the same name.
        if known is None or (known.stamp != stamp and not known.busy):
            self._models[folder] = _load_model(folder, stamp)
        self._models.move_to_end(folder)
        self._drop_old()
        return self._models[folder]

    def _drop_old(self) -> None:
        idle = [folder for folder, model in self._models.items() if not model.busy]
        for folder in idle[: max(0, len(self._models) - self._max_loaded)]:
            if folder != next(reversed(self._models)):
                del self._models[folder]


def _stamp(folder: str) -> int:
    try:
        return (Path(folder) / "config.json").stat().st_mtime_ns
    except OSError as error:
        raise EngineError("model_unavailable", f"The model's files are gone ({error}).") from None


def _load_model(folder: str, stamp: int) -> _Loaded:
    try:
        forward, encoder = make_forward(load_model(Path(folder))), Encoder(folder)
        return _Loaded(stamp, DecodeLoop(forward, encoder), EmbedLoop(forward, encoder))
    # Whatever is wrong with a folder must only fail the requests that need it.
    except Exception as error:
        raise EngineError(
            "model_unavailable",
            f"The model {Path(folder).name} cannot be loaded ({type(error).__name__}: {error}). "
            "If its files are damaged, put them back or train it again.",
        ) from error
