"""Rules of evidence through whole runs: which bands they read, and what the labels gain."""

import os
import warnings

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.transform import from_bounds, from_origin
from rasterio.warp import transform_bounds

import rsclip as library
from rsclip.config import SegmentConfig
from rsclip.errors import ExistsError, OptionError, RsclipWarning, SceneError
from rsclip.labelling import labeller as labelling
from rsclip.run.evidence_bands import BandEvidence
from rsclip.run.scenes_and_classes import open_scene
from rsclip.scene.other_raster import RasterBeside
from rsclip.words.legend import load_legend

CLASSES = [{"name": "water", "evidence": "ndwi > 0; weight=100"}, "road", "forest"]
SHAPE = (150, 170)


@pytest.fixture
def scene(tmp_path):
    """Five bands of 16 bits, the infrared low in a disc: only it tells water."""
    path = tmp_path / "scene.tif"
    rng = np.random.default_rng(5)
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    disc = (rows - 70) ** 2 + (columns - 60) ** 2 < 40**2
    image = rng.integers(400, 900, (5, *SHAPE), dtype=np.uint16)
    image[3] = np.where(disc, 100, 3000)
    image[:, :20, :20] = 0
    with rasterio.open(
        path, "w", driver="GTiff", count=5, height=SHAPE[0], width=SHAPE[1], dtype="uint16",
        crs="EPSG:32632", transform=from_origin(500_000, 5_300_000, 10, 10), nodata=0,
    ) as dataset:  # fmt: skip
        dataset.write(image)
        dataset.descriptions = ("B02", "B03", "B04", "B08", "B11")
    return path, disc


def mask_of(path, out, model, classes=CLASSES, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RsclipWarning)
        return library.segment(path, classes, out, model=model, device="cpu", **options)


def test_the_class_is_where_its_rule_holds_only(scene, tiny_model, tmp_path):
    path, disc = scene
    result = mask_of(path, tmp_path / "a", tiny_model)
    found = result.mask()
    assert not (found == 1)[~disc].any()
    np.testing.assert_array_equal(
        found == 255, np.pad(np.ones((20, 20), bool), ((0, 130), (0, 150)))
    )
    assert result.run["evidence"] == {
        "bands": {"green": 2, "nir": 4}, "rasters": {}, "rules": {"water": ["ndwi > 0; weight=100"]}
    }  # fmt: skip
    plain = mask_of(path, tmp_path / "b", tiny_model, evidence="none")
    assert "evidence" not in plain.run
    # Where the rule holds clearly, it changes nothing but a tie.
    inner = disc & (found != 255)
    assert (found[inner] == plain.mask()[inner]).mean() > 0.999


def test_other_classes_lose_where_their_rules_fail(scene, tiny_model, tmp_path):
    path, disc = scene
    against = {"name": "road", "evidence": "ndwi < 0; weight=100"}
    classes = [CLASSES[0], against, {**against, "name": "forest"}]
    found = mask_of(path, tmp_path / "a", tiny_model, classes).mask()
    np.testing.assert_array_equal((found == 1)[found != 255], disc[found != 255])


@pytest.mark.parametrize("options", [{}, {"gsd": 16}, {"gsd": 16, "resample_output": "working"}])
def test_strips_chunks_and_areas_change_no_label(scene, tiny_model, tmp_path, monkeypatch, options):
    path, _ = scene
    kept = {"stretch": "range:0,4000", **options}
    whole = mask_of(path, tmp_path / "a", tiny_model, **kept)
    monkeypatch.setattr(labelling, "CHUNK_PIXELS", 700)
    cut = mask_of(path, tmp_path / "b", tiny_model, **kept).mask()
    np.testing.assert_array_equal(cut, whole.mask())
    area = mask_of(
        path, tmp_path / "c", tiny_model, aoi="500400,5298900,501200,5299600", **kept
    ).mask()
    inside = area != 255
    assert inside.any()
    np.testing.assert_array_equal(area[inside], whole.mask()[inside])


def test_bands_can_be_named(scene, tiny_model, tmp_path):
    path, disc = scene
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = (None,) * 5
    found = mask_of(path, tmp_path / "a", tiny_model, bidx=(3, 2, 1), bands="nir=4").mask()
    assert not (found == 1)[~disc].any()
    with pytest.raises(OptionError, match="nir") as caught:
        mask_of(path, tmp_path / "b", tiny_model)
    assert "bands" in caught.value.remedy
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("bands", "words"),
    [("nir", "no band by name"), ("nir=9", "no band 9"), ("nir=x", "no band"), ("=4", "no band")],
)
def test_what_names_no_band_is_refused(scene, tiny_model, tmp_path, bands, words):
    with pytest.raises(OptionError, match=words):
        mask_of(scene[0], tmp_path / "a", tiny_model, bands=bands)


def test_auto_leaves_out_no_rule_of_the_class_file(scene, tiny_model, tmp_path):
    classes = [{"name": "water", "evidence": "height < 2"}, "road"]
    with pytest.raises(OptionError, match="'height < 2' of 'water' needs height"):
        mask_of(scene[0], tmp_path / "a", tiny_model, classes, evidence="auto")
    assert not (tmp_path / "a").exists()


def test_auto_heeds_bundled_rules_as_far_as_bands_are_there(scene, tiny_model, tmp_path):
    path, _ = scene
    result = mask_of(path, tmp_path / "a", tiny_model, "water, road, forest", evidence="auto")
    assert result.run["evidence"]["bands"] == {"green": 2, "swir": 5}
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = ("B02", "B03", "B04", None, None)
    with pytest.warns(RsclipWarning, match="no band is known as ndwi|no band is known as nir"):
        result = library.segment(
            path, "water, road", tmp_path / "b", model=tiny_model, evidence="auto"
        )
    assert "evidence" not in result.run


def test_a_band_of_another_name_makes_another_map(scene, tiny_model, tmp_path):
    path, _ = scene
    mask_of(path, tmp_path / "a", tiny_model, checksum=True)
    done = mask_of(path, tmp_path / "a", tiny_model, resume=True, checksum=True)
    assert done.status == "skipped"
    with pytest.raises(ExistsError, match="bands: null"):
        mask_of(path, tmp_path / "a", tiny_model, resume=True, checksum=True, bands="nir=5")


@pytest.fixture
def heights(tmp_path):
    """Heights in degrees, coarser, of the scene's western half: high in its north."""
    path = tmp_path / "ndsm.tif"
    west, south, east, north = transform_bounds(
        "EPSG:32632", "EPSG:4326", 500_000, 5_298_500, 500_850, 5_300_000
    )
    values = np.zeros((60, 40), np.float32)
    values[:30] = 8
    with rasterio.open(
        path, "w", driver="GTiff", count=1, height=60, width=40, dtype="float32", nodata=-9999,
        crs="EPSG:4326", transform=from_bounds(west, south, east, north, 40, 60),
    ) as dataset:  # fmt: skip
        dataset.write(values, 1)
    return path


@pytest.mark.parametrize("options", [{}, {"gsd": 20, "resample_output": "working"}])
def test_a_raster_on_another_grid_counts_where_it_has_values(
    scene, heights, tiny_model, tmp_path, options
):
    path, _ = scene
    classes = [{"name": "road", "evidence": "height > 2.5; weight=100"},
               {"name": "water", "evidence": "height < 2.5; weight=100"}]  # fmt: skip
    with pytest.warns(RsclipWarning, match="ndsm.tif has values for (49|50|51)%"):
        result = library.segment(
            path, classes, tmp_path / "a", model=tiny_model, rasters={"height": str(heights)},
            **options,
        )  # fmt: skip
    plain = mask_of(path, tmp_path / "b", tiny_model, classes, evidence="none", **options)
    found, bare = result.mask(), plain.mask()
    rows = len(found)
    step = 150 // rows
    north, south = found[: 70 // step, : 80 // step], found[80 // step :, : 80 // step]
    assert set(np.unique(north)) == {1, 255}
    assert set(np.unique(south)) == {2}
    # A few pixels around its edge are bilinear between a value and none.
    east = np.s_[:, 90 // step :]
    np.testing.assert_array_equal(found[east], bare[east])
    assert result.run["evidence"]["rasters"] == {"height": str(heights)}


def test_outside_a_raster_without_nodata_value_there_is_no_evidence(
    scene, heights, tiny_model, tmp_path
):
    path, _ = scene
    with rasterio.open(heights, "r+") as dataset:
        dataset.nodata = None
    classes = [{"name": "road", "evidence": "height > 2.5; weight=100"}, "water"]
    options = {"rasters": {"height": str(heights)}}
    found = mask_of(path, tmp_path / "a", tiny_model, classes, **options).mask()
    bare = mask_of(path, tmp_path / "b", tiny_model, classes, evidence="none").mask()
    np.testing.assert_array_equal(found[:, 90:], bare[:, 90:])
    assert not (found[90:, :80] == 1).any()


def test_a_finished_scene_is_skipped_without_a_look_at_a_raster_s_pixels(
    scene, heights, tiny_model, tmp_path, monkeypatch
):
    path, _ = scene
    classes = [{"name": "road", "evidence": "height > 2.5"}, "water"]
    options = {"rasters": {"height": str(heights)}, "resume": True}
    mask_of(path, tmp_path / "a", tiny_model, classes, **options)
    monkeypatch.setattr(RasterBeside, "share", lambda self: pytest.fail("pixels were read"))
    assert mask_of(path, tmp_path / "a", tiny_model, classes, **options).status == "skipped"


def test_rasters_that_cannot_serve_are_refused(scene, heights, tiny_model, tmp_path):
    path, _ = scene
    classes = [{"name": "road", "evidence": "height > 2.5"}, "water"]
    with rasterio.open(heights, "r+") as dataset:
        dataset.transform = from_origin(40, 10, 0.001, 0.001)
    with pytest.raises(SceneError, match="no value of it lies on"):
        mask_of(path, tmp_path / "a", tiny_model, classes, rasters={"height": str(heights)})
    with rasterio.open(
        heights, "w", driver="GTiff", count=1, height=9, width=9, dtype="uint8"
    ) as dataset:
        dataset.write(np.zeros((1, 9, 9), np.uint8))
    with pytest.raises(SceneError, match="not known where"):
        mask_of(path, tmp_path / "a", tiny_model, classes, rasters={"height": str(heights)})
    heights.write_bytes(b"no raster")
    with pytest.raises(SceneError, match="ndsm"):
        mask_of(path, tmp_path / "a", tiny_model, classes, rasters={"height": str(heights)})
    assert not (tmp_path / "a").exists()


def test_a_changed_raster_makes_another_map(scene, heights, tiny_model, tmp_path):
    path, _ = scene
    classes = [{"name": "road", "evidence": "height > 2.5"}, "water"]
    options = {"rasters": {"height": str(heights)}, "resume": True}
    mask_of(path, tmp_path / "a", tiny_model, classes, **options)
    assert mask_of(path, tmp_path / "a", tiny_model, classes, **options).status == "skipped"
    os.utime(heights, (1, 1))
    with pytest.raises(ExistsError):
        mask_of(path, tmp_path / "a", tiny_model, classes, **options)


@pytest.mark.parametrize(
    ("names", "kinds", "wanted"),
    [
        (["blue", "green", "red", "NIR"], {}, {"nir": 4}),
        (["B4 - Red", "B3 - Green", "B2 - Blue", "B8 - NIR"], {}, {"nir": 4}),
        (["red", "green", "blue", "Band 5 (near infrared)"], {}, {"nir": 4}),
        (["red", "green", "blue", "Red Edge", "SWIR 1", "SWIR2"], {},
         {"rededge": 4, "swir": 5, "swir2": 6}),
        (["B02", "B03", "B04", "B05", "B8A", "B08", "B11", "B12"], {},
         {"rededge": 4, "nir": 6, "swir": 7, "swir2": 8}),
        (["B1", "B2", "B3", "B4"], {}, {}),
        ([None] * 4, {4: "nir"}, {"nir": 4}),
        ([None] * 4, {4: "alpha"}, {}),
    ],
)  # fmt: skip
def test_bands_are_known_by_what_files_call_them(tmp_path, names, kinds, wanted):
    path = tmp_path / "named.tif"
    with rasterio.open(
        path, "w", driver="GTiff", count=len(names), height=8, width=8, dtype="uint16",
        crs="EPSG:32632", transform=from_origin(0, 0, 1, 1),
    ) as dataset:  # fmt: skip
        dataset.descriptions = names
        dataset.colorinterp = [
            ColorInterp[kinds.get(index, "undefined")] for index in dataset.indexes
        ]
    with open_scene(path, SegmentConfig()) as opened:
        assert {
            k: v for k, v in opened.band_names.items() if k not in ("red", "green", "blue")
        } == wanted


def test_one_band_has_no_colour(tmp_path, make_scene):
    with open_scene(make_scene(shape=(64, 64)), SegmentConfig(bidx=(1,))) as opened:
        assert opened.band_names == {}
        legend = load_legend([{"name": "water", "evidence": "ndwi > 0"}, "road"])
        with pytest.raises(OptionError, match="green and nir"):
            BandEvidence.of(opened, legend, SegmentConfig())
