"""`suggest`: places to label, that `adapt` reads once they are filled in."""

import json
from pathlib import Path

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import pytest
import rasterio
import shapely

import rsclip as library
from rsclip.errors import (
    ExistsError,
    LegendError,
    OptionError,
    OutputError,
    RsclipWarning,
    SceneError,
)
from rsclip.study.adapt.labels import read_labels
from rsclip.study.suggest.choosing import choose
from rsclip.words.legend import load_legend

CLASSES = "dark ground, bright ground"


@pytest.fixture
def scene(make_scene):
    path = make_scene(shape=(200, 260), nodata=0)
    with rasterio.open(path, "r+") as dataset:
        pixels = dataset.read()
        pixels[:, :, 200:] = 0
        dataset.write(pixels)
    return path


def test_what_is_filled_in_is_what_adapt_reads(scene, tmp_path, tiny_model):
    path = library.suggest(scene, tmp_path / "todo.gpkg", 15, classes=CLASSES, model=tiny_model)
    frame = geopandas.read_file(path)
    assert len(frame) == 15
    assert frame["place"].tolist() == list(range(1, 16))
    assert frame["label"].isna().all()
    assert {*frame["guess"]} <= {*CLASSES.split(", ")}
    with rasterio.open(scene) as dataset:
        red, grid = dataset.read(1), dataset.transform
    # Two patches of 8 pixels of 0.5 m, whole, with data.
    np.testing.assert_allclose(frame.area, 64)
    assert frame.total_bounds[2] <= (grid @ (200, 0))[0]
    for a in range(15):
        assert not frame.geometry[a + 1 :].overlaps(frame.geometry[a]).any()
    middle = [~grid @ (shape.x, shape.y) for shape in frame.centroid]
    frame["label"] = [
        CLASSES.split(", ")[int(red[int(row), int(col)] > 128)] for col, row in middle
    ]
    frame.loc[0, "label"] = None
    frame.to_file(tmp_path / "done.gpkg")
    found = library.adapt(
        scene, tmp_path / "done.gpkg", CLASSES, tmp_path / "x.adapter", kind="linear",
        model=tiny_model,
    )  # fmt: skip
    assert sum(found.labels.values()) == 14


def test_new_places_lie_away_from_labels(scene, tmp_path, tiny_model):
    first = library.suggest(scene, tmp_path / "a.gpkg", 10, classes=CLASSES, model=tiny_model)
    labels = geopandas.read_file(first)
    labels["label"] = "dark ground"
    outside = labels.iloc[[0]].set_geometry([shapely.box(0, 0, 1, 1)], crs=labels.crs)
    pd.concat([labels, outside]).to_file(tmp_path / "few.gpkg")
    with pytest.warns(RsclipWarning, match="1 of 11 labels lie outside and do not count: id 11"):
        path = library.suggest(scene, tmp_path / "b.gpkg", 10, classes=CLASSES,
                               labels=tmp_path / "few.gpkg", model=tiny_model)  # fmt: skip
    again = geopandas.read_file(path)
    assert again.geometry.apply(lambda shape: labels.distance(shape).min()).min() > 8


@pytest.mark.parametrize("more", [{}, {"gsd": 1.0}])
def test_places_lie_in_the_area_of_interest(scene, tmp_path, tiny_model, more):
    area = shapely.box(500010, 4999930, 500070, 4999990)
    path = library.suggest(
        scene, tmp_path / "a.gpkg", 5, classes=CLASSES, model=tiny_model, aoi=area.wkt, **more
    )
    frame = geopandas.read_file(path)
    assert len(frame)
    assert area.buffer(1e-6).covers(frame.union_all())
    with pytest.raises(SceneError, match="must hold whole squares of two patches"):
        library.suggest(
            scene, tmp_path / "b.gpkg", classes=CLASSES, model=tiny_model,
            aoi=area.centroid.buffer(3).wkt,
        )  # fmt: skip


def test_the_command_is_the_library(scene, tmp_path, tiny_model, rsclip):
    box = "500010,4999930,500070,4999990"
    flags = ("--classes", CLASSES, "-n", 5, "--model", tiny_model, "--aoi", box)
    done = rsclip("suggest", scene, *flags, "-o", tmp_path / "a.gpkg")
    assert done.exit_code == 0, done.output
    library.suggest(scene, tmp_path / "b.gpkg", 5, classes=CLASSES, model=tiny_model, aoi=box)
    one, other = (pyogrio.read_dataframe(tmp_path / f"{name}.gpkg") for name in "ab")
    assert one.equals(other)


def test_a_finished_run_brings_scene_classes_and_settings(scene, tmp_path, tiny_model, rsclip):
    out, given = tmp_path / "out", {"model": tiny_model, "method": "sclip", "overlap": 0.25}
    library.segment(scene, CLASSES, out, background="sky", **given)
    whole = library.suggest(
        scene, tmp_path / "a.gpkg", 6, classes=CLASSES, background="sky", **given
    )
    of_run = library.suggest(out, tmp_path / "b.gpkg", 6)
    assert geopandas.read_file(of_run).equals(geopandas.read_file(whole))
    done = rsclip("suggest", out, "-n", 6, "-o", tmp_path / "c.gpkg", "--method", "clearclip")
    assert done.exit_code == 0, done.output
    other = library.suggest(out, tmp_path / "d.gpkg", 6, method="clearclip")
    assert geopandas.read_file(tmp_path / "c.gpkg").equals(geopandas.read_file(other))
    assert not geopandas.read_file(other).equals(geopandas.read_file(whole))


def test_a_run_is_found_from_another_folder(scene, tmp_path, tiny_model, rsclip, monkeypatch):
    """Scene, area and model of the run were named from the folder that it was begun in."""
    area = shapely.box(500010, 4999930, 500070, 4999990)
    with rasterio.open(scene) as dataset:
        crs = dataset.crs
    geopandas.GeoDataFrame(geometry=[area], crs=crs).to_file(tmp_path / "area.gpkg")
    monkeypatch.chdir(tmp_path)
    model = Path(tiny_model).relative_to(tmp_path.parent)
    library.segment(scene.name, CLASSES, "out", aoi="area.gpkg", model=f"../{model}")
    here = library.suggest("out", "a.gpkg", 4)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    done = rsclip("suggest", "../out", "-n", 4, "-o", "b.gpkg")
    assert done.exit_code == 0, done.output
    other = geopandas.read_file("b.gpkg")
    assert other.equals(geopandas.read_file(tmp_path / here))
    assert area.buffer(1e-6).covers(other.union_all())
    scene.unlink()
    done = rsclip("suggest", "../out", "-o", "c.gpkg")
    assert done.exit_code == 2
    assert f"the scene of the run is not here: scene.tif, seen from {tmp_path}" in done.output


@pytest.mark.parametrize("name", ["adapter", "aoi", "templates", "weights"])
def test_a_file_of_the_run_that_was_moved_is_told_with_the_run_s_record(
    scene, tmp_path, tiny_model, rsclip, name
):
    out, record = tmp_path / "out", tmp_path / "out/scene_run.json"
    library.segment(scene, CLASSES, out, model=tiny_model, window=64)
    text = json.loads(record.read_text())
    gone = tmp_path / "moved.txt"
    text["settings"][name] = str(gone)
    record.write_text(json.dumps(text))
    done = rsclip("suggest", out, "-o", tmp_path / "a.gpkg")
    assert done.exit_code == 2, done.output
    assert f"Error: {record}: the {name} of the run cannot be read: {gone}, seen" in done.output
    assert f"Say where it is (--{name}), or name the scene itself" in done.output
    other = rsclip("suggest", out, f"--{name}", tmp_path / "other", "-o", tmp_path / "a.gpkg")
    assert str(record) not in other.output


def test_an_adapter_brings_its_own_classes_and_settings_beside_a_run(
    scene, tmp_path, tiny_model, rsclip
):
    """What the run says is none of the user's words: no remedy may tell to leave it out."""
    other = "grass, stone"
    out, path = tmp_path / "out", tmp_path / "x.adapter"
    library.segment(scene, CLASSES, out, model=tiny_model, method="sclip", background="sky")
    todo = library.suggest(scene, tmp_path / "a.gpkg", 12, classes=other, model=tiny_model)
    frame = geopandas.read_file(todo)
    frame["label"] = np.resize(other.split(", "), len(frame))
    frame.to_file(tmp_path / "few.gpkg")
    library.adapt(scene, tmp_path / "few.gpkg", other, path, kind="bias", model=tiny_model)
    done = rsclip("suggest", out, "--adapter", path, "-n", 6, "-o", tmp_path / "b.gpkg")
    assert done.exit_code == 0, done.output
    found = geopandas.read_file(tmp_path / "b.gpkg")
    alone = library.suggest(scene, tmp_path / "c.gpkg", 6, adapter=path)
    assert found.equals(geopandas.read_file(alone))
    assert {*found["guess"]} <= {*other.split(", ")}


def test_a_record_cannot_run_code(scene, tmp_path, tiny_model):
    library.segment(scene, CLASSES, tmp_path / "out", model=tiny_model)
    record = tmp_path / "out/scene_run.json"
    record.write_text(record.read_text().replace('"method": "clearclip"', '"method": "x.py:X"'))
    with pytest.raises(OptionError, match="names a Python file as the method"):
        library.suggest(tmp_path / "out", tmp_path / "todo.gpkg")


@pytest.mark.parametrize("what", ["nothing", "two", "damaged"])
def test_a_folder_that_is_no_single_run_is_refused(scene, tmp_path, what, rsclip):
    out = tmp_path / "out"
    out.mkdir()
    for name in {"nothing": [], "two": ["a", "b"], "damaged": ["a"]}[what]:
        (out / f"{name}_run.json").write_text('{"classes": 3}')
    done = rsclip("suggest", out, "-o", tmp_path / "todo.gpkg")
    assert done.exit_code == 2
    said = {"nothing": "no finished run", "two": "2 scenes (a, b)", "damaged": "is damaged"}
    assert said[what] in done.output
    assert not (tmp_path / "todo.gpkg").exists()


def clouds(sizes):
    """Return features of places of several kinds."""
    rng = np.random.default_rng(0)
    middles = np.eye(len(sizes), 6)
    features = np.repeat(middles, sizes, axis=0) + rng.normal(0, 0.02, (sum(sizes), 6))
    return (features / np.linalg.norm(features, axis=1)[:, None]).astype(np.float32)


def test_each_kind_of_place_is_asked_once_the_commonest_first():
    features = clouds([4, 30, 12])
    label, clear = np.full(46, -1), np.ones(46, bool)
    order = choose(features, label, clear, 3)
    assert sorted(order) == list(range(46))
    kinds = np.repeat([0, 1, 2], [4, 30, 12])
    assert kinds[order[:3]].tolist() == [1, 2, 0]
    for place in order[:3]:
        own = kinds == kinds[place]
        mean = features[own].mean(axis=0)
        away = np.linalg.norm(features[own] - mean, axis=1)
        assert np.linalg.norm(features[place] - mean) == pytest.approx(away.min(), abs=1e-6)


def test_kinds_that_have_labels_and_places_that_are_mixed_come_last():
    features = clouds([10, 20, 10])
    kinds = np.repeat([0, 1, 2], [10, 20, 10])
    label = np.where(np.arange(40) == 12, 0, -1)
    clear = np.arange(40) != 33
    order = choose(features, label, clear, 2)
    assert 12 not in order
    assert sorted(kinds[order[:2]]) == [0, 2]
    assert order[-1] == 33


def test_places_that_are_all_alike_are_ranked_all_the_same():
    features = np.ones((5, 1), np.float32)
    order = choose(features, np.full(5, -1), np.ones(5, bool), 3)
    assert sorted(order) == [0, 1, 2, 3, 4]
    assert not len(choose(features[:0], np.empty(0, np.int64), np.empty(0, bool), 3))


def test_places_are_of_one_class_where_there_are_enough(tmp_path, tiny_model, make_scene):
    """Halves of two colours: no place is asked for across the border."""
    path = make_scene(shape=(160, 160))
    with rasterio.open(path, "r+") as dataset:
        pixels = np.random.default_rng(0).integers(0, 20, (3, 160, 160))
        pixels[:, :, 84:] += 200
        dataset.write(pixels.astype("uint8"))
        grid = dataset.transform
    todo = library.suggest(path, tmp_path / "t.gpkg", 12, classes=CLASSES, model=tiny_model)
    bounds = geopandas.read_file(todo).bounds
    border = (grid @ (84, 0))[0]
    assert len(bounds) == 12
    assert not ((bounds["minx"] < border) & (bounds["maxx"] > border)).any()


def test_a_scene_without_a_place_of_one_class_has_places_all_the_same(
    tmp_path, tiny_model, make_scene
):
    path = make_scene(shape=(160, 160))
    patch = library.load_model(tiny_model).patch
    rows, cols = np.indices((160, 160)) // patch
    board = ((rows + cols) % 2 * 230).astype("uint8")
    with rasterio.open(path, "r+") as dataset:
        dataset.write(np.stack([board] * 3))
    todo = library.suggest(path, tmp_path / "t.gpkg", 5, classes=CLASSES, model=tiny_model)
    assert len(geopandas.read_file(todo)) == 5


def test_qgis_offers_the_classes(in_qgis, scene, tmp_path, tiny_model):
    path = library.suggest(scene, tmp_path / "s.gpkg", 3, classes=CLASSES, model=tiny_model)
    fields, widget, choices, editable = in_qgis(
        "layer = QgsVectorLayer(sys.argv[1] + '|layername=suggestions', 's', 'ogr')\n"
        "names = layer.fields().names()\n"
        "setup = layer.editorWidgetSetup(names.index('label'))\n"
        "form = layer.editFormConfig()\n"
        "said = [names, setup.type(), [list(pair.values())[0] for pair in setup.config()['map']],\n"
        "        [not form.readOnly(i) for i in range(len(names))]]",
        path,
    )
    assert fields == ["fid", "place", "guess", "margin", "label", "comment"]
    assert widget == "ValueMap"
    assert choices == ["dark ground", "bright ground", "unclassified"]
    assert editable == [False, False, False, False, True, True]


def test_what_qgis_fills_in_is_what_adapt_reads_by_the_ids_that_qgis_shows(
    in_qgis, scene, tmp_path, tiny_model
):
    path = library.suggest(scene, tmp_path / "s.gpkg", 4, classes=CLASSES, model=tiny_model)
    ids = in_qgis(
        "layer = QgsVectorLayer(sys.argv[1] + '|layername=suggestions', 's', 'ogr')\n"
        "at = layer.fields().names().index('label')\n"
        "pairs = layer.editorWidgetSetup(at).config()['map']\n"
        "choices = [list(pair.values())[0] for pair in pairs]\n"
        "features = sorted(layer.getFeatures(), key=lambda each: each['place'])\n"
        "layer.startEditing()\n"
        "for feature, choice in zip(features[1:], [choices[0], choices[1], choices[0]]):\n"
        "    layer.changeAttributeValue(feature.id(), at, choice)\n"
        "assert layer.commitChanges()\n"
        "said = [feature.id() for feature in features]",
        path,
    )
    found = read_labels(path, load_legend(CLASSES))
    assert found.frame["place"].tolist() == [2, 3, 4]
    assert found.values.tolist() == [1, 2, 1]
    assert found.frame.index.tolist() == ids[1:]


def test_bad_requests_are_refused(scene, tmp_path):
    with pytest.raises(OptionError, match="0 places"):
        library.suggest(scene, tmp_path / "a.gpkg", 0, classes=CLASSES)
    with pytest.raises(OutputError, match="a GeoPackage"):
        library.suggest(scene, tmp_path / "a.shp", classes=CLASSES)
    with pytest.raises(LegendError, match="no classes"):
        library.suggest(scene, tmp_path / "a.gpkg")
    (tmp_path / "a.gpkg").touch()
    with pytest.raises(ExistsError):
        library.suggest(scene, tmp_path / "a.gpkg", classes=CLASSES)
