"""`rsclip info` says what a run would do."""

import json

import numpy as np
import pytest
import rasterio


def test_json_and_text_say_the_same(rsclip, make_scene, tiny_model):
    scene = make_scene(shape=(200, 240), count=4, dtype="uint16", nodata=0)
    with rasterio.open(scene, "r+") as dataset:
        pixels = dataset.read()
        pixels[:, :100] = 0
        dataset.write(pixels)
    done = rsclip("info", scene, "--model", tiny_model, "--bidx", "4,1,2", "--gsd", "1", "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["shape"] == [200, 240]
    assert facts["bands"] == 4
    assert facts["dtype"] == "uint16"
    assert facts["crs"] == "EPSG:32633"
    assert facts["chosen_bands"] == [4, 1, 2]
    assert facts["pixel_size_m"] == pytest.approx([0.5, 0.5], rel=1e-3)
    assert facts["valid_share"] == 0.5
    assert "nodata value 0" in facts["valid_source"]
    assert facts["working_shape"] == [100, 120]
    # 100 x 120 at window 32, stride 16, padded to 104 x 120.
    assert facts["tiles"] == 6 * 7
    assert facts["stretch"].startswith("percentile:2,98")
    text = rsclip("info", scene, "--model", tiny_model, "--bidx", "4,1,2", "--gsd", "1").stdout
    for part in ("240 x 200 pixels", "50.0%", "4, 1, 2 as red", "42 of 32 x 32", "120 x 100"):
        assert part in text


def test_a_palette_and_grey_are_named(rsclip, make_scene, tiny_model):
    grey, paletted = (make_scene(f"{name}.tif", count=1) for name in ("grey", "paletted"))
    with rasterio.open(paletted, "r+") as dataset:
        dataset.write_colormap(1, {value: (value, 0, 0) for value in range(256)})
    for scene, palette, said in (
        (grey, False, "1 as grey"), (paletted, True, "1, the colours of its table"),
    ):  # fmt: skip
        done = rsclip("info", scene, "--model", tiny_model)
        assert f"bands:        {said}\n" in done.stdout
        done = rsclip("info", scene, "--model", tiny_model, "--json")
        assert json.loads(done.stdout)["palette"] is palette


def test_a_crs_without_a_code_shows_its_name(rsclip, make_scene, tiny_model):
    crs = "+proj=laea +lat_0=12 +lon_0=34 +datum=WGS84 +units=m"
    done = rsclip("info", make_scene(crs=crs), "--model", tiny_model)
    line = next(line for line in done.stdout.splitlines() if line.startswith("CRS:"))
    assert "(no code)" in line
    assert "[" not in line


def test_the_estimate_is_not_below_what_a_run_holds(rsclip, make_scene, tiny_model):
    narrow = make_scene("narrow.tif", shape=(64, 64))
    wide = make_scene("wide.tif", shape=(64, 20000))
    # jbu holds the image's guidance beside them.
    flags = ("--model", tiny_model, "--upsample", "bilinear", "--json")
    narrow, wide = (
        json.loads(rsclip("info", scene, *flags).stdout)["memory_mb"] for scene in (narrow, wide)
    )
    # Similarities of 20 words over 2,500 patches of four rows: the part that grows with the width.
    assert wide > narrow
    assert np.isclose(wide - narrow, 4 * 20 * 4 * 2500 * 4 / 2**20, atol=2)


def test_the_estimate_grows_with_window_and_batch(rsclip, make_scene, tiny_model):
    def estimate(*options):
        scene = make_scene(shape=(1100, 1100))
        done = rsclip("info", scene, "--model", tiny_model, "--json", *options)
        return json.loads(done.stdout)["memory_mb"]

    plain = estimate("--batch-size", 1)
    # A window of 1024 pixels: 16,384 tokens of 64 channels, some ten times, and its pixels.
    assert estimate("--batch-size", 1, "--window", 1024) - plain > 40
    assert estimate("--batch-size", 64, "--window", 256) - plain > 150
    # SC-CLIP compares every two of the 16,384 patches.
    large = ("--batch-size", 1, "--window", 1024)
    assert estimate(*large, "--method", "scclip") - estimate(*large) > 3 * 16384**2 * 4 / 2**20


def test_a_window_beyond_the_scene_is_cut_to_it(rsclip, make_scene, tiny_model):
    for shape, expected in (((70, 90), 96), ((20, 20), 32), ((200, 60), 128)):
        done = rsclip("info", make_scene(shape=shape), "--model", tiny_model, "--json",
                      "--window", 128)  # fmt: skip
        assert json.loads(done.stdout)["window"] == [expected, expected]


def test_what_cannot_be_read_is_refused(rsclip, tmp_path, tiny_model):
    done = rsclip("info", tmp_path / "none.tif", "--model", tiny_model)
    assert done.exit_code == 2
    assert "none.tif" in done.stderr


@pytest.mark.parametrize(("count", "text"), [(1, "1 band, uint8"), (3, "3 bands, uint8")])
def test_bands_are_counted_in_plain_english(count, text, rsclip, tmp_path):
    path = tmp_path / "scene.tif"
    profile = {"width": 64, "height": 64, "count": count, "dtype": "uint8", "crs": "EPSG:32633"}
    place = rasterio.Affine(0.5, 0, 5e5, 0, -0.5, 5e6)
    with rasterio.open(path, "w", transform=place, **profile) as scene:
        scene.write(np.full((count, 64, 64), 9, np.uint8))
    assert f"64 x 64 pixels, {text}" in rsclip("info", path).stdout
