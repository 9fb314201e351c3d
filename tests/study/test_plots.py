"""Charts are well-formed drawings, and their heights are the values."""

import math
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsclip.study.plots import bar_chart, line_chart

WORDS = {"title": 'a < b & "c"', "x": "layer", "y": "norm"}
NUMBERS = st.floats(-1e12, 1e12) | st.just(math.nan)


def heights(drawing):
    (line,) = ET.fromstring(drawing).iter("polyline")
    return [float(pair.split(",")[1]) for pair in line.get("points").split()]


@given(st.lists(NUMBERS, min_size=1, max_size=60))
def test_any_numbers_make_a_drawing(values):
    for drawing in (
        line_chart({"<one>": values}, range(len(values)), **WORDS),
        bar_chart({"<one>": values}, [f"<{i}>" for i in range(len(values))], **WORDS),
    ):
        root = ET.fromstring(drawing)
        assert root.get("aria-label") == WORDS["title"]
        for bar in root.iter("rect"):
            assert float(bar.get("height")) >= 0
        for mark in root.iter("circle"):
            assert 40 <= float(mark.get("cy")) <= 260


def test_heights_are_proportional():
    found = heights(line_chart({"a": [0, 1, 2, 4]}, range(4), **WORDS))
    steps = [(found[0] - each) / (found[0] - found[1]) for each in found]
    assert steps == pytest.approx([0, 1, 2, 4], abs=0.01)


def test_more_series_than_colours_are_refused():
    many = {str(number): [1.0] for number in range(7)}
    for draw in (line_chart, bar_chart):
        with pytest.raises(ValueError, match="7 series"):
            draw(many, ["x"], **WORDS)


def test_missing_values_leave_gaps():
    drawing = line_chart({"a": [1, 2, math.nan, 3, 4, 5]}, range(6), **WORDS)
    root = ET.fromstring(drawing)
    assert [len(each.get("points").split()) for each in root.iter("polyline")] == [2, 3]
    assert len(list(root.iter("circle"))) == 5


def test_bars_stand_on_zero():
    root = ET.fromstring(bar_chart({"a": [2, -2, 1]}, ["x", "y", "z"], **WORDS))
    up, down, half = (each for each in root.iter("rect") if each.find("title") is not None)
    zero = float(up.get("y")) + float(up.get("height"))
    assert float(down.get("y")) == pytest.approx(zero, abs=0.11)
    assert float(down.get("height")) == pytest.approx(float(up.get("height")), abs=0.11)
    assert float(half.get("height")) == pytest.approx(float(up.get("height")) / 2, abs=0.11)


def test_every_bar_has_its_name_while_there_is_room():
    names = [f"swimming pool {number}" for number in range(60)]
    for count, shown in ((3, 3), (14, 14), (60, 20)):
        chart = bar_chart({"a": [1.0] * count}, names[:count], **WORDS)
        assert sum(f">{name}</text>" in chart for name in names) == shown
