"""The one door: transactions, migrations, several processes at once."""

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sandbox.store import SchemaTooNew, Store, files, keys
from sandbox.store.lock import StateLock, StateLocked
from sandbox.store.schema import MIGRATIONS
from tests.support.server import ROOT


def test_a_failed_block_leaves_nothing(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.write() as db:
        files.insert_file(db, "file-1", "p", "a.jsonl", "fine-tune", 3)
        _ = 1 / 0
    assert files.list_files(store, "p").rows == []


def test_the_store_goes_on_after_a_failed_statement(store: Store) -> None:
    with pytest.raises(sqlite3.OperationalError), store.write() as db:
        db.execute("SELECT * FROM nothing")
    assert files.add_file(store, "p", "a", "batch", b"x").bytes == 1


def test_a_reader_sees_one_moment(store: Store) -> None:
    with store.read() as db:
        before = db.execute("SELECT COUNT(*) FROM files").fetchone()[0]
        files.add_file(store, "p", "a", "batch", b"x")
        assert db.execute("SELECT COUNT(*) FROM files").fetchone()[0] == before
    assert len(files.list_files(store, "p").rows) == before + 1


def test_many_threads_lose_no_row(store: Store) -> None:
    def add() -> None:
        for _ in range(10):
            files.add_file(store, "p", "a", "batch", b"x")

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(files.list_files(store, "p").rows) == 80


def test_processes_may_race_to_make_the_schema(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from sandbox.store import Store, keys\n"
        "with Store(Path(sys.argv[1])) as store: keys.create_key(store, 'p', '')"
    )
    racers = [
        subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "state")], cwd=ROOT)
        for _ in range(6)
    ]
    assert [racer.wait(60) for racer in racers] == [0] * 6
    with Store(tmp_path / "state") as store:
        assert len(keys.list_keys(store)) == 6


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    with Store(tmp_path) as store, store.write() as db:
        db.execute(f"PRAGMA user_version={len(MIGRATIONS) + 1}")
    with pytest.raises(SchemaTooNew, match="newer version"):
        Store(tmp_path)


def test_opening_again_keeps_the_content(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        row = files.add_file(store, "p", "a", "batch", b"x")
    with Store(tmp_path) as store:
        assert files.get_file(store, "p", row.id) == row


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.close()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"), store.read():
        pass


def test_only_one_holds_the_lock(tmp_path: Path) -> None:
    lock = StateLock(tmp_path)
    with pytest.raises(StateLocked):
        StateLock(tmp_path)
    lock.release()
    StateLock(tmp_path).release()
