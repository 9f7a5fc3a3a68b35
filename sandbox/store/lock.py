"""One server per state directory: a lock that the operating system holds and releases."""

import os
import sys
from pathlib import Path

from sandbox.store.errors import storage_errors

LOCK_FILE = "sandbox.lock"


class StateLocked(Exception):
    """Another live process holds the state directory."""


class StateLock:
    """Holds a state directory for this process until ``release`` or the process's end.

    The lock goes with the process, so even a kill -9 leaves nothing behind that would have to
    be cleaned up by hand. Raises StateLocked when another process has it, and
    StorageError when nothing may be written there.
    """

    def __init__(self, state_dir: Path) -> None:
        with storage_errors(state_dir):
            state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            # Not inherited by child processes: a worker cannot keep the lock alive.
            self._descriptor = os.open(state_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(self._descriptor)
        except OSError as error:
            os.close(self._descriptor)
            raise StateLocked(str(state_dir)) from error

    def release(self) -> None:
        """Give the directory free."""
        os.close(self._descriptor)


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
