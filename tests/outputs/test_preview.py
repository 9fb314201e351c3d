"""Previews: sizes, colours, north and scale at any scene."""

import shutil

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.crs import CRS
from rasterio.transform import Affine

import rsclip as library
from rsclip.errors import RsclipWarning
from rsclip.geo.grid import north_angle
from rsclip.outputs.pictures import lettering
from rsclip.outputs.pictures.legend_and_scale import Entry, legend_layout, round_length
from rsclip.outputs.pictures.preview import MAX_SIDE, render_preview
from rsclip.outputs.rasters.mask import MaskWriter
from rsclip.scene.scene import Scene
from rsclip.scene.stretch import fit
from rsclip.words.legend import load_legend
from tests.rasters import write_raster

UTM = CRS.from_epsg(32633)


@pytest.fixture
def render(tmp_path):
    def run(shape, transform=None, crs="EPSG:32633", classes=("a", "b", "c"), warnings=()):
        transform = transform or Affine(0.5, 0, 5e5, 0, -0.5, 5e6)
        legend = load_legend(classes)
        labels = np.ones(shape, "uint8")
        labels[:, shape[1] // 2 :] = 2
        labels[: shape[0] // 3, : shape[1] // 3] = 255
        scene = tmp_path / "scene.tif"
        with rasterio.open(
            scene, "w", driver="GTiff", height=shape[0], width=shape[1], count=3, dtype="uint8",
            crs=crs, transform=transform, nodata=0, sparse_ok=True,
        ) as dataset:  # fmt: skip
            dataset.write(np.where(labels == 255, 0, 100)[None].repeat(3, 0).astype("uint8"))
        crs = CRS.from_user_input(crs) if crs else None
        with MaskWriter(tmp_path / "m.tif", shape, crs, transform, legend, {}) as writer:
            writer.write(0, labels)
            writer.finish()
        shares = {name: float((labels == value).mean()) for value, name in legend.names.items()}
        with Scene.open(scene) as opened:
            picture = render_preview(
                tmp_path / "m.tif", legend, "scene", shares, opened, fit(opened), warnings
            )
        return picture, legend

    return run


@pytest.mark.parametrize(
    "shape", [(1, 1), (20, 20), (60, 4000), (4000, 60), (300, 400), (2500, 2500), (1, 3000)]
)
@pytest.mark.parametrize("crs", ["EPSG:32633", None], ids=["utm", "none"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_preview_of_any_shape_fits_and_shows_the_classes(render, shape, crs):
    picture, legend = render(shape, crs=crs)
    assert max(picture.size) <= MAX_SIDE
    assert picture.width >= 760
    colours = {colour for _, colour in picture.getcolors(1 << 24)}
    # Legend swatches as they are; the overlay half and half with the image.
    assert {item.colour for item in legend.foreground} <= colours
    if min(shape) > 1:
        half = tuple(int(np.rint((100 + part) / 2)) for part in legend.foreground[1].colour)
        assert half in colours


def test_a_preview_of_many_classes_names_the_largest(render):
    names = [f"class {chr(97 + k // 26)}{chr(97 + k % 26)}" for k in range(200)]
    picture, _ = render((300, 300), classes=names)
    assert max(picture.size) <= MAX_SIDE


def test_degrees_are_not_squeezed(render):
    # At 60 degrees north a degree of longitude is half one of latitude.
    picture, _ = render((400, 400), Affine(1e-4, 0, 10, 0, -1e-4, 60), "EPSG:4326")
    square, _ = render((400, 400))
    assert picture.height > square.height


def test_the_files_preview_is_the_pictures(finished):
    with Image.open(finished.paths["preview"]) as picture:
        assert picture.format == "PNG"
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(finished.preview()))


def test_without_the_file_it_is_drawn_anew(finished):
    import dataclasses

    paths = {key: path for key, path in finished.paths.items() if key != "preview"}
    drawn = dataclasses.replace(finished, paths=paths).preview()
    np.testing.assert_array_equal(np.asarray(drawn), np.asarray(finished.preview()))


@pytest.mark.parametrize("angle", [0, 30, -75, 160])
def test_north_turns_with_the_grid(angle):
    # Turning the grid clockwise by an angle turns north in the image the other way.
    transform = Affine.translation(5e5, 5e6) @ Affine.rotation(-angle) @ Affine.scale(2, -2)
    assert north_angle(UTM, transform, (100, 100)) == pytest.approx(-angle, abs=0.01)


def test_north_of_a_polar_grid_points_away_from_the_south_pole():
    # East Antarctica along +x: north lies to the right.
    crs = CRS.from_epsg(3031)
    assert north_angle(crs, Affine(10, 0, 1e6, 0, -10, 500), (100, 100)) == pytest.approx(90, abs=1)
    assert north_angle(None, Affine.identity(), (10, 10)) is None


def test_north_of_a_south_up_grid_is_down():
    assert abs(north_angle(UTM, Affine(1, 0, 5e5, 0, 1, 5e6), (9, 9))) == pytest.approx(180, 0.01)


@pytest.mark.parametrize(
    ("longest", "expected"), [(1, 1), (1.99, 1), (3, 2), (7, 5), (499, 200), (0.034, 0.02)]
)
def test_bars_have_round_lengths(longest, expected):
    assert round_length(longest) == pytest.approx(expected)


def test_a_legend_that_does_not_fit_says_so():
    layout = legend_layout([Entry(f"name {k}", (1, 2, 3)) for k in range(90)], 500, 10, 20)
    assert layout.hidden == 90 - len(layout.entries) > 0
    assert layout.rows <= 10
    assert legend_layout([], 500, 10, 20).height == 0


def test_letters_that_no_font_has_give_way_to_english(monkeypatch):
    monkeypatch.setattr(lettering, "_candidates", list)
    lettering._font_of.cache_clear()
    for name in ("Gebäude", "łąka", "вода", "Δάσος", "đường"):
        assert lettering.legible(name, "?") == name
    assert lettering.legible("道路", "road (2)") == "road (2)"
    lettering._font_of.cache_clear()


BANNER = (255, 244, 214)


def test_warnings_of_the_run_stand_in_a_banner(make_scene, tmp_path):
    scene, classes, out = make_scene(), ["water", "giraffe"], tmp_path / "out"
    with pytest.warns(RsclipWarning, match="nano has not learned"):
        done = library.segment(scene, classes, out, model="nano", preview=True)
    drawn = np.asarray(done.preview())
    assert (drawn == BANNER).all(axis=2).sum() > 10_000
    # The same banner where the preview is asked for later.
    shutil.rmtree(out)
    with pytest.warns(RsclipWarning, match="nano has not learned"):
        library.segment(scene, classes, out, model="nano")
    later = library.segment(scene, classes, out, model="nano", preview=True, resume=True)
    np.testing.assert_array_equal(np.asarray(later.preview()), drawn)


@pytest.mark.parametrize("shape", [(300, 300), (60, 4000), (4000, 60)])
def test_many_warnings_leave_the_picture_in_its_bounds(render, shape):
    few, _ = render(shape, warnings=["道路 is not known"])
    many, _ = render(shape, warnings=["word after word " * 60] * 20)
    plain, _ = render(shape)
    assert max(many.size) <= MAX_SIDE
    assert plain.height < few.height < many.height
    assert BANNER not in {colour for _, colour in plain.getcolors(1 << 24)}
    assert BANNER in {colour for _, colour in many.getcolors(1 << 24)}


def test_unclassified_pixels_show_the_image(tmp_path):
    """One class that covers little must not veil the rest of the image."""
    scene = write_raster(tmp_path / "s.tif", np.full((3, 64, 64), 200, np.uint8))
    mask = np.zeros((1, 64, 64), np.uint8)
    mask[:, :, :32] = 1
    path = write_raster(tmp_path / "m.tif", mask, nodata=255)
    legend = load_legend("water")
    with Scene.open(scene) as opened:
        picture = render_preview(path, legend, "s", {"water": 0.5}, opened, fit(opened))
    pixels, counts = np.unique(np.asarray(picture).reshape(-1, 3), axis=0, return_counts=True)
    found = {tuple(map(int, pixel)): count for pixel, count in zip(pixels, counts, strict=True)}
    # The image itself fills its own panel and the half of the other that has no class.
    blend = max(count for pixel, count in found.items() if pixel[2] > pixel[0] + 40)
    assert found[200, 200, 200] == pytest.approx(3 * blend, rel=0.02)
