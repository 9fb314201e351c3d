"""One file carries a model; what is changed, damaged or misnamed on the way is refused."""

import errno
import json
import os

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from rsclip.errors import ModelError, OutputError, RsclipWarning
from rsclip.model import load_backbone
from rsclip.model.weights import bundle
from rsclip.model.weights.catalog import bundle_model, describe_model
from tests.model.test_load import refused, similarities


@pytest.fixture
def bundled(hub, tiny_vit, weights, tmp_path):
    hub("someone/tiny-quick", {key: value.half() for key, value in weights.items()})
    return bundle_model("tiny-vit/quick", tmp_path / "quick.safetensors")


def changed(path, facts=None, tensors=None, header=None):
    """Rewrite a bundle with some parts changed and the others as they were."""
    with safe_open(path, framework="pt") as file:
        old = dict(file.metadata())
    whole = {**json.loads(old["rsclip_facts"]), **(facts or {})}
    if facts:
        old["rsclip_facts"] = json.dumps(whole)
    save_file({**load_file(path), **(tensors or {})}, path, {**old, **(header or {})})


def test_a_bundle_is_the_model_it_was_made_of(bundled):
    original, carried = load_backbone("tiny-vit/quick"), load_backbone("auto", bundled)
    np.testing.assert_array_equal(similarities(original), similarities(carried))
    assert carried.name == "tiny-vit/quick"
    assert (carried.mean, carried.std) == (original.mean, original.std)
    assert carried.facts()["activation"] == "QuickGELU"
    # Its weights stay in the type that they came in: no larger than what was fetched.
    assert load_file(bundled)["visual.proj"].dtype == torch.float16
    assert load_backbone("tiny-vit/quick", bundled).name == "tiny-vit/quick"


def test_a_bundle_may_be_read_by_whom_any_new_file_may(bundled, tmp_path):
    (tmp_path / "new").touch()
    assert bundled.stat().st_mode == (tmp_path / "new").stat().st_mode


def test_a_bundle_of_a_bundle_is_the_same_model(bundled, tmp_path):
    again = bundle_model("auto", tmp_path / "again.safetensors", bundled)
    np.testing.assert_array_equal(
        similarities(load_backbone("auto", bundled)), similarities(load_backbone("auto", again))
    )


def test_a_bundle_needs_neither_cache_nor_architecture_of_open_clip(bundled, monkeypatch):
    from tests.model.models import open_clip

    monkeypatch.setattr(open_clip.factory, "_MODEL_CONFIGS", {})
    monkeypatch.setattr(open_clip.pretrained, "_PRETRAINED", {})
    assert load_backbone("auto", bundled).patch == 8


def test_nano_keeps_its_vocabulary(tmp_path):
    path = bundle_model("nano", tmp_path / "nano.safetensors")
    assert load_backbone("auto", path).vocabulary == load_backbone("nano").vocabulary


def test_auto_is_bundled_as_what_it_stands_for(hub, tmp_path):
    with pytest.warns(RsclipWarning, match="using nano"):
        path = bundle_model("auto", tmp_path / "model.safetensors")
    assert load_backbone("auto", path).name == "nano"
    assert describe_model("auto", path)["licence"] == "Apache-2.0"


def test_another_name_than_the_bundles_own(bundled):
    text = refused("tiny-vit/plain", bundled)
    assert "activation GELU, the file's QuickGELU" in text
    assert "the file's [0.1, 0.2, 0.3]" in text
    assert "vision layers 12" in refused("ViT-B-16/openai", bundled)


def test_another_version(bundled):
    changed(bundled, header={"rsclip_bundle": "2"})
    assert "the bundle has version 2, and this rsclip reads version 1" in refused("auto", bundled)


@pytest.mark.parametrize(
    "change",
    [
        {"facts": {"preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}},
        {"header": {"rsclip_facts_sha256": "0" * 64}},
        {"header": {"rsclip_facts": "{}"}},
    ],
)
def test_a_changed_description(bundled, change):
    changed(bundled, **change)
    assert "description does not match its hash" in refused("auto", bundled)


def test_a_changed_tensor(bundled):
    proj = load_file(bundled)["visual.proj"]
    proj[0, 0] += 1
    changed(bundled, tensors={"visual.proj": proj})
    assert "weights do not match their hash" in refused("auto", bundled)


def test_another_tokenizer(bundled, monkeypatch):
    monkeypatch.setattr(bundle, "tokenizer_facts", lambda: {"kind": "other", "merges_sha256": ""})
    assert "another tokenizer" in refused("auto", bundled)


@pytest.mark.parametrize("keep", [0, 100, -50])
def test_a_bundle_cut_short(bundled, keep):
    bundled.write_bytes(bundled.read_bytes()[:keep])
    assert ("damaged, cut short" if keep else "an empty file") in refused("auto", bundled)


def test_files_are_not_replaced_unasked(bundled, tmp_path):
    before = bundled.read_bytes()
    with pytest.raises(OutputError, match="the file exists"):
        bundle_model("tiny-vit/quick", bundled)
    assert bundled.read_bytes() == before
    bundle_model("tiny-vit/quick", bundled, overwrite=True)
    with pytest.raises(OutputError, match="folder does not exist"):
        bundle_model("tiny-vit/quick", tmp_path / "nowhere" / "x.safetensors")
    with pytest.raises(OutputError, match="a folder, not a file"):
        bundle_model("tiny-vit/quick", tmp_path)
    assert not list(tmp_path.rglob(".*.new"))


def test_a_folder_that_is_read_only(hub, bundled, tmp_path, monkeypatch):
    def read_only(path):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), f".{path.name}.new")

    monkeypatch.setattr(bundle, "new_file", read_only)
    with pytest.raises(OutputError) as caught:
        bundle_model("tiny-vit/quick", tmp_path / "x.safetensors")
    assert "cannot be written: Read-only file system. " in str(caught.value)
    assert ".new" not in str(caught.value)
    assert "another file with -o" in caught.value.remedy


def test_a_model_that_is_not_here_cannot_be_bundled(hub, tmp_path):
    with pytest.raises(ModelError, match="not on this machine"):
        bundle_model("ViT-B-32/openai", tmp_path / "x.safetensors")
    assert not (tmp_path / "x.safetensors").exists()


def test_command(bundled, rsclip, tmp_path):
    made = tmp_path / "made.safetensors"
    done = rsclip("models", "bundle", "tiny-vit/quick", "-o", made)
    assert done.exit_code == 0, done.output
    assert done.stdout.strip() == str(made)
    facts = json.loads(rsclip("models", "info", "--weights", made, "--json").stdout)
    assert facts["activation"] == "QuickGELU"
    assert facts["bundle"] is True
    assert facts["patch"] == 8
    assert describe_model("auto", made) == facts
    again = rsclip("models", "bundle", "tiny-vit/quick", "-o", made)
    assert again.exit_code == 2
    assert "--overwrite" in again.stderr
