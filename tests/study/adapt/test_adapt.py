"""`adapt`: from a scene and a few labels to an adapter that `segment` takes."""

import base64
import errno
import io
import json
import os
import re

import geopandas
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

import rsclip as library
from rsclip.adapters.fitted_for import adapter_layer, read_header
from rsclip.config import SegmentConfig, build_config
from rsclip.errors import (
    InputError,
    LegendError,
    OptionError,
    RsclipWarning,
    SceneError,
    WriteError,
    collect_warnings,
)
from rsclip.labelling.stitcher import Stitcher
from rsclip.labelling.windows import plan_grid
from rsclip.run.encoder import load_model
from rsclip.run.scenes_and_classes import open_scene
from rsclip.run.working_pixel_size import warn_of_pixel_size
from rsclip.scene.stretch import fit
from rsclip.study.adapt.patches import collect
from rsclip.words.legend import load_legend

NAMES = ("dark ground", "bright ground")
CLASSES = ", ".join(NAMES)
SHAPE = (200, 260)


@pytest.fixture
def scene(make_scene):
    """Squares of 16 pixels in random colours."""
    return make_scene(shape=SHAPE)


def squares(scene, path, count=12, side=8, crs=None, column="class", names=NAMES):
    """Label squares in the middle of blocks whose red is dark or bright."""
    rng = np.random.default_rng(1)
    with rasterio.open(scene) as dataset:
        red, transform, own = dataset.read(1), dataset.transform, dataset.crs
    shapes, classes = [], []
    inner = red[4::16, 4::16][: SHAPE[0] // 16, : SHAPE[1] // 16]
    for value, found in enumerate((inner < 100, inner > 170)):
        places = np.argwhere(found)
        for row, col in rng.permutation(places)[:count]:
            top, left = 16 * row + (16 - side) // 2, 16 * col + (16 - side) // 2
            corners = [
                (left, top),
                (left + side, top),
                (left + side, top + side),
                (left, top + side),
            ]
            shapes.append(shapely.Polygon([transform @ corner for corner in corners]))
            classes.append(names[value])
    frame = geopandas.GeoDataFrame({column: classes}, geometry=shapes, crs=own)
    frame = frame if crs is None else frame.to_crs(crs)
    frame.to_file(path)
    return path


@pytest.fixture
def few(scene, tmp_path):
    return squares(scene, tmp_path / "few.gpkg")


@pytest.fixture
def adapter(scene, few, tmp_path, tiny_model):
    library.adapt(scene, few, CLASSES, tmp_path / "x.adapter", kind="linear", model=tiny_model)
    return tmp_path / "x.adapter"


def truth(scene):
    with rasterio.open(scene) as dataset:
        red = dataset.read(1)
    return np.select([red < 100, red > 170], [1, 2], 0)


def share_right(scene, mask):
    known = truth(scene)
    return (mask == known)[known > 0].mean()


def test_the_map_gains_and_the_scores_say_so(scene, few, tmp_path, tiny_model):
    plain = library.segment(scene, CLASSES, tmp_path / "plain", model=tiny_model).mask()
    found = library.adapt(scene, few, CLASSES, tmp_path / "x.adapter", model=tiny_model)
    assert found.kind in ("linear", "prototype")
    assert found.labels == {"dark ground": 12, "bright ground": 12}
    zero = found.candidates[0]
    assert found.chosen.miou > zero.miou + 0.2
    adapted = library.segment(scene, output_dir=tmp_path / "out", adapter=tmp_path / "x.adapter")
    assert share_right(scene, adapted.mask()) > share_right(scene, plain) + 0.2
    assert adapted.run["model"]["adapter"]["kind"] == found.kind


def test_the_command_is_the_library(scene, few, adapter, tmp_path, tiny_model, rsclip):
    done = rsclip(
        "adapt", scene, "--labels", few, "--classes", CLASSES, "-o", tmp_path / "y.adapter",
        "--kind", "linear", "--model", tiny_model,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert (tmp_path / "y.adapter").read_bytes() == adapter.read_bytes()
    assert re.search(r"windows, \d+ s\.", done.output)
    assert "zero-shot" in done.output
    assert rsclip("segment", scene, "--adapter", adapter, "-o", tmp_path / "a").exit_code == 0
    library.segment(scene, output_dir=tmp_path / "b", adapter=adapter)
    one, other = (rasterio.open(tmp_path / folder / "scene_mask.tif") for folder in "ab")
    with one, other:
        assert (one.read() == other.read()).all()


def test_the_report_shows_windows_before_and_after(scene, few, tmp_path, tiny_model, rsclip):
    page = tmp_path / "pages/r.html"
    flags = (
        "--labels", few, "--classes", CLASSES, "-o", tmp_path / "y.adapter", "--kind", "linear",
        "--model", tiny_model,
    )  # fmt: skip
    done = rsclip("adapt", scene, *flags, "--report", page)
    assert done.exit_code == 0, done.output
    pictures = re.findall(r'src="data:image/webp;base64,([^"]+)" alt="(\w+) of', page.read_text())
    shown = {}
    for data, name in pictures:
        image = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
        shown.setdefault(name, []).append(np.asarray(image, int))
    assert [*shown] == ["image", "truth", "before", "after"]
    assert len(shown["after"]) == 6
    # At the labels, colours are those of the labels more often than before.
    known = [(each != 205).any(axis=-1) for each in shown["truth"]]
    before, after = (
        np.mean(np.concatenate([
            (one[at] == true[at]).all(axis=-1)
            for one, true, at in zip(shown[name], shown["truth"], known, strict=True)
        ]))
        for name in ("before", "after")
    )  # fmt: skip
    assert after > before + 0.1
    refused = rsclip("adapt", scene, *flags, "--overwrite", "--report", tmp_path / "y.adapter")
    assert refused.exit_code == 2
    assert "it is the adapter's file" in refused.output


def test_gain_error_and_reason_stand_on_the_terminal_in_the_file_and_in_the_report(
    scene, few, tmp_path, tiny_model, rsclip
):
    path, page = tmp_path / "x.adapter", tmp_path / "r.html"
    done = rsclip("adapt", scene, "--labels", few, "--classes", CLASSES, "-o", path,
                  "--model", tiny_model, "--report", page)  # fmt: skip
    assert done.exit_code == 0, done.output
    told = read_header(path).report
    unchanged, *others = told["candidates"]
    (chosen,) = (each for each in others if each["reason"].startswith("chosen: "))
    assert chosen["kind"] == told["kind"]
    assert told["gain"] == chosen["gain"] == pytest.approx(chosen["miou"] - unchanged["miou"])
    assert told["gain"] > told["standard_error"] > 0
    assert all(each["reason"] for each in others)
    gain = f"{100 * told['gain']:+.1f} +- {100 * told['standard_error']:.1f}"
    for text in (done.stdout, page.read_text()):
        assert gain in text
        assert told["reason"] in " ".join(text.split())


def test_labels_do_not_depend_on_area_or_batch(scene, adapter, tmp_path):
    whole = library.segment(scene, output_dir=tmp_path / "whole", adapter=adapter).mask()
    with rasterio.open(scene) as dataset:
        left, top = dataset.transform @ (100, 60)
        right, bottom = dataset.transform @ (180, 150)
    part = library.segment(
        scene, output_dir=tmp_path / "part", adapter=adapter, batch_size=1,
        aoi=f"{left},{bottom},{right},{top}",
    ).mask()  # fmt: skip
    np.testing.assert_array_equal(part[60:150, 100:180], whole[60:150, 100:180])
    assert (part[:60] == 255).all()


def test_a_finished_scene_is_known_by_its_adapter(scene, few, adapter, tmp_path, tiny_model):
    settings = {"adapter": adapter, "resume": True}
    library.segment(scene, output_dir=tmp_path / "out", **settings)
    assert library.segment(scene, output_dir=tmp_path / "out", **settings).status == "skipped"
    library.adapt(scene, few, CLASSES, adapter, kind="bias", model=tiny_model, overwrite=True)
    with pytest.raises(InputError, match=r"made with other settings.*adapter"):
        library.segment(scene, output_dir=tmp_path / "out", **settings)


def test_a_batch_takes_the_classes_of_the_adapter(scene, adapter, tmp_path, rsclip):
    done = rsclip("batch", scene, "--adapter", adapter, "-o", tmp_path / "out")
    assert done.exit_code == 0, done.output
    alone = library.segment(scene, output_dir=tmp_path / "alone", adapter=adapter).mask()
    with rasterio.open(tmp_path / "out/scene_mask.tif") as dataset:
        assert (dataset.read(1) == alone).all()


def test_another_use_is_refused(scene, adapter, tmp_path, rsclip):
    def refused(*flags):
        done = rsclip("segment", scene, "--adapter", adapter, "-o", tmp_path / "out", *flags)
        assert done.exit_code == 2
        assert not (tmp_path / "out").exists()
        return done.output

    assert "for the method clearclip, not for gem" in refused("--method", "gem")
    assert "not for one of other weights" in refused("--model", "nano")
    assert "the classes dark ground, bright ground, not for roof" in refused(
        "--classes", "roof,sea"
    )
    assert "templates imagenet80, not for simple" in refused("--templates", "simple")


def test_another_stretch_or_window_is_told(scene, adapter, tiny_model):
    """As far as it is another: a default may say the same as the option."""
    legend = read_header(adapter).legend

    def said(**settings):
        config = build_config(adapter_layer({"adapter": adapter}), settings | {"adapter": adapter})
        with open_scene(scene, config) as opened, collect_warnings() as texts:
            warn_of_pixel_size(opened, config, None)
            model = load_model(legend, config)
        assert model.warnings == tuple(text for text in texts if "windows" in text)
        return texts

    side = load_model(legend, SegmentConfig(adapter=adapter, model=tiny_model)).encoder.window[0]
    assert said() == said(stretch="none", window=side) == []
    (text,) = said(stretch="minmax")
    assert "stretch='minmax', but the adapter was fitted with stretch='none'" in text
    (text,) = said(window=64)
    assert "windows of 64 x 64 pixels, but the adapter was fitted with windows of" in text


def test_tensors_of_another_model_are_one_message(scene, adapter, tmp_path, rsclip):
    with safe_open(adapter, "np") as file:
        header = file.metadata()
    tensors = load_file(adapter)
    fewer = {"weight": tensors["weight"][:, :3].copy(), "mean": tensors["mean"][:3]}
    save_file(tensors | fewer, adapter, header)
    done = rsclip("segment", scene, "--adapter", adapter, "-o", tmp_path / "out")
    assert done.exit_code == 2, done.output
    assert f"Error: {adapter}: the adapter is damaged ('mean' is" in done.output
    assert not (tmp_path / "out").exists()


def test_compare_and_evaluate_take_an_adapter(scene, adapter, tmp_path, tiny_model, rsclip):
    alone = library.segment(scene, output_dir=tmp_path / "alone", adapter=adapter).mask()
    plain = library.segment(scene, CLASSES, tmp_path / "plain", model=tiny_model).mask()
    flags = ("--methods", "clearclip", "--adapter", adapter, "-o", tmp_path / "both")
    done = rsclip("compare", scene, *flags)
    assert done.exit_code == 0, done.output
    for name, mask in (("clearclip-adapted", alone), ("clearclip", plain)):
        with rasterio.open(tmp_path / f"both/scene_{name}_mask.tif") as dataset:
            assert (dataset.read(1) == mask).all()
    with rasterio.open(scene) as dataset:
        profile = {**dataset.profile, "count": 1, "nodata": 0}
    with rasterio.open(tmp_path / "truth.tif", "w", **profile) as dataset:
        dataset.write(truth(scene).astype("uint8"), 1)
    done = rsclip(
        "evaluate", scene, "--labels", tmp_path / "truth.tif", "--adapter", adapter, "--json"
    )
    assert done.exit_code == 0, done.output
    (trial,) = json.loads(done.stdout)["trials"]
    assert trial["overall"]["accuracy"]["value"] == pytest.approx(share_right(scene, alone))


def test_features_are_those_that_segment_blends(scene, tiny_model):
    """A patch's feature against the stitcher of the whole scene, feature by feature."""
    config = SegmentConfig(model=tiny_model, batch_size=3)
    legend = load_legend(CLASSES)
    encoder = load_model(legend, config).encoder
    # The middle of a patch, a pixel between four patches, and one beyond the last middle.
    places = np.array(
        [shapely.box(43, 27, 45, 29), *shapely.points([(50.0, 32.5), (259.9, 199.9)])]
    )
    with open_scene(scene, config) as opened:
        found = collect(opened, places, encoder, config)
        grid = plan_grid(opened.working_shape, encoder, config)
        radiometry = fit(opened)
        channels = encoder.text_features.shape[1] + encoder.queries
        stitcher, planes, row = Stitcher(grid, channels, config.blend), [], 0
        for tile in grid.tiles():
            while grid.row_starts[row] < tile.window.row:
                planes.append(stitcher.take(grid.final_cell_rows(row)).similarities)
                row += 1
            both = encoder.patches(radiometry.apply(*opened.read(tile.window))[None])
            stitcher.add(tile, np.concatenate(both, axis=-1)[0].transpose(2, 0, 1))
        planes.append(stitcher.take(grid.cells[0]).similarities)
    whole = np.concatenate(planes, axis=1)
    ours = np.concatenate([found.features, found.similarities], axis=1)
    np.testing.assert_allclose(ours[0], whole[:, 3, 5], atol=1e-5)
    down, right = 32.5 / 8 - 0.5 - 3, 50.5 / 8 - 0.5 - 5
    parts = np.outer([1 - down, down], [1 - right, right])
    np.testing.assert_allclose(ours[1], (parts * whole[:, 3:5, 5:7]).sum((1, 2)), atol=1e-5)
    np.testing.assert_allclose(ours[2], whole[:, 24, 31:33] @ [1 / 16, 15 / 16], atol=1e-5)
    assert found.windows < len(grid)


def test_patches_count_by_what_a_label_covers(scene, tiny_model):
    config = SegmentConfig(model=tiny_model)
    encoder = load_model(load_legend(CLASSES), config).encoder
    with open_scene(scene, config) as opened:
        found = collect(opened, np.array([shapely.box(16, 16, 24, 26)]), encoder, config)
        outside = collect(opened, np.array([shapely.box(-20, -20, -1, -1)]), encoder, config)
    assert found.cover.tolist() == [1.0, 0.25]
    assert not len(outside.cover)


def test_labels_in_another_crs_and_by_code_are_the_same(scene, few, adapter, tmp_path, tiny_model):
    other = squares(scene, tmp_path / "o.gpkg", crs="EPSG:3035", column="value", names=["1", "2"])
    library.adapt(scene, other, CLASSES, tmp_path / "o.adapter", kind="linear", model=tiny_model)
    one, two = (
        library.segment(scene, output_dir=tmp_path / path.stem, adapter=path).mask()
        for path in (adapter, tmp_path / "o.adapter")
    )
    assert (one == two).mean() > 0.99


def test_an_adapter_that_gains_nothing_is_not_used(scene, tmp_path, tiny_model):
    """Labels that say what the model says: nothing is to be learned from them."""
    # What patches say, not the image's edges.
    settings = {"model": tiny_model, "upsample": "bilinear"}
    mask = library.segment(scene, CLASSES, tmp_path / "plain", **settings).mask()
    rng = np.random.default_rng(0)
    with rasterio.open(scene) as dataset:
        transform, crs = dataset.transform, dataset.crs
    rows, cols = (rng.integers(0, size, 80) for size in SHAPE)
    names = np.array(["", *CLASSES.split(", ")])[mask[rows, cols]]
    points = [
        shapely.Point(transform @ place) for place in zip(cols + 0.5, rows + 0.5, strict=True)
    ]
    geopandas.GeoDataFrame({"class": names}, geometry=points, crs=crs).to_file(tmp_path / "p.gpkg")
    path = tmp_path / "x.adapter"
    with pytest.warns(UserWarning, match="no adapter gains more accuracy than its standard error"):
        found = library.adapt(scene, tmp_path / "p.gpkg", CLASSES, path, model=tiny_model)
    assert found.kind == "none"
    again = library.segment(
        scene, output_dir=tmp_path / "out", adapter=path, upsample="bilinear"
    ).mask()
    assert (again == mask).all()


def _frame(few, **columns):
    frame = geopandas.read_file(few)
    for name, value in columns.items():
        frame[name] = value
    return frame


BAD = {
    "blank": (lambda f: _frame(f, **{"class": None}), SceneError, "labels are blank"),
    "unknown": (lambda f: _frame(f, **{"class": "roof"}), LegendError, "roof"),
    "one class": (lambda f: _frame(f, **{"class": "dark ground"}), LegendError, "all labels"),
    "unknown beside a background": (
        lambda f: _frame(f, **{"class": ["roof"] * 12 + ["dark ground"] * 12}), LegendError,
        "unknown class: roof. The classes are dark ground, bright ground: ",
    ),
    "elsewhere": (
        lambda f: _frame(f, geometry=_frame(f).translate(9e4)), SceneError, "no label lies on",
    ),
    "lines": (
        lambda f: _frame(f, geometry=_frame(f).boundary), SceneError, "it holds .*LineString",
    ),
    "contradiction": (
        lambda f: _frame(f, geometry=[shapely.box(0, 0, 1, 1)] * 24), LegendError,
        r"different classes overlap: 1 \(dark ground\) and 13 \(bright ground\).* more",
    ),
    "contradiction after blanks": (
        lambda f: _frame(f, geometry=[shapely.box(0, 0, 1, 1)] * 24,
                         **{"class": [None] * 9 + ["dark ground"] * 3 + ["bright ground"] * 12}),
        LegendError, r"overlap: 10 \(dark ground\) and 13 .*ids \(\$id in QGIS\)",
    ),
    "one label a class": (
        lambda f: _frame(f).iloc[[0, 12]], SceneError, "each class has one label.*more places",
    ),
    "one block": (
        lambda f: _frame(f, geometry=_frame(f).scale(0.02, 0.02, origin=(500020, 4999980))),
        SceneError, "lie in one block",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_labels_that_cannot_serve_are_told(name, few, scene, tmp_path, tiny_model):
    change, error, message = BAD[name]
    change(few).to_file(tmp_path / "bad.gpkg")
    with pytest.raises(error, match=message):
        library.adapt(
            scene, tmp_path / "bad.gpkg", CLASSES, tmp_path / "x", model=tiny_model,
            background="sky, clouds",
        )  # fmt: skip
    assert not (tmp_path / "x").exists()


def test_labels_that_do_not_count_are_named_by_their_ids(few, make_scene, tmp_path, tiny_model):
    """Without a geometry, outside, or where there is no data; a GeoPackage counts from 1."""
    frame = geopandas.read_file(few)
    scene = make_scene("part.tif", shape=SHAPE, nodata=0)
    with rasterio.open(scene, "r+") as dataset:
        place = ~dataset.transform @ frame.geometry[0].centroid.coords[0]
        pixels = dataset.read()
        col, row = (int(each) // 32 * 32 for each in place)
        pixels[:, row - 32 : row + 64, max(col - 32, 0) : col + 64] = 0
        dataset.write(pixels)
    shapes = list(frame.geometry)
    shapes[4], shapes[6], shapes[20] = None, shapely.Point(), shapely.box(0, 0, 1, 1)
    frame.set_geometry(shapes, crs=frame.crs).to_file(tmp_path / "bad.gpkg")
    with pytest.warns(RsclipWarning) as said:
        library.adapt(scene, tmp_path / "bad.gpkg", CLASSES, tmp_path / "x", kind="linear",
                      model=tiny_model)  # fmt: skip
    texts = "\n".join(str(each.message) for each in said)
    assert "2 of 24 features have no geometry and do not count: id 5, 7" in texts
    assert "1 of 22 labels lie outside and do not count: id 21" in texts
    assert re.search(r"labels lie where the scene has no data and do not count: id 1\b", texts)


def test_scenes_that_teach_nothing_are_told(few, scene, make_scene, tmp_path, tiny_model):
    with pytest.warns(UserWarning, match="count on the scenes named before it"):
        library.adapt([scene, scene], few, CLASSES, tmp_path / "x", kind="linear",
                      model=tiny_model)  # fmt: skip


@pytest.fixture
def blind(monkeypatch):
    """Encoding is an error."""

    def refuse(*_):
        raise AssertionError("windows were encoded")

    monkeypatch.setattr("rsclip.study.adapt.examples.collect", refuse)


@pytest.mark.parametrize("name", ["one class", "one label a class", "one block"])
def test_faults_of_labels_are_told_before_anything_is_encoded(
    name, few, scene, tmp_path, tiny_model, blind
):
    change, error, message = BAD[name]
    change(few).to_file(tmp_path / "bad.gpkg")
    with pytest.raises(error, match=message):
        library.adapt(scene, tmp_path / "bad.gpkg", CLASSES, tmp_path / "x", model=tiny_model)
    with pytest.raises(LegendError, match="neither words nor labels: pond type B"):
        library.adapt(scene, few, f"{CLASSES}, ?pond type B", tmp_path / "x", model=tiny_model)


@pytest.mark.parametrize("copies", [1, 3])
def test_classes_that_no_fold_tests_are_named(copies, few, scene, tmp_path, tiny_model):
    """A class with one label, or with several of one place."""
    frame = geopandas.read_file(few)
    frame.loc[[11, 23], "class"] = "pond", "roof"
    more = pd.concat([frame, *[frame.loc[[11, 23]]] * (copies - 1)])
    more.to_file(tmp_path / "few.gpkg")
    with pytest.warns(UserWarning, match=r"to be validated: pond, roof\. The mean IoU leaves"):
        found = library.adapt(scene, tmp_path / "few.gpkg", f"{CLASSES}, pond, roof",
                              tmp_path / "x", kind="linear", model=tiny_model)  # fmt: skip
    assert found.labels["pond"] == copies
    assert np.isnan(found.chosen.classes[2:]).all()


def test_a_raster_or_junk_is_no_file_of_labels(scene, tmp_path):
    (tmp_path / "junk.gpkg").write_text("junk")
    for path in (scene, tmp_path / "junk.gpkg"):
        with pytest.raises(SceneError, match=r"not a vector file of labels\. Labels are polygons"):
            library.adapt(scene, path, CLASSES, tmp_path / "x")


def test_a_full_disk_is_told_by_name(few, scene, tmp_path, monkeypatch, tiny_model):
    def full(path, *_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr("rsclip.study.adapt.run.write_adapter", full)
    with pytest.raises(WriteError, match="the disk is full") as caught:
        library.adapt(scene, few, CLASSES, tmp_path / "x", model=tiny_model, kind="linear")
    assert caught.value.remedy.startswith("Make room")


def test_a_kind_that_is_unknown_is_refused(few, scene, tmp_path):
    with pytest.raises(OptionError, match="no kind 'magic'"):
        library.adapt(scene, few, CLASSES, tmp_path / "x", kind="magic")
