"""Running, tidying and storing notebooks, each on a small one with a real kernel."""

from __future__ import annotations

import copy
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers.settings import load_settings
from tools import notebooks, refresh_notebooks
from tools.conditions import conditions, own_environment
from tools.notebooks import ROOT, NotebookFailed, execute, find_notebooks, read, write
from tools.refresh_notebooks import WIDGETS, differences, short_traceback, tidy

VIEW = refresh_notebooks.VIEW
SHOWS = """
import ipywidgets
hidden = ipywidgets.HTML("nobody sees me")
bar = ipywidgets.IntProgress(value=0, max=3)
ipywidgets.VBox([bar])
"""


def notebook(*sources: str, tags: tuple[str, ...] = ()) -> NotebookNode:
    """A notebook of code cells; the tags go to the last one."""
    cells = [new_markdown_cell("# A title"), *(new_code_cell(source) for source in sources)]
    cells[-1].metadata["tags"] = list(tags)
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number:02}"
    return new_notebook(cells=cells)


@pytest.fixture
def kernels() -> Iterator[None]:
    """No kernel may be left behind."""
    yield
    children = psutil.Process().children(recursive=True)
    assert not [child.pid for child in children if "ipykernel" in " ".join(child.cmdline())]


def run(made: NotebookNode, folder: Path) -> NotebookNode:
    execute(made, folder / "99_try.ipynb")
    return made


@pytest.mark.usefixtures("kernels")
@pytest.mark.slow
def test_a_notebook_runs_in_this_python_and_in_its_folder(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    made = notebook("import sys, os\nprint(sys.executable == os.environ['THIS'])", "os.getcwd()")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THIS", sys.executable)
        where = tmp_path / "99_try.ipynb"
        execute(made, where, lambda number, count: seen.append((number, count)))
    first, second = notebooks.code_cells(made)
    assert first.outputs[0].text == "True\n"
    assert Path(second.outputs[0].data["text/plain"].strip("'")).resolve() == tmp_path.resolve()
    assert [first.execution_count, second.execution_count] == [1, 2]
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.usefixtures("kernels")
@pytest.mark.slow
def test_a_failing_cell_is_named_and_its_error_kept(tmp_path: Path) -> None:
    made = notebook("1 + 1", "one = 1\none / 0", "print('never')")
    made.cells[3].outputs = [new_output("stream", name="stdout", text="of an earlier run")]
    with pytest.raises(NotebookFailed) as failed:
        run(made, tmp_path)
    assert failed.value.cell == 2
    assert failed.value.error == "ZeroDivisionError: division by zero"
    assert failed.value.source == "one = 1\none / 0"
    assert made.cells[2].outputs[0].ename == "ZeroDivisionError"
    assert made.cells[3].outputs == []


@pytest.mark.usefixtures("kernels")
@pytest.mark.slow
def test_a_dead_kernel_is_told_from_a_failing_cell(tmp_path: Path) -> None:
    with pytest.raises(NotebookFailed, match="code cell 1: the kernel ended"):
        run(notebook("import os\nos._exit(3)"), tmp_path)


INTERRUPTED = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from tools.notebooks import execute, read
path = Path(sys.argv[2])
try:
    execute(read(path), path, lambda number, count: print("cell", number, flush=True))
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no signal is like Ctrl-C there")
@pytest.mark.slow
def test_ctrl_c_ends_the_kernel_and_nothing_is_left(tmp_path: Path) -> None:
    path = tmp_path / "99_sleep.ipynb"
    write(notebook("import time\ntime.sleep(600)"), path)
    command = [sys.executable, "-c", INTERRUPTED, str(ROOT), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "cell 1\n"
        children = psutil.Process(process.pid).children(recursive=True)
        assert children
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "interrupted\n"
        assert process.wait(300) == 0
    _, alive = psutil.wait_procs(children, timeout=300)
    assert not alive


@pytest.mark.usefixtures("kernels")
@pytest.mark.slow
def test_shown_widgets_keep_their_state_under_names_that_stay(tmp_path: Path) -> None:
    made = [run(notebook(SHOWS, "bar.value = 3"), tmp_path) for _ in range(2)]
    assert made[0].cells[1].outputs[0].data[VIEW] != made[1].cells[1].outputs[0].data[VIEW]
    for each in made:
        tidy(each)
    first, second = (each.metadata["widgets"] for each in made)
    assert first == second
    state = first[WIDGETS]["state"]
    assert "nobody sees me" not in str(state)
    names = {entry["model_name"]: entry["state"] for entry in state.values()}
    assert {"VBoxModel", "IntProgressModel"} <= names.keys()
    assert names["IntProgressModel"]["value"] == 3
    assert made[0].cells[1].outputs[0].data[VIEW]["model_id"] in state
    assert differences(*made) == []


def test_tidy_takes_out_runs_and_machines_and_leaves_the_rest() -> None:
    made = notebook("1", "2", tags=("re-entry",))
    made.cells[1].metadata["execution"] = {"iopub.status.busy": "2026-01-01"}
    made.cells[2].metadata["jupyter"] = {"source_hidden": True}
    made.cells[1].id = made.cells[2].id = "twice"
    made.metadata["kernelspec"] = {"name": "my-venv", "display_name": "Mine", "language": "python"}
    made.metadata["language_info"] = {"name": "python", "version": "3.11.4"}
    tidy(made)
    assert "execution" not in made.cells[1].metadata
    assert made.cells[2].metadata == {"tags": ["re-entry"], "jupyter": {"source_hidden": True}}
    assert [cell.id for cell in made.cells[1:]] == ["twice", "cell-02"]
    assert made.metadata["kernelspec"]["name"] == "python3"
    assert "version" not in made.metadata["language_info"]


def test_only_the_frames_of_the_notebook_stay_in_a_traceback() -> None:
    frames = [
        "\x1b[31m-----\x1b[39m",
        "\x1b[31mNotFoundError\x1b[39m Traceback (most recent call last)",
        "\x1b[36mCell In[4], line 1\x1b[39m\n----> 1 client.models.retrieve('nope')",
        "\x1b[36mFile /somewhere/site-packages/openai/models.py:71\x1b[39m, in retrieve",
        "\x1b[31mNotFoundError\x1b[39m: Error code: 404 - no such model",
    ]
    short = short_traceback(frames)
    assert len(short) == 4
    assert short[-1] == "NotFoundError: Error code: 404 - no such model"
    assert not any("/somewhere" in frame or "\x1b" in frame for frame in short)


def ran(text: str, *tags: str) -> NotebookNode:
    """A notebook with one cell that has printed `text`."""
    made = notebook("print(text)", tags=tags)
    made.cells[1].execution_count = 1
    made.cells[1].outputs = [new_output("stream", name="stdout", text=text)]
    return made


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        (ran("294 rows"), ran("294 rows"), False),
        (ran("294 rows"), ran("293 rows"), True),
        (ran(f"file-{'a' * 24}"), ran(f"file-{'b' * 24}"), False),
        (ran("Ada", "nbval-ignore-output"), ran("Bea", "nbval-ignore-output"), False),
        (ran("Ada", "raises-exception"), ran("Bea", "raises-exception"), True),
    ],
)
def test_differences_are_those_that_the_tests_would_see(
    before: NotebookNode, after: NotebookNode, changed: bool
) -> None:
    assert bool(differences(before, after)) == changed


def test_differences_leave_alone_what_they_compare() -> None:
    one = ran(f"file-{'a' * 24}")
    kept = copy.deepcopy(one)
    differences(one, ran("x"))
    assert one == kept


def test_a_new_picture_or_another_count_is_a_difference() -> None:
    one, other, uncounted = (ran("x") for _ in range(3))
    other.cells[1].outputs = [new_output("display_data", data={"image/png": "AAAA"})]
    uncounted.cells[1].execution_count = None
    assert differences(one, other) == ["code cell 1 has other outputs"]
    assert differences(uncounted, one) == ["code cell 1 is counted anew"]


def test_notebooks_are_found_by_number_and_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notebooks, "NOTEBOOKS", tmp_path)
    for name in ("00_start", "02_two", "10_ten", "draft"):
        write(notebook("1"), tmp_path / f"{name}.ipynb")
    stems = [path.stem for path in find_notebooks()]
    assert stems == ["00_start", "02_two", "10_ten"]

    for name in ("2", "02", "02_two", "notebooks/02_two.ipynb"):
        assert [path.stem for path in find_notebooks([name])] == ["02_two"]
    with pytest.raises(ValueError, match="no notebook 07. There are: 00_start"):
        find_notebooks(["00", "07"])


def test_a_stored_notebook_is_read_back_as_it_was(tmp_path: Path) -> None:
    made = ran("grüß Gott\n")
    write(made, tmp_path / "99_try.ipynb")
    assert read(tmp_path / "99_try.ipynb") == made
    assert [path.name for path in tmp_path.iterdir()] == ["99_try.ipynb"]
    assert (tmp_path / "99_try.ipynb").read_bytes().endswith(b"}\n")


def test_the_environment_hides_what_is_the_learners_and_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "mine")
    monkeypatch.setenv("HEROES_BASE_MODEL", "mine")
    before = dict(os.environ)
    with own_environment():
        assert "OPENAI_API_KEY" not in os.environ
        assert "HEROES_BASE_MODEL" not in os.environ
        state = Path(os.environ["HEROES_SANDBOX_STATE"])
        assert ROOT not in state.parents
        assert not Path(os.environ["HEROES_ENV_FILE"]).exists()
    assert dict(os.environ) == before
    assert not state.parent.exists()


@pytest.mark.slow
def test_conditions_that_cannot_be_made_are_taken_back() -> None:
    before = dict(os.environ)
    with pytest.raises(RuntimeError, match=r"did not start[\s\S]*no-such-folder"):
        conditions(None, "--base-model", "./no-such-folder").__enter__()
    assert dict(os.environ) == before


def sandboxes() -> set[int]:
    """The process ids of the sandboxes below this process, those of other tests among them."""
    children = psutil.Process().children(recursive=True)
    return {child.pid for child in children if "sandbox" in child.cmdline()}


CONNECTS = "from helpers.connect import connect\nclient = connect()"


@pytest.mark.usefixtures("kernels")
@pytest.mark.slow
def test_refreshing_stores_once_and_then_leaves_the_notebook_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sandboxes()
    path = tmp_path / "00_try.ipynb"  # a later number would start with trained models
    write(notebook(CONNECTS, "print(len(client.files.list().data), client.base_url)"), path)
    assert not refresh_notebooks.refresh(path, check=True)
    assert read(path).cells[1].outputs == []
    assert refresh_notebooks.refresh(path)
    stored = path.read_bytes()
    assert b"Connected to the sandbox" in stored
    assert b'"0 http://127.0.0.1' in stored
    assert refresh_notebooks.refresh(path, check=True)
    assert path.read_bytes() == stored, "the port alone is no reason to store"
    said = capsys.readouterr().out
    assert [word in said for word in ("out of date", "stored", "up to date")] == [True] * 3
    assert sandboxes() <= before


@pytest.mark.usefixtures("kernels")
@pytest.mark.slow
def test_notebooks_refreshed_together_share_a_sandbox_and_are_stored_together(
    tmp_path: Path,
) -> None:
    paths = one, two = tmp_path / "00_one.ipynb", tmp_path / "01_two.ipynb"
    upload = "client.files.create(file=('a.jsonl', b'{}'), purpose='fine-tune').id"
    write(notebook(CONNECTS, upload), one)
    seen = set()
    for remark in ("", "  # changed"):
        write(notebook(CONNECTS, f"client.files.list().data[0].id{remark}"), two)
        assert refresh_notebooks.refresh(*paths)
        first, second = (read(path).cells[2].outputs[0].data["text/plain"] for path in paths)
        assert first == second, "the id of the first notebook's file"
        seen.add(first)
    assert len(seen) == 2, "the first was stored again, because the second has changed"


@pytest.mark.parametrize(
    ("source", "reasons"),
    [
        ("print('/home/' + 'ada/x')\nprint('sk-' + 'x' * 30)", ("a path", "a key")),
        ("1 / 0", ("failed in code cell 1: ZeroDivisionError",)),
    ],
)
@pytest.mark.slow
def test_refreshing_refuses_what_must_not_be_stored(
    source: str,
    reasons: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "00_try.ipynb"  # a later number would start with trained models
    write(notebook(source), path)
    before = path.read_bytes()
    assert not refresh_notebooks.refresh(path)
    assert path.read_bytes() == before
    said = capsys.readouterr().out
    assert all(reason in said for reason in reasons), said


# nbval under our conditions, in a pytest of its own.


def nbval(folder: Path, *options: str) -> tuple[int, str]:
    """Run pytest on a folder of notebooks as `make test` does; its exit code and what it says.

    Whatever the outcome, neither a folder of the conditions nor a kernel may be left over.
    """
    temporary = folder / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", "-v"]
    rules = f"--nbval-sanitize-with={ROOT / 'tests' / 'sanitize.cfg'}"
    done = subprocess.run(
        [*command, f"--config-file={ROOT / 'pyproject.toml'}", rules, *options, str(folder)],
        cwd=ROOT,
        env={**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))},
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    said = done.stdout + done.stderr
    assert not list(temporary.glob("heroes-*")), said
    assert not kernels_in(folder), said
    return done.returncode, said


def kernels_in(folder: Path) -> list[str]:
    """The kernels that run in that folder, no matter who started them."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            line = " ".join(process.cmdline())
            if "ipykernel" in line and Path(process.cwd()) == folder:
                found.append(line)
    return found


def stored(path: Path, made: NotebookNode, outputs: Callable[[int], str]) -> None:
    """Store a notebook whose code cells have printed what `outputs` says."""
    for number, cell in enumerate(notebooks.code_cells(made), start=1):
        cell.execution_count = number
        text = outputs(number)
        cell.outputs = [new_output("stream", name="stdout", text=text)] if text else []
    write(made, path)


@pytest.mark.slow
def test_nbval_meets_a_fresh_sandbox_and_folder_for_each_notebook(tmp_path: Path) -> None:
    touch = (
        "from helpers.data import my\n"
        "path = my('train.jsonl')\nprint(path.exists(), len(client.files.list().data))\n"
        "path.write_text('{}')\n_ = client.files.create(file=path, purpose='fine-tune')"
    )
    base = load_settings().base_model
    hello = f"Connected to the sandbox on this machine (free). Base model: {base}\n"
    for name in ("01_one", "02_two"):
        texts = {1: hello, 2: "False 0\n"}
        made = notebook(CONNECTS, touch)
        stored(tmp_path / f"{name}.ipynb", made, texts.__getitem__)
    code, said = nbval(tmp_path)
    assert code == 0, said
    assert "4 passed" in said


@pytest.mark.slow
def test_nbval_notices_other_output_and_goes_on(tmp_path: Path) -> None:
    stored(tmp_path / "01_one.ipynb", notebook("print(294)", "print(2)"), lambda n: f"{n}\n")
    code, said = nbval(tmp_path)
    assert code == 1
    assert "1 failed, 1 passed" in said
    assert "294" in said
