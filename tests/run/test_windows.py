"""Windows that are read together are those that would be read alone."""

import numpy as np
import pytest
import rasterio

from rsclip.config import SegmentConfig
from rsclip.run.pipeline import SceneRun
from rsclip.scene.scene import Scene
from rsclip.scene.stretch import fit
from rsclip.words.legend import load_legend
from tests.run.stub import StubEncoder, loader


@pytest.mark.parametrize("first", [0, 5])
@pytest.mark.parametrize("batch_size", [1, 3, 50])
@pytest.mark.parametrize("gsd", [None, 1.3])
def test_windows_read_together_are_those_read_alone(make_scene, gsd, batch_size, first):
    path = make_scene(shape=(300, 900), nodata=0)
    with rasterio.open(path, "r+") as dataset:
        pixels = dataset.read()
        pixels[:, :, 200:450] = 0
        dataset.write(pixels)
    legend, config = (
        load_legend("bright, dark"),
        SegmentConfig(gsd=gsd, stride=16, stretch="minmax"),
    )
    encoder = StubEncoder(batch_size=batch_size)
    queries = loader(encoder)(legend, config).queries
    area = "POLYGON ((500020 4999990, 500300 4999960, 500055 4999905, 500020 4999990))"
    with Scene.open(path, aoi=area, gsd=gsd) as scene:
        run = SceneRun(scene, encoder, legend, queries, config)
        run.radiometry = fit(scene, config.stretch)
        tiles = list(run.grid.tiles())[first:]
        chips = list(run.chips(first))
        assert len(chips) == len(tiles)
        seen = [(tile, chip) for tile, chip in zip(tiles, chips, strict=True) if chip is not None]
        assert 3 < len(seen) < len(tiles)
        for tile, chip in seen:
            pixels, valid = scene.read(tile.window)
            np.testing.assert_array_equal(chip.image, run.radiometry.apply(pixels, valid))
            np.testing.assert_array_equal(chip.valid, valid)
            assert (chip.tile, valid.any()) == (tile, True)


@pytest.mark.parametrize("batch_size", [1, 64])
def test_a_window_without_data_but_in_its_mirror_image_is_left_out(make_scene, batch_size):
    path = make_scene(shape=(65, 100), nodata=0)
    with rasterio.open(path, "r+") as dataset:
        pixels = dataset.read()
        pixels[:, 64, :60] = 0
        dataset.write(pixels)
    legend, config = load_legend("bright, dark"), SegmentConfig(window=8, overlap=0)
    encoder = StubEncoder(batch_size=batch_size)
    queries = loader(encoder)(legend, config).queries
    with Scene.open(path) as scene:
        run = SceneRun(scene, encoder, legend, queries, config)
        run.radiometry = fit(scene, config.stretch)
        chips = list(run.chips())
        alone = [scene.read(tile.window)[1].any() for tile in run.grid.tiles()]
    assert [chip is not None for chip in chips] == alone
    assert alone.count(False) == 7
