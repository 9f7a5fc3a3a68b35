"""The machine check: can this computer run the course, and if not, what is to be done?"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import psutil

from course.env_file import Finding, check_env_file, value_problem
from helpers.connect import connect
from helpers.data import my_folder
from helpers.sandbox import SandboxError, sandbox_status, start_sandbox, state_folder
from helpers.settings import ROOT, SettingsError, clean_value, env_path, load_settings

GIB = 1024**3
TORCH_SECONDS = 120
TORCH = "import torch; print(torch.__version__, 'GPU' if torch.cuda.is_available() else 'CPU')"
INSTALL = "Run `python tools/install.py` and use the Python in .venv."


@dataclass(frozen=True)
class Result:
    """One line of the table: what was checked, how it went, and the remedy if it went wrong."""

    level: Literal["ok", "warn", "fail"]
    what: str
    found: str
    remedy: str = ""


def examine() -> Iterator[Result]:
    """Run all checks, one after another; a check that breaks is itself a finding."""
    for check in CHECKS:
        try:
            yield from check()
        except Exception as error:  # noqa: BLE001 (a broken check must not hide the others)
            name = check.__name__.removeprefix("check_")
            yield Result("fail", name, f"{type(error).__name__}: {error}", "Please report this.")


def check_python() -> Iterator[Result]:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    own = ROOT / ".venv"
    if own.is_dir() and not own.samefile(sys.prefix):
        remedy = f"In a notebook, choose the kernel of this project (`make lab`); else: {INSTALL}"
        yield Result("warn", "Python", f"{found}, but not the one in .venv", remedy)
    elif sys.version_info >= (3, 14):
        yield Result("warn", "Python", found, "Tested with 3.11 to 3.13; newer ones may work.")
    else:
        yield Result("ok", "Python", found)


def check_packages() -> Iterator[Result]:
    """Compare what is installed with requirements.txt and constraints.txt."""
    wanted, tested = _pins(ROOT / "requirements.txt"), _pins(ROOT / "constraints.txt")
    missing, different = [], []
    for name in wanted:
        try:
            version = importlib.metadata.version(name).split("+")[0]
            if version != tested.get(name, version):
                different.append(f"{name} {version} (tested: {tested[name]})")
        except importlib.metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        yield Result("fail", "Packages", f"missing: {', '.join(missing)}", INSTALL)
    elif different:
        yield Result("warn", "Packages", ", ".join(different), INSTALL)
    else:
        yield Result("ok", "Packages", f"all {len(wanted)} there, in the tested versions")


def _pins(path: Path) -> dict[str, str]:
    """Names and `==` versions in a requirements file; the version is empty if there is none."""
    lines = path.read_text(encoding="utf-8")
    found = re.findall(r"^([A-Za-z0-9._-]+)(?:==([^\s;#]+))?", lines, re.MULTILINE)
    return {name.lower().replace("_", "-"): version for name, version in found}


def check_names() -> Iterator[Result]:
    """Is there a file that Python would import instead of a package?"""
    packages = {*sys.stdlib_module_names, *importlib.metadata.packages_distributions()}
    folders = {Path.cwd(), ROOT, ROOT / "notebooks"}
    files = sorted(file for folder in folders for file in folder.glob("*.py"))
    for file in (hiding := [file for file in files if file.stem in packages]):
        found = f"{_short(file)} hides the package {file.stem}"
        yield Result("warn", "File names", found, "Give the file another name.")
    if not hiding:
        yield Result("ok", "File names", "no file of yours hides a package")


def check_processor() -> Iterator[Result]:
    total, free = (number / GIB for number in psutil.virtual_memory()[:2])
    found = f"{os.cpu_count()} cores, {total:.1f} GiB ({free:.1f} GiB free)"
    level, remedy = ("ok", "") if free > 1 else ("warn", "Close other programs first.")
    yield Result(level, "Processor and memory", found, remedy)


def check_disk() -> Iterator[Result]:
    free = shutil.disk_usage(ROOT).free / GIB
    level = "ok" if free > 3 else "warn" if free > 0.5 else "fail"
    remedy = "" if level == "ok" else "The course needs about 3 GiB with everything installed."
    yield Result(level, "Disk", f"{free:.1f} GiB free", remedy)


def check_writing() -> Iterator[Result]:
    state = state_folder()
    for what, folder in (("Your files", my_folder()), ("Sandbox state", state)):
        try:
            # The sandbox's keys are for its owner only.
            folder.mkdir(mode=0o700 if folder == state else 0o777, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"hero")
        except OSError as error:
            remedy = f"Make {folder} writable, or name another folder in .env."
            yield Result("fail", what, f"cannot be written: {error.strerror}", remedy)
        else:
            yield Result("ok", what, f"can be written in {_short(folder)}")


def _short(path: Path) -> str:
    """The path as seen from the project, so that tables read the same everywhere."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def check_proxy() -> Iterator[Result]:
    """Calls to a hosted provider go through a proxy that is set; those to the sandbox don't."""
    proxies = urllib.request.getproxies_environment()
    proxies.pop("no", None)
    socks = [name for name, url in proxies.items() if url.lower().startswith("socks")]
    if socks and find_spec("socksio") is None:
        found = f"{socks[0]}_proxy is a SOCKS proxy, and the package socksio is missing"
        remedy = "For a hosted provider: `pip install socksio` in .venv, or delete the variable."
        yield Result("warn", "Proxy", found, remedy)
    elif proxies:
        remedy = "If a hosted provider can't be reached, ask who runs the proxy."
        yield Result("warn", "Proxy", f"{', '.join(sorted(proxies))}_proxy is set", remedy)
    else:
        yield Result("ok", "Proxy", "none is set")


def check_loopback() -> Iterator[Result]:
    """Can two programs on this machine talk to each other? Some firewalls say no."""
    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_connection(server.getsockname(), 5),
        ):
            yield Result("ok", "Loopback", "programs on this machine can talk to each other")
    except OSError:
        remedy = "Allow Python to use 127.0.0.1 in your firewall or security program."
        yield Result("fail", "Loopback", "a connection to 127.0.0.1 failed", remedy)


def check_torch() -> Iterator[Result]:
    """Import torch in a process of its own: a broken build can end a process without a word."""
    started = time.monotonic()
    options = {"capture_output": True, "encoding": "utf-8", "errors": "replace"}
    command = [sys.executable, "-c", TORCH]
    try:
        done = subprocess.run(command, timeout=TORCH_SECONDS, check=True, **options)
    except subprocess.TimeoutExpired:
        yield Result("fail", "torch", f"not loaded after {TORCH_SECONDS} s", "Is the disk busy?")
    except subprocess.CalledProcessError as error:
        why = (error.stderr.strip().splitlines() or [str(error)])[-1]
        yield Result("fail", "torch", why, "Run `python tools/install.py` again.")
    else:
        seconds = time.monotonic() - started
        yield Result("ok", "torch", f"{done.stdout.strip()}, loaded in {seconds:.1f} s")


def check_env() -> Iterator[Result]:
    findings = check_env_file(path := env_path())
    if problem := value_problem(clean_value(os.environ.get("OPENAI_API_KEY", ""))):
        findings.append(Finding("fail", "OPENAI_API_KEY in your system's environment", *problem))
    for finding in findings:
        yield Result(finding.level, ".env", f"{finding.where}: {finding.problem}", finding.remedy)
    if not findings:
        found = "looks right" if path.is_file() else "none, and none is needed for the sandbox"
        yield Result("ok", ".env", found)


def check_endpoint() -> Iterator[Result]:
    """Is the configured endpoint usable? Nothing is sent to a hosted one: that might cost."""
    try:
        settings = load_settings()
        if settings.base_url is not None:
            if settings.provider == "sandbox":  # a shared one, which is free to ask
                connect(announce=False).close()
            yield Result("ok", "Endpoint", f"{settings.provider}, {settings.generator_model}")
            return
        was_running, started = sandbox_status().running, time.monotonic()
        start_sandbox()
        seconds = time.monotonic() - started
    except SettingsError as error:
        yield Result("fail", "Endpoint", str(error), "Correct .env.")
    except SandboxError as error:
        yield Result("fail", "Sandbox", str(error), "Correct .env, or look at the log.")
    else:
        found = "is running" if was_running else f"started in {seconds:.1f} s and is running"
        yield Result("ok", "Sandbox", found)


CHECKS: tuple[Callable[[], Iterator[Result]], ...] = (
    check_python,
    check_packages,
    check_names,
    check_processor,
    check_disk,
    check_writing,
    check_proxy,
    check_loopback,
    check_torch,
    check_env,
    check_endpoint,
)
