"""Running the server: the lock, the socket, the ready line, and the way out."""

import asyncio
import json
import logging
import os
import signal
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import psutil
import uvicorn
from fastapi import FastAPI
from filelock import AcquireReturnProxy, FileLock, Timeout

from sandbox.api.app import create_app
from sandbox.api.connection import PatientProtocol
from sandbox.bases import Base, find_bases
from sandbox.config import ConfigError, Settings
from sandbox.engine.parent.sampler import SamplerClient
from sandbox.engine.parent.trainers import Trainers
from sandbox.store.database import Store
from sandbox.store.sweep import sweep

NOTE_FILE, LOCK_FILE = "sandbox.json", "sandbox.lock"
# Idle connections stay open for long: a client that reuses one never finds it just closed.
KEEP_ALIVE_SECONDS = 600
SHUTDOWN_SECONDS = 5


def serve(settings: Settings) -> None:
    """Serve until a signal comes. Raises ConfigError when the server cannot start like this.

    Nothing in the state directory is opened, changed or deleted before both the lock and the
    port are this process's own.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    bases = find_bases(settings.base_models)
    with (
        _take_lock(settings.state_dir),
        listen(settings) as listener,
        Store(settings.state_dir) as store,
    ):
        sweep(store)
        url = _url(settings.host, listener.getsockname()[1])
        note = store.state_dir / NOTE_FILE
        try:
            _run(build_app(settings, store, bases), listener, partial(_announce, note, url))
        finally:
            note.unlink(missing_ok=True)


def build_app(settings: Settings, store: Store, bases: tuple[Base, ...]) -> FastAPI:
    """Return the application together with its worker processes, not started yet."""
    sampler = SamplerClient([bases[0].path])  # the others are loaded when they are asked for
    tunable = {base.name: base for base in bases if not base.embeds}
    trainers = Trainers(store, tunable, settings.trainers)
    return create_app(settings, store, bases, sampler, trainers, workers=(sampler, trainers))


def _announce(path: Path, url: str) -> None:
    """Say that the server is ready, in STATE/sandbox.json also to programs that look for it."""
    content = {
        "url": url,
        "pid": os.getpid(),
        # With the pid, this tells for certain which process is meant: pids are used again.
        "process_started": psutil.Process().create_time(),
        "started_at": int(time.time()),
    }
    part = path.with_suffix(".part")
    part.write_text(json.dumps(content), encoding="utf-8")
    os.replace(part, path)
    print(f"sandbox ready at {url} (pid {os.getpid()})", flush=True)


class _Server(uvicorn.Server):
    """uvicorn's server, which says that it is ready when it really listens."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            self._announce()


def _run(app: FastAPI, listener: socket.socket, announce: Callable[[], None]) -> None:
    # uvicorn stops at these signals and then raises them again for the handlers that were there
    # before: these ones, so that the clean-up below runs too.
    for number in uvicorn.server.HANDLED_SIGNALS:
        signal.signal(number, lambda *_: None)
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    asyncio.run(_Server(config, announce).serve(sockets=[listener]))


def _take_lock(state_dir: Path) -> AcquireReturnProxy:
    """Hold the state directory. The operating system lets go of it even after a kill -9."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        return FileLock(state_dir / LOCK_FILE, timeout=0, mode=0o600).acquire()
    except Timeout as error:
        raise ConfigError(
            f"Another sandbox is already using {state_dir}{_other_server(state_dir)}. "
            "Stop it first, or give this one another folder with --state."
        ) from error
    except OSError as error:
        raise ConfigError(
            f"The sandbox cannot keep its state in {state_dir} ({error}). "
            "Choose another folder with --state."
        ) from error


def _other_server(state_dir: Path) -> str:
    try:
        note = json.loads((state_dir / NOTE_FILE).read_text(encoding="utf-8"))
        return f" ({note['url']}, pid {note['pid']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def listen(settings: Settings) -> socket.socket:
    """Return a socket that listens where the settings say. Raises ConfigError."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=512)
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"The sandbox cannot listen on {settings.host}, port {settings.port} ({error}). "
            "Choose another port with --port, or any free one with --port 0."
        ) from error
    # Headers and body are sent apart; without this, the body waits 40 ms for the client's receipt.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _url(host: str, port: int) -> str:
    """Return the address that a client on this machine can use."""
    if host in ("0.0.0.0", "::", ""):
        host = "127.0.0.1" if host != "::" else "::1"
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"
