"""Build the book: `python tools/build_docs.py` writes web pages to build/docs.

The pages show the outputs that are stored in the notebooks, so nothing is run, and nothing is
fetched: it works without a network. A warning is an error.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools.pages import write_all  # noqa: E402

OUT = ROOT / "build" / "docs"


def build(out: Path = OUT, *, quiet: bool = True) -> int:
    """Build the book into `out`; Sphinx's exit code comes back.

    Every page is made anew: they depend on docstrings, commands and data that Sphinx doesn't watch.
    """
    doctrees = out.with_name(out.name + "-doctrees")
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-c", str(ROOT / "docs")]
    # An unfinished page is worse than none, so a warning stops the build; but all are listed.
    command += ["-d", str(doctrees), "-E", "-a", "-n", "-W", "--keep-going"]
    command += [*(["-q"] if quiet else []), str(ROOT), str(out)]
    # The reference imports the helpers, and a build must not open windows.
    environment = {**os.environ, "MPLBACKEND": "agg"}
    return subprocess.run(command, check=False, cwd=ROOT, env=environment).returncode


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Build the book as web pages.")
    parser.add_argument("--out", type=Path, default=OUT, help="folder for the pages")
    parser.add_argument("--verbose", action="store_true", help="show what Sphinx is doing")
    chosen = parser.parse_args(arguments)
    start = time.monotonic()
    write_all()
    code = build(chosen.out, quiet=not chosen.verbose)
    if code:
        print("The book was not built. The lines above say why.", file=sys.stderr)
    else:
        print(f"The book is ready after {time.monotonic() - start:.0f} seconds. Open:")
        print(f"  {chosen.out / 'index.html'}")
    return code


if __name__ == "__main__":
    raise SystemExit(main())
