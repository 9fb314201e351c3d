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


def test_polygonize_loads_no_torch(folder):
    assert modules_of("polygonize", "scene_mask.tif", "-o", "p.gpkg", cwd=folder) & HEAVY == set()


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
    import_open_clip()
    own = open_clip_catalog()
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
