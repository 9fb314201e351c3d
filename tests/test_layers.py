"""Imports point downward only; the command line and the configuration stay light."""

import ast
import graphlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

GROUND = {
    "errors",
    "types",
    "version",
    "config",
    "fields",
    "files",
    "keywords",
    "method_files",
    "own_process",
    "wording",
}
# The map of docs/design.md: what a package may import besides the ground, its own modules aside.
MAY_IMPORT = {
    "geo": set(),
    "qgis": set(),
    "words": set(),
    "scene": {"geo"},
    "labelling": {"words"},
    "model": {"words"},
    "adapters": {"words"},
    "methods": {"adapters", "model", "words"},
    "vectors": {"scene", "geo", "words"},
    "outputs": {"vectors", "scene", "geo", "words"},
    "run": {
        "outputs",
        "vectors",
        "labelling",
        "methods",
        "adapters",
        "model",
        "scene",
        "geo",
        "words",
    },
    "nano": {"batch", "study", "run", "outputs", "model", "scene", "words"},
    "study": {
        "run",
        "outputs",
        "vectors",
        "labelling",
        "methods",
        "adapters",
        "model",
        "scene",
        "geo",
        "words",
    },
    "batch": {"run", "outputs", "scene", "model", "methods", "adapters", "words"},
}
# Ground files that use one another, and the public names, which reach everywhere.
MAY_IMPORT |= {
    "wording": set(),
    "errors": {"wording"},
    "fields": set(),
    "own_process": set(),
    "types": set(),
    "version": set(),
}
MAY_IMPORT |= {
    "keywords": {"config", "types"},
    "files": {"errors"},
    "method_files": {"errors"},
    "config": {"errors", "types", "fields", "files"},
}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "rsclip").rglob("*.py"))
    # The public names and `python -m rsclip` reach everywhere.
    if path not in (ROOT / "rsclip/__init__.py", ROOT / "rsclip/__main__.py")
}


def imported(name):
    """Yield (line, module) of every import of a module of the project, lazy ones included."""
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            wanted = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            wanted = [alias.name for alias in node.names]
        else:
            continue
        for full in wanted:
            if full.partition(".")[0] in ("rsclip", "rsclip_cli", "cli"):
                yield node.lineno, full if full in MODULES else full.rpartition(".")[0]


@pytest.mark.parametrize("name", MODULES)
def test_a_package_imports_only_what_the_map_allows(name):
    own = name.split(".")[1]
    allowed = MAY_IMPORT[own] | (set() if own in GROUND else GROUND) | {own}
    for line, module in imported(name):
        head, _, rest = module.partition(".")
        where = f"{MODULES[name].relative_to(ROOT)}:{line}"
        assert head == "rsclip", f"{where}: the library imports the command line"
        other = rest.partition(".")[0]
        assert other in allowed, f"{where}: {own} imports {module}"


def test_the_plugin_needs_nothing_but_qgis():
    """It runs in QGIS's Python, where neither rsclip nor its dependencies are."""
    for path in (ROOT / "rsclip/qgis/plugin").glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module]
            for name in names:
                head = name.partition(".")[0]
                assert head in {*sys.stdlib_module_names, "qgis", "processing"}, f"{path}: {name}"
                assert not name.startswith("PyQt")


def circles(edges):
    """Return the groups of nodes that reach one another."""
    try:
        graphlib.TopologicalSorter(edges).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def test_no_module_and_no_folder_is_in_a_circle():
    edges = {
        name: {module for _, module in imported(name) if module in MODULES and module != name}
        for name in MODULES
    }
    # A package's __init__ gathers names of its own modules: they do not wait for it.
    gather = {name for name in MODULES if MODULES[name].name == "__init__.py"}
    assert circles({name: modules - gather for name, modules in edges.items()}) == []
    folders = {}
    for name in MODULES.keys() - gather:
        own = name.rpartition(".")[0]
        theirs = {module.rpartition(".")[0] for module in edges[name] - gather}
        folders.setdefault(own, set()).update(theirs - {own})
    assert circles(folders) == []


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


def test_every_package_but_nano_reaches_the_wheel():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = {name for name in project["tool"]["setuptools"]["packages"] if "_" not in name}
    there = {
        ".".join(path.parent.relative_to(ROOT).parts) for path in ROOT.glob("rsclip/**/__init__.py")
    }
    assert listed == {name for name in there if not name.startswith("rsclip.nano")}


def test_one_place_opens_rasters():
    """So that none warns of a missing georeference; training (nano) has files of its own."""
    folder = ROOT / "rsclip"
    opening = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.py")
        if "rasterio.open(" in path.read_text(encoding="utf-8")
        and not path.is_relative_to(folder / "nano")
    }
    assert opening == {"scene/gdal.py"}
