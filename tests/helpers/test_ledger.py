from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.ledger import Ledger, row_key


def test_rows_come_back(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "rows.jsonl"
    with Ledger(path) as ledger:
        ledger.append("a", {"text": "one\ntwo\u2028three ✓"})
        ledger.append("b", {"text": "x"})
    with Ledger(path) as ledger:
        assert ledger.rows == {"a": {"text": "one\ntwo\u2028three ✓"}, "b": {"text": "x"}}
        ledger.append("b", {"text": "y"})
    with Ledger(path) as ledger:
        assert ledger.rows["b"] == {"text": "y"}
        ledger.clear()
        ledger.append("c", {})
    with Ledger(path) as ledger:
        assert list(ledger.rows) == ["c"]


def test_half_a_line_is_cut_off_wherever_it_ends(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jsonl"
    with Ledger(whole) as ledger:
        ledger.append("a", {"text": "ä"})
        ledger.append("b", {"text": "ö"})
    data = whole.read_bytes()
    first = data.index(b"\n") + 1
    for end in range(first, len(data)):
        torn = tmp_path / "torn.jsonl"
        torn.write_bytes(data[:end])
        with Ledger(torn) as ledger:
            assert list(ledger.rows) == ["a"]
            ledger.append("c", {})
        with Ledger(torn) as ledger:
            assert list(ledger.rows) == ["a", "c"]


@settings(deadline=None)
@given(junk=st.binary(max_size=60).map(lambda junk: junk.replace(b"\n", b"")))
def test_a_spoilt_line_costs_only_its_own_row(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes
) -> None:
    path = tmp_path_factory.mktemp("ledger") / "rows.jsonl"
    path.write_bytes(b'{"key": "a", "n": 1}\n' + junk + b'\n{"key": "b", "n": 2}\n')
    with Ledger(path) as ledger:
        assert ledger.rows["a"] == {"n": 1}
        assert ledger.rows["b"] == {"n": 2}


def test_it_is_only_open_inside_its_block(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "rows.jsonl")
    with pytest.raises(RuntimeError, match="with"):
        ledger.append("a", {})


def test_a_key_depends_on_everything() -> None:
    assert row_key(a=1, b="x") == row_key(b="x", a=1)
    assert len({row_key(a=1), row_key(a="1"), row_key(b=1), row_key(a=1, b=None)}) == 4
