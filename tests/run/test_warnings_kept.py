"""What a run warned of stands in its record, for whoever gets the files later."""

import json

import numpy as np
import pytest
import rasterio

from rsclip import segment
from rsclip.errors import RsclipWarning, collect_warnings, warn
from tests.run.killed import run
from tests.run.stub import StubEncoder


def kept(outcome):
    return json.loads(outcome.record.read_text(encoding="utf-8"))["warnings"]


def test_a_run_without_a_warning_says_so(make_scene, tmp_path):
    assert kept(run(make_scene(), tmp_path, StubEncoder())) == []


def test_warnings_of_model_words_and_pixels_are_kept(make_scene, tmp_path):
    scene = make_scene(shape=(64, 64), nodata=0)
    with rasterio.open(scene, "r+") as dataset:
        dataset.write(np.zeros((3, 64, 64), "uint8"))
    with pytest.warns(RsclipWarning) as caught:
        outcome = segment(scene, "banana, water, violin, road", tmp_path, model="nano")
    found = kept(outcome)
    assert [text for text in found if "using nano" in text]
    (unknown,) = [text for text in found if "has not learned" in text]
    assert "'banana'" in unknown
    assert "'violin'" in unknown
    assert "'water'" not in unknown.replace("nearest: 'water'", "")
    assert [text for text in found if "no valid pixel" in text]
    assert set(found) == {str(each.message) for each in caught if each.category is RsclipWarning}


def test_a_model_that_was_loaded_before_is_as_honest(make_scene, tmp_path):
    from rsclip.model import load_backbone

    backbone = load_backbone("nano")
    outcome = segment(make_scene(), "water, road", tmp_path, backbone=backbone)
    assert any("using nano" in text for text in kept(outcome))


def test_warnings_are_collected_once_and_still_issued():
    def speak():
        with collect_warnings() as outer:
            with collect_warnings() as inner:
                warn("odd")
                warn("odd")
            warn("later")
        return outer, inner

    with pytest.warns(RsclipWarning, match="odd"):
        assert speak() == (["odd", "later"], ["odd"])
