"""What a trainer by hand needs beside the lesson: model folders, pictures of tokens, a server."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from html import escape
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from openai import DefaultHttpxClient, OpenAI

from helpers.data import DATA
from helpers.live import LiveView
from helpers.sandbox import START_SECONDS, STOP_SECONDS, SandboxError, run_keys, spawn
from helpers.settings import ROOT, fetched_model, load_settings

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import TrainerCallback

SMOLLM2 = "smollm2-135m-instruct"
MINI, MINI_FOLDER = "superhero-mini", ROOT / "sandbox" / "base_model" / "weights"
POOL = 50  # batches that are sorted together
# Pale enough for dark letters, told apart by colour-blind eyes; every box has a border as well.
COLOURS = ("#d5e8f0", "#fbe6d4", "#e4efdc", "#ece3f4")
READ_ONLY = "#ffffff"  # a token that has no label
BOX = (
    "display:inline-block;white-space:pre;margin:1px;padding:1px 3px;border:1px {} #8d8d94;"
    "border-radius:4px;color:#2b2b33;font-family:monospace;background:{}"
)


class TokenBoxes:
    """A row of boxes, one for each piece of text; `str` of it draws bars between the pieces.

    With `learned`, a truth value for each piece, those that are only read have white, dashed
    boxes; `str` puts them in brackets.
    """

    def __init__(self, pieces: Sequence[str], learned: Sequence[bool] | None = None) -> None:
        self.pieces = list(pieces)
        self.learned = None if learned is None else list(learned)

    def _repr_html_(self) -> str:
        # A line break would break its box, and an empty box says nothing.
        shown = [escape(piece.replace("\n", "↵")) or "∅" for piece in self.pieces]
        boxes = "".join(
            f'<span style="{self._style(number)}">{piece}</span>'
            for number, piece in enumerate(shown)
        )
        return f'<div role="img" aria-label="{escape(str(self))}">{boxes}</div>'

    def _style(self, number: int) -> str:
        if self.learned and not self.learned[number]:
            return BOX.format("dashed", READ_ONLY)
        return BOX.format("solid", COLOURS[number % len(COLOURS)])

    def __str__(self) -> str:
        told = f"{len(self.pieces)} tokens"
        if self.learned:
            told += f", {sum(self.learned)} of them learned"
        learned = self.learned or repeat(True)
        pieces = zip(self.pieces, learned, strict=False)
        return f"{told}: " + "|".join(piece if yes else f"({piece})" for piece, yes in pieces)

    __repr__ = __str__


def calm_libraries() -> None:
    """Ask the machine-learning libraries to wait politely and to print no bars and no warnings.

    They read this once, when they are loaded: call it before `import torch`.
    """
    # With PASSIVE, threads that have nothing to do sleep and leave the processor to others.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    # peft uses a name of transformers that is going to change: not in a learner's hands.
    warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*")


def base_folder() -> Path:
    """The folder of SmolLM2; that of superhero-mini where SmolLM2 is missing or not wanted."""
    wanted = None if load_settings().base_model == MINI else fetched_model(SMOLLM2)
    return wanted or MINI_FOLDER


def job_batches(lengths: Sequence[int], batch_size: int, seed: int) -> list[list[int]]:
    """The batches of a sandbox job's first epoch, as indices into its examples.

    The examples are shuffled, then sorted by length within large pools and cut into batches, and
    the batches are shuffled. Seed and lengths alone decide, which is why a run can be repeated.
    """
    draw = np.random.Generator(np.random.PCG64([seed, 0]))
    longest_first = -np.asarray(lengths)
    batches = []
    for pool in _cut(draw.permutation(len(lengths)), POOL * batch_size):
        batches += _cut(pool[np.argsort(longest_first[pool], kind="stable")], batch_size)
    full = [batch for batch in batches if len(batch) == batch_size]
    short = [batch for batch in batches if len(batch) < batch_size]
    return [batch.tolist() for batch in [*(full[i] for i in draw.permutation(len(full))), *short]]


def _cut(indices: np.ndarray, size: int) -> list[np.ndarray]:
    return [indices[start : start + size] for start in range(0, len(indices), size)]


def gpt2_tokenizer() -> Tokenizer:
    """GPT-2's tokenizer, made of the list of merges that OpenAI published with it in 2019."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    lines = (DATA / "gpt2" / "merges.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
    merges = [tuple(line.split(" ")) for line in lines[1:]]
    # First the 256 bytes, then what each merge makes, then the one special token.
    pieces = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *map("".join, merges), "<|endoftext|>"]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def live_loss() -> TrainerCallback:
    """A callback for a Trainer that draws the loss as a live curve.

    transformers is loaded here and not above: `calm_libraries` comes first.
    """
    from transformers import TrainerCallback

    class LiveLoss(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            self.view = LiveView()
            self.view.show()

        def on_log(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            rows = [entry for entry in state.log_history if "loss" in entry]
            if rows and "loss" in state.log_history[-1]:
                losses = pd.DataFrame(rows).rename(columns={"loss": "train_loss"})
                done, total = state.global_step, state.max_steps
                self.view.update(f"step {done} of {total}", done, total, losses)

    return LiveLoss()


# Ends a server when this program is killed, and its end of the pipe is closed for it.
WATCH = "import psutil, sys; p = psutil.Process(int(sys.argv[1])); sys.stdin.read(); p.terminate()"


class _Server:
    """A sandbox of its own for one model folder; it ends with this program."""

    def __init__(self, folder: Path) -> None:
        self.state = Path(tempfile.mkdtemp(prefix="heroes-"))
        self.process = spawn(self.state, f"--base-model={folder}")
        command = [sys.executable, "-c", WATCH, str(self.process.pid)]
        self.watch = subprocess.Popen(
            command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
        )
        atexit.register(self.stop)

    def client(self) -> OpenAI:
        """A client for it, once it is ready. Raises SandboxError if it does not start."""
        record, deadline = self.state / "sandbox.json", time.monotonic() + START_SECONDS
        while not record.is_file():
            if self.process.poll() is not None or time.monotonic() > deadline:
                log = (self.state / "sandbox.log").read_text("utf-8", "replace")
                self.stop()
                raise SandboxError(f"The second sandbox did not start.\n{log[-1000:]}")
            time.sleep(0.05)
        key = run_keys("create", state=self.state)
        url = json.loads(record.read_text(encoding="utf-8"))["url"]
        return OpenAI(
            base_url=url, api_key=key["key"], http_client=DefaultHttpxClient(trust_env=False)
        )

    def stop(self) -> None:
        atexit.unregister(self.stop)
        self.watch.kill()
        self.watch.communicate()
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.state, ignore_errors=True)


_served: list[_Server] = []


def serve(folder: Path) -> OpenAI:
    """Start a second sandbox that offers a model folder under its name, and return a client.

    It ends with this program, or when another folder is served. Raises SandboxError.
    """
    while _served:
        _served.pop().stop()
    _served.append(_Server(folder))
    return _served[0].client()
