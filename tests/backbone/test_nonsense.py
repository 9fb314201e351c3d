"""Files that would give wrong maps are refused: nothing of them is computed with."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from rsclip.backbone import load_backbone
from rsclip.errors import ModelError
from rsclip.legend import load_legend


@pytest.fixture
def folder(tiny_model, tmp_path):
    target = tmp_path / "model"
    shutil.copytree(tiny_model, target)
    return target


def weights_of(folder):
    return folder / "open_clip_model.safetensors"


def change_config(folder, **preprocess):
    path = folder / "open_clip_config.json"
    content = json.loads(path.read_text())
    content["preprocess_cfg"] |= preprocess
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda value: value.to(torch.int32), "whole numbers in place of weights"),
        (lambda value: torch.full_like(value, float("nan")), "NaN or infinity in the weights"),
    ],
)
def test_tensors_that_are_no_weights(folder, change, message):
    tensors = load_file(weights_of(folder))
    tensors["visual.proj"] = change(tensors["visual.proj"])
    save_file(tensors, weights_of(folder))
    with pytest.raises(ModelError, match=message + ".*visual.proj"):
        load_backbone(folder)


@pytest.mark.parametrize(
    "wrong",
    [
        {"mean": [123.7, 116.3, 103.5]},
        {"std": [0, 0, 0]},
        {"mean": [0.5, 0.5]},
        {"std": "0.25"},
        {"mean": [0.5, 0.5, None]},
    ],
)
def test_statistics_that_are_nonsense(folder, wrong):
    change_config(folder, **wrong)
    with pytest.raises(ModelError, match=r"`(mean|std)` is .*three numbers"):
        load_backbone(folder)


@pytest.mark.parametrize("content", ["{}", '{"model_cfg": null}', '{"model_cfg": {"a": 1}}', "[]"])
def test_configs_that_describe_nothing(folder, content):
    (folder / "open_clip_config.json").write_text(content)
    with pytest.raises(ModelError, match="holds no architecture"):
        load_backbone(folder)


def test_a_config_beside_named_weights_must_agree(folder, tmp_path):
    content = json.loads((folder / "open_clip_config.json").read_text())
    content["model_cfg"]["quick_gelu"] = True
    content.pop("preprocess_cfg")
    (tmp_path / "other.json").write_text(json.dumps(content))
    with pytest.raises(ModelError, match="activation QuickGELU, the file's GELU"):
        load_backbone(str(tmp_path / "other.json"), weights_of(folder))


def test_a_damaged_file_of_the_hubs_cache_is_known_by_its_name(folder, tmp_path):
    path = weights_of(folder)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    blob = tmp_path / digest
    path.rename(blob)
    path.symlink_to(blob)
    assert load_backbone(folder).facts()["weights_sha256"] == digest
    content = bytearray(blob.read_bytes())
    content[-1000] ^= 1
    blob.write_bytes(content)
    with pytest.raises(ModelError, match=r"cache are damaged.*rsclip models fetch"):
        load_backbone(folder)


@pytest.mark.parametrize("facts", ["{}", "[1]", "not json", '{"name": "a", "model_cfg": {}}'])
def test_bundles_that_do_not_describe_themselves(folder, tmp_path, facts):
    from rsclip.backbone import bundle

    header = {
        bundle._KEY: bundle._VERSION,
        bundle._FACTS: facts,
        bundle._DIGEST: hashlib.sha256(facts.encode()).hexdigest(),
    }
    path = tmp_path / "b.safetensors"
    save_file(load_file(weights_of(folder)), path, header)
    with pytest.raises(ModelError, match="does not describe itself whole"):
        load_backbone("auto", path)


def test_own_aliases_may_have_capitals(tmp_path, monkeypatch):
    from rsclip.backbone.names import parse_name

    registry = Path(tmp_path / "mine.yaml")
    registry.write_text(
        "models:\n  MyModel: {arch: ViT-B-32, quick_gelu: true, repository: me/mine, file: m.pt}\n"
    )
    monkeypatch.setenv("RSCLIP_MODELS", str(registry))
    assert parse_name("MyModel").kind == parse_name("mymodel").kind == "alias"


def test_plain_words_can_be_named():
    assert load_legend("set:loveda:plain") == load_legend("set:loveda")
