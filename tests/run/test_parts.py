"""Parts of a scene: an area of interest, and blocks that cannot be read."""

import json
import logging

import numpy as np
import pytest
import rasterio
import rasterio.shutil

import rsclip as library
from rsclip.config import build_config
from rsclip.errors import OptionError, ReadError
from rsclip.run.segment import segment_scenes
from tests.run.killed import run
from tests.run.kinds import CLASSES, KINDS
from tests.run.stub import StubEncoder, loader


@pytest.mark.parametrize("extra", KINDS)
def test_inside_an_area_the_labels_are_those_of_the_whole(make_scene, tiny_model, tmp_path, extra):
    scene = make_scene(shape=(260, 300))
    options = {"model": tiny_model, "confidence": True, **extra}
    whole = library.segment(scene, CLASSES, tmp_path / "whole", **options)
    area = "POLYGON ((500020 4999990, 500090 4999950, 500055 4999905, 500020 4999990))"
    part = library.segment(scene, CLASSES, tmp_path / "part", aoi=area, **options)
    inside = part.mask() != 255
    assert 0.05 < inside.mean() < 0.3
    assert (part.mask() == whole.mask())[inside].mean() >= 0.9999
    with rasterio.open(part.mask_path) as dataset, rasterio.open(scene) as source:
        assert (dataset.transform, dataset.shape) == (source.transform, source.shape)
    with (
        rasterio.open(part.paths["confidence"]) as one,
        rasterio.open(whole.paths["confidence"]) as other,
    ):
        np.testing.assert_array_equal(one.read(1) == 255, ~inside)
        near = np.abs(one.read(1)[inside].astype(int) - other.read(1)[inside]) <= 1
        assert near.mean() >= 0.9999
    # Windows that no label inside needs were never encoded.
    assert part.run["windows"]["skipped"] > 0.25 * part.run["windows"]["total"]
    assert sum(part.shares.values()) == pytest.approx(1)


def test_an_area_off_the_scene_is_said_before_work(rsclip, make_scene, tiny_model, tmp_path):
    done = rsclip("segment", make_scene(), "--classes", "a, b", "--model", tiny_model,
                  "--aoi", "0,0,1,1", "-o", tmp_path / "out")  # fmt: skip
    assert done.exit_code == 2
    assert "outside the scene" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("gsd", [1.3, 0.4])
def test_outputs_on_the_working_grid(make_scene, tiny_model, tmp_path, gsd):
    scene = make_scene(shape=(200, 240), nodata=0)
    with rasterio.open(scene, "r+") as dataset:
        pixels = dataset.read()
        pixels[:, :90, :100] = 0
        dataset.write(pixels)
        bounds = dataset.bounds
    options = {"model": tiny_model, "gsd": gsd, "preview": True, "stac": True}
    result = library.segment(
        scene, "road, water", tmp_path / "out", resample_output="working", **options
    )
    with rasterio.open(result.mask_path) as dataset:
        assert dataset.res == pytest.approx((gsd, gsd), rel=0.01)
        np.testing.assert_allclose(dataset.bounds, bounds, atol=1e-6)
        labels = dataset.read(1)
    # The same labels as on the scene's grid, seen through other pixels.
    own = library.segment(scene, "road, water", tmp_path / "own", **options).mask()
    rows = ((np.arange(labels.shape[0]) + 0.5) * 200 / labels.shape[0]).astype(int)
    cols = ((np.arange(labels.shape[1]) + 0.5) * 240 / labels.shape[1]).astype(int)
    assert (labels == own[np.ix_(rows, cols)]).mean() > 0.97
    assert result.preview().width > 100
    area = {each["name"]: each["m2"] for each in result.run["results"]}
    assert sum(area.values()) == pytest.approx((200 * 240 - 90 * 100) * 0.25, rel=0.03)


@pytest.fixture
def damaged(make_scene):
    """A tiled scene whose block at rows 64:128, columns 128:192 is rubbish."""
    path = make_scene(shape=(256, 300), tiled=True, blockxsize=64, blockysize=64,
                      compress="deflate")  # fmt: skip
    spoil(path, "2_1")
    return path


def spoil(path, block, keep=0):
    with rasterio.open(path) as dataset:
        offset = int(dataset.get_tag_item(f"BLOCK_OFFSET_{block}", "TIFF", bidx=1))
        size = int(dataset.get_tag_item(f"BLOCK_SIZE_{block}", "TIFF", bidx=1))
    content = bytearray(path.read_bytes())
    offset, size = offset + int(keep * size), size - int(keep * size)
    content[offset : offset + size] = (b"\0" if keep else b"\xff") * size
    path.write_bytes(content)


def test_a_block_that_cannot_be_read_fails_the_scene(damaged, tmp_path):
    with pytest.raises(ReadError, match=r"scene.tif, rows .*on_read_error='nodata'"):
        run(damaged, tmp_path / "out", StubEncoder())
    assert not (tmp_path / "out").exists()


@pytest.fixture
def photograph(make_scene):
    """A scene in JPEG whose block at rows 64:128, columns 128:192 ends in rubbish.

    GDAL only warns, and makes pixels up.
    """
    source = make_scene("plain.tif", shape=(256, 300))
    path = source.with_name("photo.tif")
    rasterio.shutil.copy(source, path, driver="GTiff", tiled=True, blockxsize=64, blockysize=64,
                         compress="jpeg", photometric="ycbcr")  # fmt: skip
    spoil(path, "2_1", keep=0.8)
    with rasterio.open(path) as dataset:
        assert dataset.read().any()
    return path


@pytest.mark.parametrize("gsd", [None, 1.0])
def test_spoilt_jpeg_is_no_image(photograph, tmp_path, gsd):
    # GDAL 3.12 names the data segment that ends too soon, earlier ones JPEG.
    says = r"photo\.tif.* read: (?i:.*JPEG|.*data segment).*on_read_error='nodata'"
    with pytest.raises(ReadError, match=says):
        run(photograph, tmp_path / "out", StubEncoder(), gsd=gsd)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("quiet", ["level", "disable", "disabled"])
def test_spoilt_jpeg_is_noticed_by_programs_that_hush_logs(photograph, tmp_path, quiet):
    logger = logging.getLogger("rasterio._err")
    level = logger.level
    try:
        if quiet == "level":
            logger.setLevel(logging.CRITICAL)
        elif quiet == "disable":
            logging.disable(logging.CRITICAL)
        else:
            # As logging.config.dictConfig leaves loggers that it does not name.
            logger.disabled = True
        with pytest.raises(ReadError, match="on_read_error"):
            run(photograph, tmp_path / "out", StubEncoder())
    finally:
        logger.setLevel(level)
        logging.disable(logging.NOTSET)
        logger.disabled = False


@pytest.mark.parametrize("gsd", [None, 1.0])
def test_spoilt_jpeg_is_nodata_where_that_is_asked_for(photograph, tmp_path, gsd):
    with pytest.warns(UserWarning, match="could not be read"):
        outcome = run(photograph, tmp_path / "out", StubEncoder(), on_read_error="nodata", gsd=gsd)
    lost = outcome.mask() == 255
    assert lost[64:128, 128:192].all()
    if gsd is None:
        assert outcome.run["unreadable"] == [[64, 128, 64, 64]]
        assert lost.sum() == 64 * 64


def test_unreadable_blocks_on_the_working_grid(make_scene, tmp_path):
    path = make_scene(shape=(600, 300), tiled=True, blockxsize=64, blockysize=64,
                      compress="deflate")  # fmt: skip
    spoil(path, "2_1")
    options = {"on_read_error": "nodata", "gsd": 1.0, "resample_output": "working"}
    with pytest.warns(UserWarning, match=": a block could not be read: it is nodata"):
        outcome = run(path, tmp_path / "out", StubEncoder(), **options)
    lost = outcome.mask() == 255
    assert lost.shape == (300, 150)
    assert lost[32:64, 64:96].all()
    # GDAL warps 128 rows at once: no more than these.
    assert not lost[128:].any()
    assert outcome.run["unreadable"] == [[0, 0, 128, 150]]


@pytest.mark.parametrize("gsd", [None, 1.0])
def test_or_becomes_nodata_and_is_listed(damaged, tmp_path, gsd):
    said = ": a block could not be read: it is" if gsd is None else "could not be read"
    with pytest.warns(UserWarning, match=said):
        outcome = run(damaged, tmp_path / "out", StubEncoder(), on_read_error="nodata", gsd=gsd)
    lost = outcome.mask() == 255
    listed = json.loads(outcome.record.read_text())["unreadable"]
    expected = np.zeros_like(lost)
    for row, col, height, width in listed:
        expected[row : row + height, col : col + width] = True
    np.testing.assert_array_equal(lost, expected)
    assert lost[64:128, 128:192].all()
    if gsd is None:
        assert listed == [[64, 128, 64, 64]]
        # The block's neighbours have labels, as every other pixel.
        assert lost.sum() == 64 * 64


def test_a_read_that_fails_once_is_tried_again(make_scene, tmp_path, monkeypatch):
    from rsclip.scene import reading as handles

    scene = make_scene(shape=(200, 200))
    whole = run(scene, tmp_path / "whole", StubEncoder())
    real, failures = handles.open_raster, []

    class Flaky:
        """A dataset whose fifth read fails, as on a network drive."""

        def __init__(self, dataset):
            self._dataset = dataset

        def __getattr__(self, name):
            return getattr(self._dataset, name)

        def read(self, *arguments, **options):
            failures.append(1)
            if len(failures) == 5:
                raise rasterio.errors.RasterioIOError("connection reset")
            return self._dataset.read(*arguments, **options)

    monkeypatch.setattr(handles, "open_raster", lambda *a, **k: Flaky(real(*a, **k)))
    again = run(scene, tmp_path / "again", StubEncoder())
    assert len(failures) > 5
    np.testing.assert_array_equal(again.mask(), whole.mask())


def test_options_that_do_not_fit(make_scene, tmp_path):
    with pytest.raises(OptionError, match="on_read_error"):
        run(make_scene(), tmp_path, StubEncoder(), on_read_error="skip")


@pytest.mark.parametrize("batch", [2, 4, 7])
def test_progress_tells_the_end_once_and_no_window_before_it_is_done(make_scene, tmp_path, batch):
    scene = make_scene(shape=(400, 400), nodata=0)
    with rasterio.open(scene, "r+") as dataset:
        pixels = dataset.read()
        pixels[:, :160, :200] = pixels[:, 200:300] = pixels[:, 320:, 310:] = 0
        dataset.write(pixels)
    encoder, steps = StubEncoder(batch_size=batch), []
    (result,) = segment_scenes(
        [scene],
        "bright, dark",
        tmp_path,
        config=build_config({"batch_size": batch}),
        model_loader=loader(encoder),
        progress=lambda done, total: steps.append((done, total, encoder.calls)),
    )
    total = result.run["windows"]["total"]
    done = [step[0] for step in steps]
    assert done == sorted(done)
    assert {step[1] for step in steps} == {total}
    assert done.index(total) == len(done) - 1
    # The end is told once the last batch went through the encoder, not when it was read.
    assert steps[-1][2] == encoder.calls
    assert 0 < result.run["windows"]["skipped"] < total
