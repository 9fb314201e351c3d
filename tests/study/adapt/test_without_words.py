"""A class that words cannot name: only labels tell what it is."""

import geopandas
import numpy as np
import pytest
import rasterio
import shapely

import rsclip as library
from rsclip.config import SegmentConfig
from rsclip.errors import LegendError, RsclipWarning
from rsclip.run.encoder import load_model
from rsclip.study.adapt.choosing import Candidate
from rsclip.words.legend import load_legend

CLASSES = "dark ground, bright ground, ?Teich Typ B"
SIDE = 240


@pytest.fixture
def scene(make_scene):
    """Squares of 24 pixels: dark, bright or of one bright blue."""
    path = make_scene(shape=(SIDE, SIDE))
    kinds = np.kron(truth(), np.ones((24, 24), int))
    with rasterio.open(path, "r+") as dataset:
        noise = np.random.default_rng(0).integers(0, 30, (3, SIDE, SIDE))
        colours = np.array([[20, 20, 20], [220, 220, 210], [10, 60, 220]])
        dataset.write((colours[kinds].transpose(2, 0, 1) + noise).astype("uint8"))
    return path


def truth():
    return np.random.default_rng(3).integers(0, 3, (SIDE // 24, SIDE // 24))


def labels(scene, path, names):
    """Label the middle of every second square."""
    rows, cols = (each.ravel() for each in np.mgrid[: SIDE // 24, : SIDE // 24])
    kinds = truth()[rows, cols]
    kept = ((rows + cols) % 2 == 0) & (kinds < len(names))
    with rasterio.open(scene) as dataset:
        grid, crs = dataset.transform, dataset.crs
    middles = [grid @ (24 * col + 12, 24 * row + 12) for row, col in zip(rows, cols, strict=True)]
    shapes = np.array([shapely.box(x - 4, y - 4, x + 4, y + 4) for x, y in middles])
    frame = geopandas.GeoDataFrame(
        {"class": [names[kind] for kind in kinds[kept]]}, geometry=shapes[kept], crs=crs
    )
    frame.to_file(path)
    return path


def test_labels_teach_it(scene, tmp_path, tiny_model, rsclip):
    few = labels(scene, tmp_path / "few.gpkg", ["dark ground", "bright ground", "Teich Typ B"])
    path = tmp_path / "x.adapter"
    done = rsclip(
        "adapt", scene, "--labels", few, "--classes", CLASSES, "-o", path, "--model", tiny_model
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert rsclip("segment", scene, "--adapter", path, "-o", tmp_path / "a").exit_code == 0
    given = library.segment(scene, CLASSES, tmp_path / "b", adapter=path)
    with rasterio.open(tmp_path / "a/scene_mask.tif") as dataset:
        assert (dataset.read(1) == given.mask()).all()
    middle = given.mask()[12::24, 12::24]
    assert (middle == truth() + 1).mean() > 0.7
    assert (middle == 3)[truth() == 2].mean() > 0.7
    assert given.run["classes"]["classes"][2]["words"] == []
    done = rsclip("compare", scene, "--methods", "clearclip", "--adapter", path,
                  "-o", tmp_path / "both")  # fmt: skip
    assert done.exit_code == 0, done.output
    with rasterio.open(tmp_path / "both/scene_clearclip_mask.tif") as dataset:
        assert 3 not in dataset.read(1)


def test_it_wins_nothing_before_labels_have_taught_it(scene, tiny_model):
    config = SegmentConfig(model=tiny_model, templates="simple")
    legend = load_legend(CLASSES, without_words=True)
    encoder = load_model(legend, config).encoder
    pixels = np.random.default_rng(0).random((2, 3, 32, 32)).astype(np.float32)
    found = encoder.similarities(pixels)
    np.testing.assert_allclose(found[:, 2], found[:, :2].mean(axis=1), atol=1e-6)


def test_without_words_and_labels_there_is_nothing_to_learn(scene, tmp_path, tiny_model, rsclip):
    few = labels(scene, tmp_path / "few.gpkg", ["dark ground", "bright ground"])
    with pytest.raises(LegendError, match="neither words nor labels: Teich Typ B"):
        library.adapt(scene, few, CLASSES, tmp_path / "x.adapter", model=tiny_model)
    assert not (tmp_path / "x.adapter").exists()
    for command in ("segment", "calibrate"):
        more = ["--labels", few] if command == "calibrate" else []
        done = rsclip(command, scene, *more, "--classes", CLASSES, "-o", tmp_path / "out.yaml")
        assert done.exit_code == 2
        assert "'Teich Typ B' has no words: only labels can teach it" in done.output
    todo = library.suggest(scene, tmp_path / "t.gpkg", 5, classes=CLASSES, model=tiny_model)
    assert len(geopandas.read_file(todo)) == 5


def test_where_nothing_is_learned_it_is_said_that_it_can_hardly_win_a_pixel(
    scene, tmp_path, tiny_model, monkeypatch
):
    few = labels(scene, tmp_path / "few.gpkg", ["dark ground", "bright ground", "Teich Typ B"])
    monkeypatch.setattr(Candidate, "gain", lambda self, other: (0.0, 0.02))
    path = tmp_path / "x.adapter"
    with pytest.warns(RsclipWarning, match="can hardly win a pixel: Teich Typ B"):
        assert library.adapt(scene, few, CLASSES, path, model=tiny_model).kind == "none"
    assert 3 not in library.segment(scene, output_dir=tmp_path / "out", adapter=path).mask()
