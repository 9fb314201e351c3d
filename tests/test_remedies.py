"""Commands in messages are pasted into a shell: file names are one word, options exist."""

import ast
import re
import shlex
import shutil
import subprocess
import warnings

import click
import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC

from rsclip.errors import RsclipError
from rsclip.model.weights.architecture import absent
from rsclip.model.weights.names import parse_name
from rsclip.model.weights.origin import verified_sha256
from rsclip.scene.gdal import open_dataset
from rsclip.scene.scene import Scene
from rsclip.scene.stretch import fit
from rsclip.study.truth import open_labels
from rsclip.vectors.label_raster import LabelRaster
from rsclip.words.legend import load_legend
from rsclip_cli.main import cli

NAMES = ("it's $HOME now.tif", "-b.tif")
PLACE = {"crs": "EPSG:32633", "transform": rasterio.Affine(2, 0, 5e5, 0, -2, 5e6)}
PLANE = 'LOCAL_CS["site",UNIT["metre",1]]'
COMMAND = re.compile(r"`?((?:gdal\w+(?:\.py)?|ogr2ogr|rsclip)\s[^`\n]*)")


def write(path, count=3, side=64, dtype="uint8", **options):
    pixels = np.random.default_rng(1).integers(1, 200, (count, side, side))
    with open_dataset(
        path, "w", driver="GTiff", count=count, height=side, width=side, dtype=dtype, **options
    ) as dataset:
        dataset.write(pixels.astype(dtype))
        yield dataset


def made(path, **options):
    for _ in write(path, **options):
        pass


def control_points(path):
    for dataset in write(path):
        dataset.gcps = (
            [
                GroundControlPoint(row=row, col=col, x=10 + col * 1e-4, y=50 - row * 1e-4)
                for row in (0, 32, 64)
                for col in (0, 32, 64)
            ],
            "EPSG:4326",
        )
    Scene.open(path)


def polynomials(path):
    rest = [0.0] * 17
    for dataset in write(path):
        dataset.rpcs = RPC(
            height_off=0, height_scale=1, lat_off=50, lat_scale=0.01, long_off=10, long_scale=0.01,
            line_off=32, line_scale=32, samp_off=32, samp_scale=32,
            line_num_coeff=[0, 0, -1, *rest], line_den_coeff=[1, 0, 0, *rest],
            samp_num_coeff=[0, 1, 0, *rest], samp_den_coeff=[1, 0, 0, *rest],
        )  # fmt: skip
    Scene.open(path)


def coordinate_arrays(path):
    for number, name in enumerate(("lon.tif", "lat.tif")):
        grid = np.mgrid[50:49.9:64j, 10:10.1:64j][1 - number]
        for dataset in write(name, 1, dtype="float64"):
            dataset.write(grid, 1)
    for dataset in write(path):
        dataset.update_tags(
            ns="GEOLOCATION", X_DATASET="lon.tif", X_BAND=1, Y_DATASET="lat.tif", Y_BAND=1,
            PIXEL_OFFSET=0, PIXEL_STEP=1, LINE_OFFSET=0, LINE_STEP=1,
        )  # fmt: skip
    Scene.open(path)


def complex_pixels(path):
    made(path, count=1, dtype="complex64", **PLACE)
    Scene.open(path)


def no_number(path):
    made(path, crs="EPSG:32633", transform=rasterio.Affine(1, 0, float("nan"), 0, -1, 0))
    Scene.open(path)


def many_bands(path):
    made(path, **PLACE)
    LabelRaster(path)


def wrong_overviews(path):
    made(path, side=512, **PLACE)
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4])
    for level in (0, 1):
        with rasterio.open(path, "r+", overview_level=level) as dataset:
            dataset.write(np.zeros((3, *dataset.shape), "uint8"))
    with Scene.open(path) as scene, warnings.catch_warnings():
        warnings.simplefilter("error")
        scene.sample(64)
        fit(scene)


def labels_on_a_plane(path):
    made("scene.tif", **PLACE)
    made(path, count=1, side=32, crs=PLANE, transform=PLACE["transform"])
    with Scene.open("scene.tif") as scene:
        open_labels(path, scene, load_legend("water, road"))


def polygons_on_a_plane(path):
    made("scene.tif", **PLACE)
    box = shapely.box(5e5, 4999900, 500100, 5e6)
    frame = geopandas.GeoDataFrame({"class": ["water"]}, geometry=[box], crs=PLANE)
    path = path.replace(".tif", ".gpkg")
    frame.to_file(path, layer="labels")
    with Scene.open("scene.tif") as scene:
        open_labels(path, scene, load_legend("water, road"))


def commands(raising, *arguments):
    with pytest.raises((RsclipError, Warning)) as caught:
        raising(*arguments)
    found = COMMAND.findall(str(caught.value))
    assert found, str(caught.value)
    for command in found:
        checked = subprocess.run(["bash", "-n", "-c", command], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr
    return found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "raising",
    [
        control_points,
        polynomials,
        coordinate_arrays,
        complex_pixels,
        no_number,
        many_bands,
        wrong_overviews,
        labels_on_a_plane,
        polygons_on_a_plane,
    ],
)
def test_a_command_of_gdal_runs_as_it_is_printed(tmp_path, monkeypatch, name, raising):
    monkeypatch.chdir(tmp_path)
    for command in commands(raising, name):
        words = shlex.split(command)
        stem = name.removesuffix(".tif")
        assert any(
            word.rpartition(":")[2] in (name, f"./{name}", f"{stem}.gpkg", f"./{stem}.gpkg")
            for word in words
        ), command
        if shutil.which(words[0]) is None:
            pytest.skip(f"{words[0]} is not installed")
        for place, corner in (("LEFT", 0), ("TOP", 9), ("RIGHT", 9), ("BOTTOM", 0)):
            command = command.replace(place, str(corner))
        done = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        assert done.returncode == 0, (command, done.stderr)
        assert "ERROR" not in done.stderr, (command, done.stderr)


def parsed(command):
    """Let click read a command of rsclip's; return its parameters."""
    group, context = cli, None
    words = shlex.split(command)[1:]
    while isinstance(group, click.Group) and words:
        context = click.Context(group, parent=context, **group.context_settings)
        found = group.get_command(context, words[0])
        assert found is not None, command
        group, words = found, words[1:]
    # Resilient, since a text may leave out what is not its matter; an unknown option is an error.
    return group.make_context("rsclip", words, parent=context, resilient_parsing=True).params


def test_a_failed_batch_names_its_manifest(tmp_path, rsclip):
    folder = tmp_path / "it's $HOME now"
    folder.mkdir()
    (folder / "broken.tif").write_text("no raster")
    done = rsclip(
        "batch", folder, "--classes", "water, road", "--model", "nano", "-o", folder / "out"
    )
    command = COMMAND.search(done.stderr)[1]
    assert parsed(command)["retry_failed"] == str(folder / "out" / "manifest.jsonl"), done.stderr


def test_an_empty_folder_names_the_run_that_fills_it(tmp_path):
    from rsclip.outputs.view import build_view

    folder = tmp_path / "it's $HOME now"
    folder.mkdir()
    [command] = commands(build_view, folder)
    assert str(folder) in parsed(command).values()


def test_absent_and_damaged_weights_name_the_fetch(tmp_path):
    def raise_absent():
        raise absent(parse_name("hf-hub:me/mine"))

    fetch, bundle = commands(raise_absent)
    assert parsed(fetch)["name"] == parsed(bundle)["name"] == "hf-hub:me/mine"
    path = tmp_path / "weights.pt"
    path.write_bytes(b"no weights")
    name = "it's $HOME now"
    [command] = commands(verified_sha256, path, name, "0" * 64)
    assert parsed(command)["name"] == name


def _texts(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                part.value if isinstance(part, ast.Constant) else "X" for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_every_command_of_rsclip_in_a_text_exists(repository):
    found = {
        " ".join(command.split())
        for folder in ("rsclip", "cli")
        for path in (repository / folder).rglob("*.py")
        for text in _texts(ast.parse(path.read_text(encoding="utf-8")))
        for command in re.findall(r"`(rsclip \w[^`]*)`", text)
    }
    assert len(found) > 10
    for command in found:
        parsed(command)
