"""Outputs asked for later are made from the finished mask; finished work is not thrown away."""

import json

import geopandas
import numpy as np
import pytest
import rasterio

from rsclip.errors import ExistsError, WriteError
from tests.run.killed import run
from tests.run.stub import StubEncoder

LATER = {"preview": True, "stac": True, "qgis_project": True, "sld": True, "vector_format": "gpkg"}
PLAIN = {"confidence": False, "probabilities": False, "vector_format": "none"}


def labels(outcome):
    return outcome.mask().tobytes(), outcome.mask_path.stat().st_mtime_ns


def test_files_asked_for_later_are_made_without_the_model(make_scene, tmp_path):
    scene, encoder = make_scene(shape=(200, 180)), StubEncoder()
    first = run(scene, tmp_path, StubEncoder(), **PLAIN)
    before = labels(first)
    second = run(scene, tmp_path, encoder, **(PLAIN | LATER))
    assert (second.status, encoder.calls) == ("done", 0)
    assert labels(second) == before
    assert all(path.stat().st_size for path in second.paths.values())
    record = json.loads(second.record.read_text(encoding="utf-8"))
    assert record["settings"]["preview"] is True
    assert set(record["outputs"].values()) == {path.name for path in second.paths.values()}
    assert set(record["made"]) == set(record["outputs"].values()) - {second.record.name}
    polygons = geopandas.read_file(second.paths["polygons"])
    assert len(polygons)
    # They are those of a run that asked for them at once.
    whole = run(scene, tmp_path / "whole", StubEncoder(), **(PLAIN | LATER))
    at_once = geopandas.read_file(whole.paths["polygons"])
    np.testing.assert_allclose(polygons.area.sort_values(), at_once.area.sort_values())
    assert not list(tmp_path.glob(".rsclip-*"))
    # Asked again, and asked for less, the scene is done.
    for options in (PLAIN | LATER, PLAIN):
        encoder = StubEncoder()
        assert run(scene, tmp_path, encoder, **options).status == "skipped"
        assert encoder.calls == 0
    assert json.loads(second.record.read_text(encoding="utf-8")) == record


def test_polygons_drawn_otherwise_are_drawn_again(make_scene, tmp_path):
    scene, encoder = make_scene(shape=(200, 180)), StubEncoder()
    plain = PLAIN | {"vector_format": "gpkg"}
    before = labels(run(scene, tmp_path, StubEncoder(), **plain))
    options = plain | {"min_area": 1e12}
    again = run(scene, tmp_path, encoder, **options)
    assert encoder.calls == 0
    assert labels(again) == before
    assert len(geopandas.read_file(again.paths["polygons"])) == 0
    assert run(scene, tmp_path, encoder, **options).status == "skipped"


def test_another_vector_format_stands_beside_the_first(make_scene, tmp_path):
    scene = make_scene(shape=(100, 90))
    run(scene, tmp_path, StubEncoder(), **(PLAIN | {"vector_format": "gpkg"}))
    for kind in ("geojson", "gpkg", "geojson"):
        encoder = StubEncoder()
        outcome = run(scene, tmp_path, encoder, **(PLAIN | {"vector_format": kind}))
        assert encoder.calls == 0
        assert outcome.paths["polygons"].suffix == f".{kind}"
    assert outcome.status == "skipped"
    listed = json.loads(outcome.record.read_text(encoding="utf-8"))["outputs"].values()
    assert {path.name for path in tmp_path.glob("scene_*")} == set(listed)


def test_scores_need_the_model_and_say_so(make_scene, tmp_path):
    scene, encoder = make_scene(), StubEncoder()
    run(scene, tmp_path, StubEncoder(), **PLAIN)
    with pytest.warns(UserWarning, match=r"scene_margin\.tif.*cannot be made from the mask"):
        outcome = run(scene, tmp_path, encoder, **(PLAIN | {"margin": True}))
    assert encoder.calls
    with rasterio.open(outcome.paths["margin"]) as dataset:
        assert dataset.read(1).any()


def test_what_differs_is_named(make_scene, tmp_path):
    scene = make_scene()
    run(scene, tmp_path, StubEncoder(), **PLAIN)
    with pytest.raises(
        ExistsError, match=r"logit_scale: 50\.0 -> 40\.0; threshold: null -> 0\.2\)"
    ) as caught:
        run(scene, tmp_path, StubEncoder(), threshold=0.2, logit_scale=40, **PLAIN)
    assert "confidence" not in str(caught.value)


def test_an_option_without_effect_on_a_scene_leaves_it_finished(make_scene, tmp_path):
    scene = make_scene()
    run(scene, tmp_path, StubEncoder(), on_read_error="nodata", **PLAIN)
    assert run(scene, tmp_path, StubEncoder(), **PLAIN).status == "skipped"


def test_a_file_of_somebody_else_is_not_replaced(make_scene, tmp_path):
    scene = make_scene()
    run(scene, tmp_path, StubEncoder(), **PLAIN)
    mine = tmp_path / "scene_preview.png"
    mine.write_text("mine")
    with pytest.raises(ExistsError, match="did not write scene_preview"):
        run(scene, tmp_path, StubEncoder(), **(PLAIN | {"preview": True}))
    assert mine.read_text() == "mine"


def test_adding_that_fails_leaves_the_finished_run(make_scene, tmp_path, monkeypatch):
    scene = make_scene()
    run(scene, tmp_path, StubEncoder(), **PLAIN)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("scene*")}

    def full(*_, **__):
        raise WriteError("the disk is full")

    monkeypatch.setattr("rsclip.outputs.pictures.preview.write_preview", full)
    with pytest.raises(WriteError):
        run(scene, tmp_path, StubEncoder(), **(PLAIN | LATER))
    assert {path.name: path.read_bytes() for path in tmp_path.glob("scene*")} == before
