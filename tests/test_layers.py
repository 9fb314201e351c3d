"""Imports point downward only; the command line and the configuration stay light."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# A module may import what stands in a lower layer, or what stands beside it in its own package.
LAYERS = [
    {
        "errors",
        "types",
        "version",
        "resources",
        "concurrency",
        "view_page",
        "strict_yaml",
        "cache",
        "sizes",
    },
    {
        "config",
        "tiling",
        "palette",
        "legend",
        "legend_files",
        "class_sets",
        "prompts",
        "vocabulary",
        "word_checks",
        "metrics",
    },
    {
        "scene",
        "sources",
        "bands",
        "validity",
        "geometry",
        "warping",
        "earth",
        "sphere",
        "edge",
        "ground",
        "compass",
        "radiometry",
        "aoi",
        "handles",
        "damage",
        "decimation",
        "working",
        "refinement",
    },
    {"vectors", "label_classes"},
    {"backbone", "stitcher", "labelling", "writers", "inputs", "checkpoint"},
    {"methods", "synthetic"},
    {"segmenter", "polygons", "labels"},
    {"dense", "pipeline", "sink", "outputs"},
    {"provenance", "fingerprint", "model", "memory"},
    {"job"},
    {"api", "info", "view", "plan", "prompt_report"},
    {"training", "batch", "diagnose", "comparison"},
]
# Modules of one layer that may use one another: they are one stage in several files.
FAMILIES = [
    {"legend", "legend_files", "class_sets", "palette"},
    {
        "scene",
        "sources",
        "bands",
        "validity",
        "geometry",
        "warping",
        "earth",
        "sphere",
        "edge",
        "ground",
        "compass",
        "radiometry",
        "aoi",
        "handles",
        "damage",
        "decimation",
        "working",
    },
    {"legend", "prompts", "word_checks"},
    {"pipeline", "sink"},
    {"writers", "checkpoint"},
    {"errors", "types", "resources", "strict_yaml", "sizes"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}


def modules():
    for path in sorted((ROOT / "rsclip").rglob("*.py")):
        parts = path.relative_to(ROOT / "rsclip").with_suffix("").parts
        if parts != ("__init__",):
            yield path, parts[0]


def imported(path):
    """Yield the first name below rsclip of every import, lazy ones included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
            if node.module == "rsclip":
                names = [f"rsclip.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            head, _, rest = name.partition(".")
            if head in ("rsclip", "rsclip_cli", "cli"):
                yield node.lineno, head, rest.partition(".")[0]


@pytest.mark.parametrize(("path", "own"), modules(), ids=lambda value: str(value)[-40:])
def test_imports_point_downward(path, own):
    assert own in LEVEL, f"{own} has no layer yet: give it one in {Path(__file__).name}"
    for line, head, name in imported(path):
        where = f"{path.relative_to(ROOT)}:{line}"
        assert head == "rsclip", f"{where}: the library imports the command line"
        if name in ("", own) or name.startswith("__"):
            continue
        family = any(own in members and name in members for members in FAMILIES)
        assert family or LEVEL[name] < LEVEL[own], f"{where}: {own} imports {name}, not below it"


@pytest.mark.parametrize(
    "module", ["rsclip", "rsclip_cli.main", "rsclip_cli.segment", "rsclip_cli.batch"]
)
def test_light_modules_load_no_heavy_library(module):
    heavy = ["torch", "open_clip", "rasterio", "pyproj", "pyarrow", "geopandas"]
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


def test_no_file_needs_a_table_of_contents():
    sizes = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for folder in ("rsclip", "cli")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert {name: size for name, size in sizes.items() if size > 450} == {}


def test_every_package_reaches_the_wheel():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = set(project["tool"]["setuptools"]["packages"])
    there = {
        ".".join(path.parent.relative_to(ROOT).parts) for path in ROOT.glob("rsclip/**/__init__.py")
    }
    assert there <= listed
