"""The beginning of a file: its encoding, and whether it is JSON Lines at all."""

from __future__ import annotations

from helpers.jsonl.report import Report

BOM = b"\xef\xbb\xbf"


def check_start(report: Report, lines: list[bytes]) -> bool:
    """Look at the file's beginning; False if there is no use in reading on."""
    if lines[0].startswith((b"\xff\xfe", b"\xfe\xff")):
        report.add("encoding", "The file is UTF-16.", 1)
        return False
    if lines[0].startswith(BOM):
        report.add("bom", "The file begins with a byte order mark (BOM).", 1)
        lines[0] = lines[0].removeprefix(BOM)
    index = next((i for i, line in enumerate(lines) if line.strip()), None)
    if index is None:
        return True
    first = lines[index].strip()
    if first.startswith(b"["):
        report.add("array_file", "The file is one JSON array.", index + 1)
        return False
    half_open = first.startswith(b"{") and first.endswith((b"{", b"[", b","))
    if half_open and len(lines) > index + 1 and not lines[index + 1].startswith(b"{"):
        report.add("pretty_printed", "An example is spread over several lines.", index + 1)
        return False
    return True
