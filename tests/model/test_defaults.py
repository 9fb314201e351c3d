"""How a model is used where the user does not say: told by its config, bundle or registry entry."""

import json
import shutil

import pytest

from rsclip.errors import ModelError
from rsclip.files import data_path
from rsclip.model.weights.catalog import bundle_model, describe_model
from rsclip.model.weights.find import model_outline
from rsclip.model.weights.load import load_backbone
from rsclip.nano.export import VERSION
from rsclip.types import ModelDefaults

NANO = (0.3, 10.0)


def folder_saying(tmp_path, **stated):
    folder = tmp_path / "model"
    shutil.copytree(data_path("nano"), folder)
    path = folder / "open_clip_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **stated}))
    return folder


def test_nano_says_what_it_reads():
    assert load_backbone("nano").defaults.gsd_range == NANO
    assert load_backbone("nano").outline.defaults.gsd_range == NANO
    assert model_outline("nano").defaults.gsd_range == NANO
    assert describe_model("nano")["gsd_range"] == NANO
    assert describe_model("nano")["version"] == VERSION


def test_a_model_that_says_nothing_has_none():
    assert model_outline("ViT-B-16/openai").defaults == ModelDefaults()


def test_a_bundle_carries_it(tmp_path):
    folder = folder_saying(tmp_path, gsd_range=[2, 10], logit_scale=12, version="7b")
    bundle = bundle_model(str(folder), tmp_path / "one.safetensors")
    assert load_backbone("auto", bundle).defaults == ModelDefaults((2.0, 10.0), 12.0, "7b")


def test_a_registry_states_it(tmp_path, monkeypatch):
    registry = tmp_path / "own.yaml"
    registry.write_text(
        "models: {mine: {arch: ViT-B-32, quick_gelu: true, repository: a/b, file: c.pt,"
        " gsd_range: [0.3, 1], logit_scale: 12}}"
    )
    monkeypatch.setenv("RSCLIP_MODELS", str(registry))
    assert model_outline("mine").defaults == ModelDefaults((0.3, 1.0), 12.0)


@pytest.mark.parametrize(
    "value", [0.5, [0.5], [1, 0.5], [0, 1], ["a", "b"], [True, 2], [1, float("inf")], {"a": 1}]
)
def test_nonsense_of_a_range_is_refused(tmp_path, value):
    with pytest.raises(ModelError, match="gsd_range"):
        model_outline(str(folder_saying(tmp_path, gsd_range=value)))


@pytest.mark.parametrize("value", [0, -1, "50", True, float("nan"), [50]])
def test_nonsense_of_a_scale_is_refused(tmp_path, value):
    with pytest.raises(ModelError, match="logit_scale"):
        model_outline(str(folder_saying(tmp_path, logit_scale=value)))


@pytest.mark.parametrize("value", [2, 2.1, "a\nb", ["2"]])
def test_nonsense_of_a_version_is_refused(tmp_path, value):
    with pytest.raises(ModelError, match="version"):
        model_outline(str(folder_saying(tmp_path, version=value)))
