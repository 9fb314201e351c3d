"""The first command on a machine without network: a map by nano, and an honest word about it."""

import json

import numpy as np
import pytest
import rasterio


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))


def test_without_a_model_nano_maps_and_says_so(rsclip, repository, tmp_path):
    tile = repository / "sample_tiles/greenhouses.tif"
    classes = repository / "sample_tiles/classes.yaml"
    done = rsclip("segment", tile, "--classes", classes, "--overlap", "0", "-o", tmp_path)
    assert done.exit_code == 0, done.output
    notice = [line for line in done.stderr.splitlines() if "nano" in line or "fetch" in line]
    assert len(notice) == 2, done.stderr
    assert "much of it is wrong" in notice[0]
    assert "rsclip models fetch ViT-B-16/openai" in notice[1]
    record = json.loads((tmp_path / "greenhouses_run.json").read_text(encoding="utf-8"))
    assert record["model"]["name"] == "nano"
    with rasterio.open(tmp_path / "greenhouses_mask.tif") as mask:
        labels = mask.read(1)
    with rasterio.open(repository / "sample_tiles/greenhouses_labels.tif") as truth:
        right = np.mean(labels == truth.read(1))
    # A map by chance among 14 classes is right on a tenth of the pixels; this one on two thirds.
    assert right > 0.55


def test_words_that_nano_never_learned_are_named(rsclip, repository, tmp_path):
    tile = repository / "sample_tiles/greenhouses.tif"
    done = rsclip("segment", tile, "--classes", "banana, water", "--model", "nano",
                  "--overlap", "0", "-o", tmp_path)  # fmt: skip
    assert done.exit_code == 0, done.output
    warnings = [line for line in done.stderr.splitlines() if line.startswith("Warning")]
    assert len(warnings) == 2
    assert "using nano" in warnings[0]
    assert "'banana'" in warnings[1]
    assert "nearest" in warnings[1]
