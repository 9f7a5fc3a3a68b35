"""A job without a server, in one process and in two that share each batch."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from sandbox.engine.trainer.loop import TrainingRun
from sandbox.tune import STATE, main

pytestmark = pytest.mark.slow

# A flag of accelerate: several processes by themselves, on GPUs if there are any.
TWO = ["accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "-m"]
TOLD = re.compile(r"^Step (\d+)/\d+: train_loss ([\d.]+)(?:, valid_loss ([\d.]+))?", re.MULTILINE)


def write_lines(path: Path, numbers: range) -> Path:
    """Pairs of different lengths."""
    pairs = [{"prompt": f"{n} ->", "completion": " Hero" * (1 + n % 5)} for n in numbers]
    path.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    return path


def tune(base: Path, folder: Path, *launcher: str) -> tuple[list[tuple[str, ...]], Path]:
    """What each step said of its losses, and the folder of the model."""
    files = [write_lines(folder.with_suffix(".t.jsonl"), range(13))]  # the last batch has one row
    files += [write_lines(folder.with_suffix(".v.jsonl"), range(13, 18))]
    words = [str(base), str(files[0]), str(folder), "--validation-file", str(files[1])]
    done = subprocess.run(
        [sys.executable, "-m", *launcher, "sandbox.tune", *words, "--n-epochs=2", "--batch-size=4"],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    path = Path(done.stdout.splitlines()[-1].removeprefix("Done: "))
    return TOLD.findall(done.stdout), path


def test_two_processes_train_as_one_does(tiny: Path, tmp_path: Path) -> None:
    one, alone = tune(tiny, tmp_path / "one")
    two, together = tune(tiny, tmp_path / "two", *TWO)
    assert [step for step, *_ in two] == [str(number) for number in range(1, 9)]
    for ours, theirs in zip(one, two, strict=True):
        assert [float(x or 0) for x in theirs] == pytest.approx(
            [float(x or 0) for x in ours], abs=2e-4
        )
    assert {path.name for path in (tmp_path / "two").iterdir()} == {"step-4", "step-8"}
    weights = [load_file(path / "model.safetensors") for path in (alone, together)]
    for name, tensor in weights[0].items():
        # On average: where a gradient is hardly more than rounding, Adam makes much of it.
        assert (weights[1][name] - tensor).abs().mean() < 1e-5, name
    start = load_file(tiny / "model.safetensors")
    assert (start["model.norm.weight"].float() - weights[0]["model.norm.weight"]).abs().max() > 1e-3


def test_what_is_wrong_is_one_line(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "none"), "x.jsonl", str(tmp_path / "out")]) == 1
    assert "There is no base model at" in capsys.readouterr().err
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"prompt": "1 ->"}\n')
    assert main([str(tiny), str(bad), str(tmp_path / "out")]) == 1
    assert 'key "completion" is missing' in capsys.readouterr().err


def test_a_job_that_was_cut_off_goes_on(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(tiny), str(write_lines(tmp_path / "t.jsonl", range(12))), str(tmp_path / "out")]
    words += ["--n-epochs=2", "--batch-size=4"]
    step = TrainingRun._make_step

    def cut_off(run: TrainingRun, batch: object) -> object:
        if run.step == 4:
            raise KeyboardInterrupt
        return step(run, batch)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(TrainingRun, "_make_step", cut_off)
        main(words)
    assert (tmp_path / "out" / STATE).is_dir()
    capsys.readouterr()
    assert main(words) == 0
    said = capsys.readouterr().out
    assert [step for step, *_ in TOLD.findall(said)] == ["4", "5", "6"]
    assert not (tmp_path / "out" / STATE).exists()
