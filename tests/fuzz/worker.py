"""Mutate inputs, one after the other, in a process that may crash or hang without hurting a test.

    python tests/fuzz/worker.py KIND SEED FIRST COUNT FOLDER

Prints one line of JSON a case that got through (anything but a result or an RsclipError, or a file
left behind by a failure), and in the end how many were refused and how many gave a result. Cases
depend on the kind, the seed and their number only: one can be run again alone.
"""

# ruff: noqa: E402 - the environment is set before anything of rsclip is imported.

import contextlib
import faulthandler
import json
import os
import random
import shutil
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["RSCLIP_CACHE"] = "off"
os.environ["HF_HUB_OFFLINE"] = "1"
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import geopandas
import numpy as np
import rasterio
import shapely

from rsclip.errors import RsclipError

SECONDS = 60
# A damaged header may claim any size; only the beginning of larger rasters is looked at.
PIXELS = 1 << 20
TOKENS = (
    b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\xe9", b"\xed\xa0\x80", b"\r", b"\t", b"\n", b"\n- ",
    b": ", b"[", b"]", b"{", b"}", b"null", b"~", b"true", b"-1", b"0", b"1e999", b".nan", b".inf",
    b"99999999999999999999", b"&a ", b"*a", b"!!python/name:os.system ", b"!!binary x", b"<<: ",
    b"'", b'"', b"#", b"|", b">", b"? ", b"%", b",", b";", b"2020-01-01", b"0x1f", b"1_0", b"1:30",
    b"classes:", b"name:", b"words:", b"\xe2\x80\xae", b"[[[[[[[[", b"---\n", b"...\n",
)  # fmt: skip
NUMBERS = (0, 1, 2, 3, 4, 7, 8, 12, 16, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF, 0x10000,
           0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)  # fmt: skip


def mutate_bytes(data: bytes, rng: random.Random, limit: int) -> bytes:
    """Return data of which some bytes before a limit are others, or which ends early."""
    found = bytearray(data)
    limit = min(limit, len(found))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        at = rng.randrange(limit)
        how = rng.randrange(8)
        if how < 3:
            found[at] ^= 1 << rng.randrange(8)
        elif how < 5:
            found[at] = rng.randrange(256)
        elif how == 5:
            size = rng.choice((2, 4))
            value = rng.choice(NUMBERS) & ((1 << 8 * size) - 1)
            found[at : at + size] = value.to_bytes(size, "little")
        elif how == 6:
            size, source = rng.randrange(1, 24), rng.randrange(limit)
            found[at : at + size] = found[source : source + size]
        elif rng.random() < 0.3:
            del found[rng.randrange(len(found)) :]
            break
        limit = max(min(limit, len(found)), 1)
        found = found or bytearray(b"\0")
    return bytes(found)


def mutate_text(data: bytes, rng: random.Random) -> bytes:
    """Return text that has lost, doubled or gained parts."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        at = rng.randrange(len(data) + 1)
        end = min(at + rng.choice((1, 1, 3, 8, 40)), len(data))
        how = rng.randrange(6)
        if how == 0:
            data = data[:at] + data[end:]
        elif how == 1:
            data = data[:end] + data[at:end] * rng.choice((1, 1, 30)) + data[end:]
        elif how == 2:
            data = data[:at]
        elif how == 3:
            data = data[:at] + bytes([rng.randrange(256)]) + data[end:]
        else:
            data = data[:at] + rng.choice(TOKENS) + data[end if how == 4 else at :]
    return data


def seed_rasters(folder: Path) -> dict[str, Path]:
    """Write the rasters that are mutated: name -> path."""
    rng = np.random.default_rng(5)
    place = rasterio.Affine(0.5, 0, 5e5, 0, -0.5, 5e6)
    base = {"driver": "GTiff", "height": 40, "width": 48, "crs": "EPSG:32633", "transform": place}
    kinds = {
        "rgb": {"count": 3, "dtype": "uint8"},
        "nodata": {"count": 4, "dtype": "uint16", "nodata": 0, "tiled": True, "blockxsize": 16,
                   "blockysize": 16, "compress": "deflate", "predictor": 2},
        "float": {"count": 1, "dtype": "float32", "nodata": float("nan"), "compress": "lzw"},
        "jpeg": {"count": 3, "dtype": "uint8", "compress": "jpeg", "photometric": "ycbcr",
                 "tiled": True, "blockxsize": 16, "blockysize": 16},
        "palette": {"count": 1, "dtype": "uint8"},
        "mask": {"count": 1, "dtype": "uint8", "nodata": 255, "compress": "deflate"},
    }  # fmt: skip
    paths = {}
    for name, own in kinds.items():
        path = paths[name] = folder / f"{name}.tif"
        shape = (own["count"], 40, 48)
        pixels = rng.integers(0, 200, shape)
        if name in ("mask", "palette"):
            pixels = np.kron(rng.integers(0, 4, (1, 5, 6)), np.ones((1, 8, 8), int))
        with rasterio.open(path, "w", **base, **own) as dataset:
            if name in ("mask", "palette"):
                dataset.write_colormap(1, {i: (i * 60, 20, 90, 255) for i in range(4)})
                dataset.update_tags(
                    RSCLIP_CLASSES='[{"value": 1, "name": "road"}, {"value": 2, "name": "water"}]'
                )
            dataset.write(pixels.astype(own["dtype"]))
            if name == "rgb":
                dataset.set_band_description(1, "Red")
                dataset.colorinterp = [
                    rasterio.enums.ColorInterp[c] for c in ("red", "green", "blue")
                ]
    return paths


Case = tuple[str, bytes]
Plan = tuple[Callable[[random.Random], Case], Callable[[Path, Path], object]]


def plan_scenes(folder: Path) -> Plan:
    """Headers of GeoTIFFs, segmented."""
    from rsclip.batch.one_scene import segment
    from rsclip.scene.scene import Scene
    from rsclip.types import Window

    seeds = [p.read_bytes() for n, p in seed_rasters(folder).items() if n != "mask"]
    backbone = tiny_backbone()

    def act(path: Path, out: Path) -> None:
        with Scene.open(path) as scene:
            size = scene.shape[0] * scene.shape[1]
            if size > PIXELS:
                scene.read(Window(0, 0, 32, 32))
                return
        segment(path, "road, water, tree", out, backbone=backbone, window=32)

    return lambda rng: (".tif", mutate_bytes(rng.choice(seeds), rng, 700)), act


def plan_masks(folder: Path) -> Plan:
    """Headers of masks, made polygons."""
    from rsclip.outputs.polygonize import write_polygons
    from rsclip.vectors.label_raster import LabelRaster

    rasters = seed_rasters(folder)
    seeds = [rasters[name].read_bytes() for name in ("mask", "palette", "float")]

    def act(path: Path, out: Path) -> None:
        with LabelRaster(path) as raster:
            size = raster.shape[0] * raster.shape[1]
            raster.names()
        if size <= PIXELS:
            out.mkdir()
            write_polygons(path, out / "polygons.gpkg")

    return lambda rng: (".tif", mutate_bytes(rng.choice(seeds), rng, 900)), act


def plan_labels(folder: Path) -> Plan:
    """Rasters and vector files of labels, read on a scene's grid."""
    from rsclip.scene.scene import Scene
    from rsclip.study.truth import open_labels
    from rsclip.types import Window
    from rsclip.words.legend import load_legend

    rasters = seed_rasters(folder)
    boxes = [shapely.box(5e5 + 6 * i, 5e6 - 20, 5e5 + 6 * i + 5, 5e6) for i in range(4)]
    frame = geopandas.GeoDataFrame(
        {"class": ["road", "water", None, "tree"]}, geometry=boxes, crs="EPSG:32633"
    )
    seeds = [(".tif", rasters[name].read_bytes(), 900) for name in ("mask", "palette")]
    for suffix in (".gpkg", ".geojson", ".fgb"):
        path = folder / f"truth{suffix}"
        frame.to_file(path)
        data = path.read_bytes()
        seeds.append((suffix, data, len(data)))
    legend = load_legend("road, water, tree")
    scene = Scene.open(rasters["rgb"])

    def make(rng: random.Random) -> Case:
        suffix, data, limit = rng.choice(seeds)
        if suffix == ".geojson":
            return suffix, mutate_text(data, rng)
        return suffix, mutate_bytes(data, rng, limit)

    def act(path: Path, out: Path) -> None:
        with open_labels(path, scene, legend) as labels:
            labels.read(Window(3, 5, 20, 20))

    return make, act


def plan_classes(folder: Path) -> Plan:
    """Class files of every format."""
    from rsclip.words.legend import load_legend

    seeds = [
        (".yaml", (ROOT / "configs/classes/flood.yaml").read_bytes()[:900]),
        (".yaml", b"classes:\n  - name: road\n    words: [road, street]\n    color: '#ff0000'\n"
                  b"    threshold: 0.4\n  - water\n  - {name: sky, background: true}\n"),
        (".json", b'{"road": ["road", "street"], "water": {"words": ["sea"], "code": 7}}'),
        (".json", b'["road|street", "water"]'),
        (".csv", b"name,words,color,code\nroad,road|street,#ff0000,3\nwater,,,4\n"),
        (".txt", b"# mine\nroad|street\nwater\n\nbare ground\n"),
    ]  # fmt: skip

    def make(rng: random.Random) -> Case:
        suffix, data = rng.choice(seeds)
        return suffix, mutate_text(data, rng)

    return make, lambda path, out: load_legend(path)


def plan_configs(folder: Path) -> Plan:
    """Files of settings."""
    from rsclip.config import build_config, read_config_file

    seed = (b"model: nano\nmethod: clearclip\nwindow: 224\nstride: 112\nthreshold: 0.3\n"
            b"bidx: [1, 2, 3]\nmethod_option: {bias_lambda: 0.1}\northogonal: [building]\n"
            b"vector_format: gpkg\nnodata: 0\ngsd: 0.5\nstac: false\n")  # fmt: skip

    def act(path: Path, out: Path) -> None:
        build_config(read_config_file(path))

    return lambda rng: (".yaml", mutate_text(seed, rng)), act


def plan_bundles(folder: Path) -> Plan:
    """Headers of bundled models."""
    from rsclip.model import load_backbone
    from rsclip.model.weights.catalog import bundle_model

    path = folder / "tiny.safetensors"
    bundle_model(os.environ["RSCLIP_FUZZ_MODEL"], path)
    data = path.read_bytes()
    header = 8 + int.from_bytes(data[:8], "little")

    def make(rng: random.Random) -> Case:
        if rng.random() < 0.5:
            # The length stays true, so that what is inside is looked at.
            text = mutate_text(data[8:header], rng)
            return ".safetensors", len(text).to_bytes(8, "little") + text + data[header:]
        return ".safetensors", mutate_bytes(data, rng, header)

    return make, lambda path, out: load_backbone("auto", path)


def tiny_backbone() -> object:
    """Return a small model of random weights."""
    from rsclip.model import load_backbone

    return load_backbone(os.environ["RSCLIP_FUZZ_MODEL"])


PLANS = {
    "scenes": plan_scenes,
    "masks": plan_masks,
    "labels": plan_labels,
    "classes": plan_classes,
    "configs": plan_configs,
    "bundles": plan_bundles,
}


def main(kind: str, seed: int, first: int, count: int, folder: Path) -> None:
    """Run cases and print what gets through."""
    warnings.simplefilter("ignore")
    (folder / "seeds").mkdir(parents=True, exist_ok=True)
    make, act = PLANS[kind](folder / "seeds")
    refused = 0
    for number in range(first, first + count):
        rng = random.Random(f"{kind} {seed} {number}")
        suffix, data = make(rng)
        place = folder / "case"
        place.mkdir()
        path, out = place / f"input{suffix}", place / "out"
        path.write_bytes(data)
        (folder / "now").write_text(str(number))
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        wrong = None
        try:
            act(path, out)
        except RsclipError as error:
            refused += 1
            if not str(error).strip():
                wrong = "a message without a word"
            left = [p.name for p in place.iterdir() if p not in (path, out)]
            left += [p.name for p in out.rglob("*")] if out.exists() else []
            if left:
                wrong = f"left behind: {left} after {error}"
        except BaseException as error:
            trace = traceback.extract_tb(error.__traceback__)
            lines = [
                f"{frame.filename.rpartition('/rsclip/')[2]}:{frame.lineno}"
                for frame in trace
                if "/rsclip/" in frame.filename
            ]
            wrong = f"{type(error).__name__}: {str(error)[:200]} at {' < '.join(lines[::-1][:4])}"
        faulthandler.cancel_dump_traceback_later()
        if wrong is not None:
            print(json.dumps({"case": number, "wrong": wrong}), flush=True)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(place)
    print(json.dumps({"refused": refused, "of": count}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]), Path(sys.argv[5]))
