"""A sandbox's state with the course's two fine-tuning jobs done, trained once and kept.

Notebooks from 06 on need the tuned models, and a test of each must not train them again. The
state is kept in build/trained, under a name that changes with everything it depends on.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock

from course.experiments import finished
from helpers.connect import connect
from helpers.jobs import FILES, ensure_job
from helpers.sandbox import stop_sandbox
from helpers.settings import ROOT, load_settings
from sandbox.bases import NAMED
from sandbox.fetch import fetch
from tools.conditions import conditions

KEPT = ROOT / "build" / "trained"
FIRST = 6  # the first notebook that starts with the finished jobs
# Not the store: a newer one migrates an older state.
MAKERS = (
    *("sandbox/engine", "sandbox/base_model/weights", "sandbox/bases.toml"),
    *("helpers/jobs.py", "tools/conditions.py"),
)
LIBRARIES = ("torch", "transformers", "tokenizers", "peft")
LEFT_BEHIND = shutil.ignore_patterns("*.log", "*.lock", "sandbox.json")


def state_for(notebook: Path) -> Path | None:
    """The state that a notebook's sandbox starts from, trained now if need be; None: an empty one.

    Fetches the models that the notebooks use, if they are not here. Raises RuntimeError if a job
    does not succeed, FetchError if a model cannot be had.
    """
    for base in NAMED.values():
        fetch(base)
    number = notebook.name[:2]
    return trained_state() if number.isdecimal() and int(number) >= FIRST else None


def trained_state() -> Path:
    """A folder to copy. The first time, it takes as long as two fine-tuning jobs.

    Of several processes that ask at the same time, one trains and the others wait for it.
    """
    folder = KEPT / fingerprint()
    KEPT.mkdir(parents=True, exist_ok=True)
    with FileLock(KEPT.with_suffix(".lock")):
        if not folder.is_dir():
            for outdated in KEPT.iterdir():
                shutil.rmtree(outdated, ignore_errors=True)
            make(folder)
    return folder


def make(folder: Path) -> None:
    """Train, and keep the state in `folder`: whole, or not at all."""
    with tempfile.TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as draft:
        made = Path(draft) / "state"
        with conditions():
            train()
            stop_sandbox()
            shutil.copytree(os.environ["HEROES_SANDBOX_STATE"], made, ignore=LEFT_BEHIND)
        made.rename(folder)


def train() -> None:
    """Submit the course's jobs to the sandbox and wait for them."""
    settings = load_settings()
    with connect(announce=False) as client:
        jobs = [ensure_job(client, settings, format) for format in FILES]
        for job in jobs:
            finished(client, job.id, every=0.5)


def fingerprint() -> str:
    """Changes with the code and libraries that train, the base model and the files."""
    libraries = [f"{name} {version(name)}" for name in LIBRARIES]
    digest = hashlib.sha256(repr(libraries).encode())
    for path in sorted(_parts()):
        digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _parts() -> Iterator[Path]:
    yield from (ROOT / "data" / name for pair in FILES.values() for name in pair)
    for maker in MAKERS:
        whole = ROOT / maker
        found = whole.rglob("*") if whole.is_dir() else [whole]
        yield from (path for path in found if path.is_file() and "__pycache__" not in path.parts)
