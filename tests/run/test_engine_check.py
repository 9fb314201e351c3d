"""`--engine auto` takes int8 where it labels a scene as fp32 does, whatever area is asked for."""

import importlib.util

import numpy as np
import pytest
import rasterio

import rsclip as library
from rsclip.errors import OptionError, RsclipWarning
from rsclip.methods import onnx_engine
from rsclip.run import engine_check
from tests.model.models import tiny_clip

WORDS = "road, water, forest"


def auto(scene, folder, **options):
    return library.segment(
        scene, WORDS, folder, model=library.wrap(tiny_clip()), engine="auto", device="cpu",
        overwrite=True, **options,
    )  # fmt: skip


def test_int8_runs_where_labels_stay_the_same(monkeypatch, make_scene, tmp_path):
    monkeypatch.setattr(engine_check, "_LEAST", 0.5)
    found = auto(make_scene(), tmp_path)
    check = found.run["engine_check"]
    assert check["used"] == "onnx-int8"
    assert 0 < check["windows"] <= 16
    assert 0.5 < check["equal"] <= 1
    eight = library.segment(
        make_scene(), WORDS, tmp_path / "int8", model=library.wrap(tiny_clip()),
        engine="onnx-int8", device="cpu",
    )  # fmt: skip
    np.testing.assert_array_equal(found.mask(), eight.mask())
    assert "engine_check" not in eight.run


def test_pytorch_runs_where_they_change_and_the_area_changes_nothing(
    monkeypatch, make_scene, tmp_path
):
    # As if int8 had nothing to do with the model.
    monkeypatch.setattr(onnx_engine, "_int8", lambda graph: graph)
    kept = onnx_engine._OnnxFeatures.__call__

    def wrong(self, trunk, options):
        features = kept(self, trunk, options)
        return type(features)(features.tokens.flip(1), features.cls)

    monkeypatch.setattr(onnx_engine._OnnxFeatures, "__call__", wrong)
    scene = make_scene()
    with pytest.warns(RsclipWarning, match=r"int8 changes .* of the labels.*PyTorch runs"):
        found = auto(scene, tmp_path)
    check = found.run["engine_check"]
    assert check["used"] == "torch"
    assert found.run["model"]["engine"].endswith("int8 or PyTorch")
    assert check["equal"] < 0.99
    plain = library.segment(
        scene, WORDS, tmp_path / "plain", model=library.wrap(tiny_clip()), device="cpu"
    )
    np.testing.assert_array_equal(found.mask(), plain.mask())
    with rasterio.open(scene) as dataset:
        left, bottom, right, top = dataset.bounds
    corner = f"{left},{(bottom + top) / 2},{(left + right) / 2},{top}"
    with pytest.warns(RsclipWarning, match="int8 changes"):
        assert auto(scene, tmp_path, aoi=corner, batch_size=1).run["engine_check"] == check


def test_without_onnx_runtime_pytorch_runs_and_it_is_told(monkeypatch, make_scene, tmp_path):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else find(name)
    )
    with pytest.warns(RsclipWarning, match=r"PyTorch runs the encoder.*onnxruntime"):
        found = auto(make_scene(), tmp_path)
    assert "engine_check" not in found.run
    assert "engine" not in found.run["model"]
    with pytest.raises(OptionError, match="onnxruntime"):
        library.segment(
            make_scene(),
            WORDS,
            tmp_path / "other",
            model=library.wrap(tiny_clip()),
            engine="onnx-int8",
        )
