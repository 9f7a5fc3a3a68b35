"""The installer's decisions; that it installs is proved by every fresh clone."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from jupyterlab.commands import get_app_dir

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def install() -> ModuleType:
    spec = importlib.util.spec_from_file_location("install", ROOT / "tools" / "install.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_requirement_says_what_it_is_for() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    assert len(wanted) > 20
    for line in wanted:
        assert re.search(r"# *\S", line), f"requirements.txt: no comment in {line}"
    pins = (ROOT / "constraints.txt").read_text()
    assert not re.search(r"==.*\+", pins), "a local version is not portable"


def test_one_torch_everywhere(install: ModuleType) -> None:
    assert install.torch_requirement() == "torch==2.13.0"
    assert "torch==2.13.0\n" in (ROOT / "constraints.txt").read_text()


def test_the_oldest_python_is_the_same_everywhere(install: ModuleType) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == f">={install.OLDEST[0]}.{install.OLDEST[1]}"


def test_an_index_that_does_not_answer_costs_no_time(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install, "CPU_INDEX", "http://127.0.0.1:9/whl")
    assert install.cpu_index_answers() is False
    assert install.PROBE_SECONDS < 5


def test_nothing_to_do_is_noticed(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(install, "STAMP", tmp_path / "installed")
    monkeypatch.setattr(install, "make_venv", lambda: pytest.fail("installs again"))
    monkeypatch.chdir(ROOT)
    (tmp_path / "installed").write_text(install.fingerprint() + "\n")
    assert install.main() == 0


@pytest.mark.parametrize("code", [0, 1])
def test_models_that_cannot_be_fetched_stop_nothing(
    install: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    code: int,
) -> None:
    calls = []

    def run(command: list[str], *, check: bool) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        return subprocess.CompletedProcess(command, code)

    monkeypatch.setattr(install, "STAMP", tmp_path / "installed")
    monkeypatch.setattr(install, "make_venv", lambda: None)
    monkeypatch.setattr(install, "install", lambda: None)
    monkeypatch.setattr(install.subprocess, "run", run)
    monkeypatch.chdir(ROOT)
    assert install.main() == 0
    assert calls == [[str(install.python()), "-m", "heroes", "models", "fetch"]]
    assert ("goes on with its own small model" in capsys.readouterr().out) == bool(code)
    assert (tmp_path / "installed").is_file()


def test_jupyterlab_has_the_settings_that_are_overridden(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(install, "OVERRIDES", tmp_path / "settings" / "overrides.json")
    monkeypatch.setattr(install, "has_torch", lambda: True)
    monkeypatch.setattr(install, "pip", lambda *arguments: None)
    install.install()
    for name, values in json.loads(install.OVERRIDES.read_text()).items():
        extension, plugin = name.split(":")
        schema = json.loads(
            (Path(get_app_dir()) / "schemas" / extension / f"{plugin}.json").read_text()
        )
        assert values.keys() <= schema["properties"].keys()


def test_an_old_python_is_told_so(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(install, "OLDEST", (99, 0))
    assert install.main() == 1
    assert "needs Python 3.11 or newer" in capsys.readouterr().out
