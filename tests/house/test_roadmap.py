"""The road maps are valid pictures that say in words what they show."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from course.steps import STEPS
from tools.roadmap import IMAGES, alt_text, road_svg, write_maps

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("step", [0, 7, 13])
def test_one_stop_is_lit(step: int) -> None:
    root = ElementTree.fromstring(road_svg(step))
    assert root.get("aria-label") == alt_text(step)
    texts = [text.text for text in root.iter(f"{SVG}text")]
    assert texts[::2] == ["✓"] * step + [f"{n:02d}" for n in range(step, len(STEPS))]
    assert texts[1::2] == [stop.title for stop in STEPS]
    weights = [text.get("font-weight") for text in root.iter(f"{SVG}text")][1::2]
    assert weights.index("bold") == step and weights.count("bold") == 1


def test_words_for_the_first_and_the_last_stop() -> None:
    assert alt_text(0).endswith("Nothing done yet, 13 ahead, next: API key.")
    assert alt_text(13).endswith("13 stops done, none ahead.")
    with pytest.raises(ValueError, match="no step 14"):
        alt_text(14)


def test_the_shipped_maps_are_up_to_date(tmp_path: Path) -> None:
    for path in write_maps(tmp_path):
        assert (IMAGES / path.name).read_text(encoding="utf-8") == path.read_text(encoding="utf-8")
