"""What needs no weights answers without torch: importing it takes longer than the answer."""

import json
import subprocess
import sys

import numpy as np
import pytest
import rasterio

import rsclip
from rsclip.model.open_clip_catalog import architecture_keys, open_clip_catalog, tokenizer_facts
from rsclip.model.open_clip_import import import_open_clip

HEAVY = {"torch", "torchvision", "open_clip", "timm"}
VECTORS = {"geopandas", "pandas", "pyarrow", "pyogrio"}
# What torchvision, timm and open_clip import besides, for all that a plain CLIP never asks of them.
COMPILER = {"torch._dynamo", "torch._inductor", "torch.onnx", "sympy"}
UNUSED = {
    "torchvision.datasets", "torchvision.io", "torchvision.transforms", "torchvision.ops.boxes",
    "timm.models", "open_clip.factory", "huggingface_hub.hf_api",
}  # fmt: skip
RUN = """
import atexit, json, sys
from rsclip_cli.main import main
atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))
main()
"""


def modules_of(*arguments, cwd):
    """Run a command; return the top-level modules that it has loaded by its end."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments], capture_output=True, text=True, cwd=cwd
    )
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in json.loads(done.stderr.splitlines()[-1])}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, tiny_model):
    """Return a folder with a scene and a run of it."""
    folder = tmp_path_factory.mktemp("run")
    profile = {"width": 64, "height": 64, "count": 3, "dtype": "uint8", "crs": "EPSG:32633"}
    place = rasterio.Affine(0.5, 0, 5e5, 0, -0.5, 5e6)
    with rasterio.open(folder / "scene.tif", "w", transform=place, **profile) as scene:
        scene.write(np.random.default_rng(1).integers(1, 255, (3, 64, 64), np.uint8))
    rsclip.segment(folder / "scene.tif", "water, road", folder, model=tiny_model)
    return folder


@pytest.mark.parametrize(
    "command",
    [
        "info scene.tif",
        "models list",
        "models info nano",
        "methods",
        "classes set:landcover",
        "view . -o page.html",
    ],
)
def test_neither_torch_nor_vector_libraries_are_loaded(folder, command):
    assert modules_of(*command.split(), cwd=folder) & (HEAVY | VECTORS) == set()


@pytest.mark.parametrize("kind", ["gpkg", "geojson", "parquet"])
def test_polygonize_loads_neither_torch_nor_data_frames(folder, kind):
    loaded = modules_of("polygonize", "scene_mask.tif", "-o", f"p.{kind}", cwd=folder)
    assert loaded & (HEAVY | {"geopandas", "pandas"}) == set()
    assert "pyarrow" in loaded


FRAMES = """
import sys
from rsclip.own_process import claim
claim()
{change}
from rsclip.vectors.pyogrio_import import pyogrio
print("pandas" in sys.modules)
import geopandas, pandas
assert geopandas.GeoDataFrame and pandas.DataFrame
geopandas.GeoDataFrame({{"a": [1]}}, geometry=geopandas.points_from_xy([0], [1])).to_file("p.gpkg")
assert pyogrio.read_dataframe("p.gpkg").a.tolist() == [1]
"""


@pytest.mark.parametrize(
    ("change", "whole"),
    [
        ("", False),
        ("import importlib.metadata as m; m.version = lambda name: m.metadata('nothing')", True),
        ("import pandas", True),
    ],
)
def test_data_frames_are_there_when_they_are_asked_for(tmp_path, change, whole):
    done = subprocess.run(
        [sys.executable, "-c", FRAMES.format(change=change)],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, f"{whole}\n"), done.stderr


CATALOG = """
import json, sys
from rsclip.model.open_clip_catalog import *
found = open_clip_catalog()
print(json.dumps([
    {name: found.get_model_config(name) for name in found.list_models()},
    {"/".join(pair): found.get_pretrained_cfg(*pair) for pair in found.list_pretrained()},
    {name: found.list_pretrained_tags_by_model(name) for name in found.list_models()},
    found.OPENAI_DATASET_MEAN, found.OPENAI_DATASET_STD,
    {key: sorted(names) for key, names in architecture_keys().items()},
    tokenizer_facts(),
    "torch" in sys.modules,
]))
"""


def test_the_catalog_says_what_open_clip_says():
    done = subprocess.run([sys.executable, "-c", CATALOG], capture_output=True, check=True)
    *read, loaded = json.loads(done.stdout)
    own = import_open_clip()
    assert own.list_models()
    assert open_clip_catalog() is own
    assert not loaded
    assert read == json.loads(
        json.dumps(
            [
                {name: own.get_model_config(name) for name in own.list_models()},
                {"/".join(pair): own.get_pretrained_cfg(*pair) for pair in own.list_pretrained()},
                {name: own.list_pretrained_tags_by_model(name) for name in own.list_models()},
                own.OPENAI_DATASET_MEAN,
                own.OPENAI_DATASET_STD,
                {key: sorted(names) for key, names in architecture_keys().items()},
                tokenizer_facts(),
            ]
        )
    )


ELSEWHERE = """
import pathlib, sys
from rsclip.model import open_clip_catalog as catalog
folder = pathlib.Path(sys.argv[1])
catalog._folder = lambda: folder
for text in ("", "import torch", "this is no Python", "x = 1 / 0"):
    for name in ("pretrained.py", "model.py"):
        (folder / name).write_text(text)
    for read in (catalog._read, catalog._keys_read):
        read.cache_clear()
        assert read() is None, (read, text)
print("open_clip" in sys.modules, "pool_type" in catalog.architecture_keys()["vision_cfg"])
print(catalog.open_clip_catalog().__name__, catalog.tokenizer_facts()["kind"])
"""


def test_a_release_that_keeps_its_facts_otherwise_is_imported(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE, tmp_path], capture_output=True, text=True
    )
    assert done.stdout == "False True\nopen_clip CLIP byte pair encoding\n", done.stderr


FIRST_WINDOW = """
import json, os, sys
from rsclip.methods.segmenter import Segmenter
from rsclip_cli.main import main

def stop(*_):
    print(json.dumps(sorted(sys.modules)), flush=True)
    os._exit(0)

Segmenter.similarities = stop
main()
"""


def test_segment_encodes_before_it_loads_what_it_may_never_need(folder, tiny_model):
    done = subprocess.run(
        [sys.executable, "-c", FIRST_WINDOW, "segment", "scene.tif", "--classes", "water, road",
         "--model", tiny_model, "-o", "stopped"],
        capture_output=True, text=True, cwd=folder,
    )  # fmt: skip
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert {"torch", "open_clip"} <= loaded
    assert loaded & (COMPILER | UNUSED | VECTORS) == set()


THE_REST = """
import sys
from rsclip.model import open_clip_import
from rsclip.own_process import claim
claim()
{change}
open_clip = open_clip_import.import_open_clip()
print("torch._dynamo" in sys.modules)
import timm, torch, torchvision
from torchvision import transforms
boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0]])
assert torchvision.ops.box_iou(boxes, boxes).item() == 1
assert torchvision.models.resnet18().fc.out_features == 1000
assert torchvision.ops.misc.FrozenBatchNorm2d is torchvision.ops.FrozenBatchNorm2d
assert not hasattr(torchvision, "nothing") and not hasattr(timm, "__nothing__")
assert timm.create_model("test_vit").num_classes == 1000
assert timm.__version__ and torchvision.__version__ and transforms.Compose
assert open_clip.create_model("ViT-S-32").visual.output_dim == 384
"""


@pytest.mark.parametrize(
    ("change", "whole"),
    [
        ("", False),
        # A release that needs a package's own names to be imported, and does not get them.
        (
            "open_clip_import._NEEDED += ('open_clip.transform',)\n"
            "open_clip_import._DEFERRED += ('torchvision.transforms',)\n"
            "open_clip_import._Deferred._run_init = lambda package: 1 / 0",
            True,
        ),
    ],
)
def test_what_was_not_loaded_is_there_when_it_is_asked_for(change, whole):
    done = subprocess.run(
        [sys.executable, "-c", THE_REST.format(change=change)], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, f"{whole}\n"), done.stderr


OTHER_PROGRAM = """
import sys, types
from rsclip.model.open_clip_import import import_open_clip
from rsclip.vectors.pyogrio_import import pyogrio
import_open_clip()
names = ("open_clip", "timm", "torchvision", "torchvision.ops", "torchvision.models")
assert all(type(sys.modules[name]) is types.ModuleType for name in names)
import torch, torchvision
assert callable(torchvision.ops.roi_align) and torch.ops.torchvision.nms
assert "pandas" in sys.modules
"""


def test_another_program_finds_libraries_whole():
    done = subprocess.run(
        [sys.executable, "-c", OTHER_PROGRAM], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
