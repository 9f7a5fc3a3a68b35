"""Model folders in memory."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging as transformers_logging

from sandbox.engine.chat_format import Encoder
from sandbox.engine.decode import DecodeLoop
from sandbox.engine.forward import make_forward
from sandbox.engine.protocol import EngineError

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


class ModelShelf:
    """The decode loops of the models in use, the least recently used one goes first."""

    def __init__(self, max_loaded: int = MAX_LOADED) -> None:
        self._max_loaded = max_loaded
        self._loops: OrderedDict[str, tuple[int, DecodeLoop]] = OrderedDict()

    def get(self, folder: str) -> DecodeLoop:
        """The decode loop of a model folder, loaded the first time it is asked for.

        Raises EngineError when the folder cannot be loaded.
        """
        stamp = _stamp(folder)
        known = self._loops.get(folder)
        # A folder may be deleted and made again under the same name.
        if known is None or (known[0] != stamp and not known[1].busy):
            self._loops[folder] = (stamp, _load_loop(folder))
        self._loops.move_to_end(folder)
        self._drop_old()
        return self._loops[folder][1]

    def busy(self) -> list[DecodeLoop]:
        """The loops that have work to do."""
        return [loop for _, loop in self._loops.values() if loop.busy]

    def cancel(self, request_id: int) -> None:
        """Stop a request, whichever model it runs on; unknown ones have ended already."""
        for _, loop in self._loops.values():
            loop.cancel(request_id)

    def _drop_old(self) -> None:
        idle = [folder for folder, (_, loop) in self._loops.items() if not loop.busy]
        for folder in idle[: max(0, len(self._loops) - self._max_loaded)]:
            if folder != next(reversed(self._loops)):
                del self._loops[folder]


def _stamp(folder: str) -> int:
    try:
        return (Path(folder) / "config.json").stat().st_mtime_ns
    except OSError as error:
        raise EngineError("model_unavailable", f"The model's files are gone ({error}).") from None


def _load_loop(folder: str) -> DecodeLoop:
    try:
        model = load_model(Path(folder))
        return DecodeLoop(make_forward(model), Encoder(folder))
    # Whatever is wrong with a folder must only fail the requests that need it.
    except Exception as error:
        raise EngineError(
            "model_unavailable", f"The model cannot be loaded: {type(error).__name__}: {error}"
        ) from error
