"""Moving things, in a notebook's kernel and outside of one."""

from __future__ import annotations

from typing import Any

import pytest
from tqdm.notebook import tqdm_notebook

from helpers import display
from helpers.display import in_notebook, progress_bar

VIEW = "application/vnd.jupyter.widget-view+json"


def test_outside_of_a_notebook_a_bar_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert not in_notebook()
    with progress_bar(4, 1, "row") as bar:
        bar.update(3)
    assert "4/4" in capsys.readouterr().err


def test_a_quiet_bar_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(4, 0, "row", quiet=True) as bar:
        bar.update(4)
    assert capsys.readouterr() == ("", "")


def test_in_a_notebook_it_is_a_widget_with_words_for_a_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr(display, "in_notebook", lambda: True)
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    with progress_bar(294, 0, "row") as bar:
        bar.update(294)
        assert isinstance(bar, tqdm_notebook)
        assert shown[0][VIEW]["model_id"] == bar.container.model_id
    assert len(shown) == 1, "shown once"
    assert shown[0]["text/plain"].startswith("(A progress bar, up to 294 rows")
