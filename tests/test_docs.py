"""The documentation tells the truth: options, commands and links."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pyogrio
import pytest
import rasterio

from rsclip.model.weights.catalog import list_models
from rsclip.model.weights.find import model_outline
from rsclip.vectors.label_raster import LabelRaster

# Of each page, in its blocks of shell commands.
COMMANDS = {
    "README": 5,
    "performance": 1,
    "accuracy": 10,
    "adapt": 14,
    "batch": 7,
    "classes": 6,
    "diagnose": 1,
    "first_map": 3,
    "gallery": 5,
    "methods": 5,
    "models": 10,
    "qgis": 1,
}


def test_the_reference_is_the_help(repository):
    spec = importlib.util.spec_from_file_location("reference", repository / "docs/reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    written = (repository / "docs/reference.md").read_text(encoding="utf-8")
    assert written == module.reference(), "run `make docs`"


def test_links_lead_somewhere(repository):
    for page in [repository / "README.md", *(repository / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
            if not target.startswith("http"):
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_command_of_every_page_is_one(repository):
    """Many of them run, below; others need data or a model."""
    from rsclip_cli.main import cli

    counts = {}
    for page in [repository / "README.md", *(repository / "docs").glob("*.md")]:
        for block in re.findall(r"^```sh\n(.*?)^```", page.read_text("utf-8"), re.M | re.S):
            for line in block.replace("\\\n", " ").splitlines():
                words = shlex.split(line, comments=True)
                if words[:1] == ["rsclip"]:
                    _parse(cli, words)
                    counts[page.stem] = counts.get(page.stem, 0) + 1
    assert counts == COMMANDS


def _parse(command, words):
    """Read a command line as click does, without doing what it says."""
    context = None
    while isinstance(command, click.Group):
        words = words[1:]
        # With the group's settings: a command keeps the help option that it is first asked for.
        context = click.Context(command, parent=context, **command.context_settings)
        command = command.get_command(context, words[0])
        assert command is not None, words
    command.make_context(words[0], words[1:], parent=context)


def test_first_commands_run(rsclip, repository, tmp_path, monkeypatch):
    """The `rsclip segment`, `info` and `prompts` lines work one after another, on both pages."""
    pages = [repository / "README.md", repository / "docs/first_map.md"]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    commands = re.findall(r"^rsclip (?:segment|info|prompts) .*$", text, flags=re.MULTILINE)
    assert len(commands) >= 7
    (tmp_path / "sample_tiles").symlink_to(repository / "sample_tiles")
    monkeypatch.chdir(tmp_path)
    for command in commands:
        words = shlex.split(command, comments=True)
        done = rsclip(*words[1:])
        assert done.exit_code == 0, f"{command}\n{done.output}"
        if " segment " in command:
            assert _mean_iou(words[2], words[words.index("-o") + 1]) > 0.4, command


def _mean_iou(scene, folder="out"):
    """Score a mask against a tile's truth, over the classes that both name."""
    paths = f"{folder}/{Path(scene).stem}_mask.tif", scene.replace(".tif", "_labels.tif")
    values = []
    for path in paths:
        with LabelRaster(Path(path)) as raster:
            values.append({name: value for value, name in raster.names().items() if value})
    mask, truth = (rasterio.open(path).read(1) for path in paths)
    scores = []
    for name in values[0].keys() & values[1].keys():
        found, right = mask == values[0][name], truth == values[1][name]
        if right.any():
            scores.append((found & right).sum() / (found | right).sum())
    return sum(scores) / len(scores)


def test_nano_is_what_the_page_of_models_says(repository):
    page = " ".join((repository / "docs/models.md").read_text(encoding="utf-8").split())
    size = next(model.megabytes for model in list_models(here=True) if model.name == "nano")
    assert f"[figures](nano.md#figures)) | {size} MB |" in page
    scale = model_outline("nano").defaults.logit_scale
    assert f"nano states {scale:g} " in page


def test_commands_about_words_run(rsclip, repository, tmp_path, monkeypatch):
    page = (repository / "docs/classes.md").read_text(encoding="utf-8")
    commands = re.findall(r"^rsclip (?:segment|classes|prompts) .*$", page, flags=re.MULTILINE)
    assert len(commands) >= 4
    (tmp_path / "sample_tiles").symlink_to(repository / "sample_tiles")
    monkeypatch.chdir(tmp_path)
    for command in commands:
        overwrite = ["--overwrite"] if " segment " in command else []
        done = rsclip(*shlex.split(command, comments=True)[1:], *overwrite)
        assert done.exit_code == 0, f"{command}\n{done.output}"
        if overwrite:
            assert _mean_iou(shlex.split(command)[2]) > 0.4, command


def test_the_loop_of_labels_gains(rsclip, repository, tmp_path, monkeypatch):
    """Suggest, label, adapt, segment, evaluate: as docs/adapt.md has them."""
    page = (repository / "docs/adapt.md").read_text(encoding="utf-8")
    block = page.split("## The loop in five commands")[1].split("```")[1]
    for name in ("sample_tiles", "docs"):
        (tmp_path / name).symlink_to(repository / name)
    monkeypatch.chdir(tmp_path)
    scene = block.split()[3]
    plain = ("segment", scene, "--classes", "sample_tiles/classes.yaml", "-o", "out", "--overwrite")
    assert rsclip(*plain).exit_code == 0
    before = _mean_iou(scene)
    _run_loop(rsclip, block)
    assert _mean_iou(scene) > before + 0.05


def test_the_loop_of_labels_gains_on_a_real_scene(rsclip, repository, tmp_path, monkeypatch):
    chips = Path(os.environ.get("RSCLIP_REAL_IMAGERY", "absent")) / "chesapeake_naip"
    if not chips.is_dir():
        pytest.skip("RSCLIP_REAL_IMAGERY names no folder with NAIP chips")
    page = (repository / "docs/adapt.md").read_text(encoding="utf-8")
    block = page.split("### On a real scene")[1].split("```")[1]
    (name,) = re.findall(r"`(wv_\S+)`", page)
    for folder, copy in (("images", "naip.png"), ("labels", "naip_labels.png")):
        (tmp_path / copy).symlink_to(chips / folder / "train" / name)
    (tmp_path / "docs").symlink_to(repository / "docs")
    monkeypatch.chdir(tmp_path)
    after = _run_loop(rsclip, block)
    before = rsclip("evaluate", "out/naip_mask.tif", "--labels", "naip_labels.png")
    one, two = (re.findall(r"mean IoU +([\d.]+)", done.output)[0] for done in (before, after))
    assert float(two) > float(one) + 8


def _run_loop(rsclip, block):
    """Run the five commands of a block; return how the last ended."""
    commands = [shlex.split(line) for line in block.splitlines()[1:] if line]
    assert len(commands) == 5
    for command in commands:
        if command[0] == "python":
            subprocess.run([sys.executable, *command[1:]], check=True, capture_output=True)
            continue
        overwrite = ["--overwrite"] if command[1] == "segment" else []
        done = rsclip(*command[1:], *overwrite)
        assert done.exit_code == 0, f"{command}\n{done.output}"
    return done


def test_commands_about_accuracy_run(rsclip, repository, tmp_path, monkeypatch):
    """From a mask to areas with intervals, as the page leads a newcomer."""
    page = (repository / "docs/accuracy.md").read_text(encoding="utf-8").replace("\\\n", " ")
    commands = re.findall(r"rsclip (?:segment|evaluate|sample) [^`\n]*(?:tiles|out)/[^`\n]*", page)
    commands = [command for command in commands if "town_river" in command]
    assert len(commands) == 6
    (tmp_path / "sample_tiles").symlink_to(repository / "sample_tiles")
    monkeypatch.chdir(tmp_path)
    for command in commands:
        if "--points" in command:
            _label_sample("out/sample.gpkg", "sample_tiles/town_river_labels.tif")
        done = rsclip(*shlex.split(command, comments=True)[1:])
        assert done.exit_code == 0, f"{command}\n{done.output}"
    assert "hectares" in done.output


def _label_sample(path, labels):
    """Give each point the class that it has in a tile's truth, as a person would in QGIS."""
    names = ("sample", "design", "strata")
    layers = {name: pyogrio.read_dataframe(path, layer=name) for name in names}
    points = layers["sample"]
    with rasterio.open(labels) as dataset, LabelRaster(Path(labels)) as raster:
        places = zip(points.geometry.x, points.geometry.y, strict=True)
        points["label"] = [raster.names()[int(value[0])] for value in dataset.sample(places)]
    Path(path).unlink()
    for name, frame in layers.items():
        pyogrio.write_dataframe(frame, path, layer=name, append=Path(path).exists())


def test_models_that_the_page_names_exist(repository):
    from rsclip.model.weights.catalog import describe_model

    page = (repository / "docs/models.md").read_text(encoding="utf-8")
    names = set(re.findall(r"ViT-[\w-]+/[a-z]\w+|\w+clip-[bl]\d\d", page))
    assert len(names) >= 7
    for name in names:
        assert describe_model(name)["licence"]


def test_every_entry_of_a_run_record_is_named(repository, make_scene, tiny_model, tmp_path):
    import rsclip as library

    result = library.segment(make_scene(), "road, water", tmp_path, model=tiny_model)
    page = (repository / "docs/outputs.md").read_text(encoding="utf-8")
    told = set(re.findall(r"`(\w+)`", page.partition("## Run record")[2]))
    assert set(result.run) - told == set()
