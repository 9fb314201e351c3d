"""Labels of other forms, grids and places than the map: what they mean, what is said of them."""

import re
import subprocess
import sys

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from PIL import Image

import rsclip as library
from rsclip.errors import InputError, RsclipWarning
from tests.study.evaluate.test_evaluate import NAMES, PLACE, blobs, write

SHAPE = (60, 80)
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)
COLOURS = {"#ff0000": "building", "#00ff00": "road", "#0000ff": "water"}


@pytest.fixture
def truth():
    return blobs(1, shape=SHAPE)


@pytest.fixture
def mask(truth, tmp_path):
    return write(tmp_path / "town_mask.tif", truth)


def write_colours(path, bands, **settings):
    profile = {"crs": "EPSG:32632", "transform": PLACE, "dtype": bands.dtype, **settings}
    with rasterio.open(
        path, "w", driver="GTiff", count=len(bands), height=SHAPE[0], width=SHAPE[1], **profile
    ) as dataset:
        dataset.write(bands)
    return path


def colours_of(truth):
    return np.array([(0, 0, 0), RED, GREEN, BLUE], np.uint8)[truth].transpose(2, 0, 1)


def test_where_colours_are_transparent_there_is_no_label(mask, truth, tmp_path):
    alpha = np.full((1, *SHAPE), 255, np.uint8)
    alpha[:, :20] = 0
    labels = write_colours(
        tmp_path / "rgba.tif", np.concatenate([colours_of(truth), alpha]), photometric="RGB",
        alpha="YES",
    )  # fmt: skip
    found = library.evaluate(mask, labels, mapping=COLOURS)
    assert found.overall["accuracy"] == 1
    assert found.support.sum() == 40 * 80


@pytest.mark.filterwarnings("ignore::rsclip.errors.RsclipWarning")
def test_colours_of_a_palette_may_stand_in_the_mapping(mask, truth, tmp_path):
    picture = Image.fromarray(truth, mode="P")
    picture.putpalette([0, 0, 0, *RED, *GREEN, *BLUE])
    picture.save(tmp_path / "palette.png")
    found = library.evaluate(mask, tmp_path / "palette.png", mapping=COLOURS)
    assert found.overall["accuracy"] == 1


def test_colours_of_more_than_8_bits_are_refused(mask, truth, tmp_path):
    deep = write_colours(tmp_path / "deep.tif", colours_of(truth).astype(np.uint16) * 257)
    with pytest.raises(InputError, match="these are uint16"):
        library.evaluate(mask, deep, mapping=COLOURS)


def test_another_grid_is_said_and_a_part_of_the_same_grid_is_none(mask, truth, tmp_path, recwarn):
    part = write(tmp_path / "part.tif", truth[20:], transform=PLACE @ PLACE.translation(0, 20))
    assert library.evaluate(mask, part).overall["accuracy"] == 1
    assert not [each for each in recwarn if "grid" in str(each.message)]
    for other in (PLACE.translation(0.5, 0), PLACE.scale(2), PLACE.rotation(10)):
        with pytest.warns(RsclipWarning, match="another grid than the scene: each pixel takes"):
            library.evaluate(mask, write(tmp_path / "o.tif", truth, transform=PLACE @ other))


def test_a_map_without_crs_is_said_to_take_labels_as_they_lie(truth, tmp_path):
    bare = write(tmp_path / "bare.tif", truth, crs=None)
    square = geopandas.GeoDataFrame(
        {"class": ["road"]}, geometry=[shapely.box(5e5, 5e6 - 9, 5e5 + 9, 5e6)], crs="EPSG:32632"
    )
    square.to_file(tmp_path / "square.gpkg")
    for labels in (write(tmp_path / "placed.tif", truth), tmp_path / "square.gpkg"):
        with pytest.warns(RsclipWarning, match="have a CRS and the scene has none"):
            library.evaluate(bare, labels)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("empty.gpkg", "holds no labels. Labels are polygons or points"),
        ("lines.gpkg", "it holds LineString. Labels are polygons or points"),
        ("words.txt", "words.txt: neither a raster nor a vector file of labels. Labels are"),
        ("codes.tif", r"the labels have 11, 12, 13, .* say what each label means \(--mapping\)"),
        ("huge.tif", "huge.tif: no class in common: the labels have 1e[+]300, the"),
    ],
)
def test_labels_that_cannot_serve_are_one_message(labels, message, mask, truth, tmp_path, rsclip):
    line = geopandas.GeoDataFrame(
        {"class": ["road"]}, geometry=[shapely.LineString([(5e5, 5e6), (6e5, 4e6)])],
        crs="EPSG:32632",
    )  # fmt: skip
    line.to_file(tmp_path / "lines.gpkg")
    line.iloc[:0].to_file(tmp_path / "empty.gpkg")
    (tmp_path / "words.txt").write_text("road\n", encoding="utf-8")
    write(tmp_path / "codes.tif", truth + 10, None)
    write(tmp_path / "huge.tif", np.full(SHAPE, 1e300), None)
    result = rsclip("evaluate", mask, "--labels", tmp_path / labels)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert re.search(message, result.stderr)


def test_labels_here_that_no_class_means_are_told_by_their_names(mask, tmp_path, rsclip):
    """The file names a class of the map, but none of its pixels has it."""
    path = write(tmp_path / "labels.tif", np.full(SHAPE, 2, np.uint8), {1: "building", 2: "lava"})
    done = rsclip("evaluate", mask, "--labels", path)
    assert done.exit_code == 2
    assert "no class in common: the labels have lava, the legend building, " in done.output


def test_labels_that_lie_elsewhere_are_one_message(mask, tmp_path, rsclip):
    away = geopandas.GeoDataFrame(
        {"class": [2]}, geometry=[shapely.box(9e5, 5e6, 9e5 + 9, 5e6 + 9)], crs="EPSG:32632"
    )
    away.to_file(tmp_path / "away.gpkg")
    result = rsclip("evaluate", mask, "--labels", tmp_path / "away.gpkg")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)


def test_classes_named_by_their_values_need_no_word(truth, tmp_path, recwarn):
    bare = [write(tmp_path / f"{name}.tif", truth, None) for name in ("map", "labels")]
    library.evaluate(*bare)
    assert not [each for each in recwarn if "values are taken for" in str(each.message)]


def test_masks_are_scored_without_pytorch(mask, truth, tmp_path):
    labels = write(tmp_path / "truth.tif", truth, NAMES)
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import rsclip\n"
        f"print(rsclip.evaluate({str(mask)!r}, {str(labels)!r}).overall['miou'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1.0"
