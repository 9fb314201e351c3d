"""Files that would give wrong maps are refused: nothing of them is computed with."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from rsclip.errors import ModelError
from rsclip.model import load_backbone
from rsclip.model.open_clip_catalog import tokenizer_facts
from rsclip.model.weights import bundle
from rsclip.model.weights.registry import read_registry
from rsclip.model.weights_hash import tensors_sha256
from rsclip.words.legend import load_legend


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
        (lambda value: torch.full_like(value, float("nan")), "weights hold NaN or infinity"),
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
    with pytest.raises(ModelError, match="does not describe an architecture"):
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


def write_bundle(folder, tmp_path, facts):
    header = {
        bundle._KEY: bundle._VERSION,
        bundle._FACTS: facts,
        bundle._DIGEST: hashlib.sha256(facts.encode()).hexdigest(),
    }
    path = tmp_path / "b.safetensors"
    save_file(load_file(weights_of(folder)), path, header)
    return path


@pytest.mark.parametrize("facts", ["{}", "[1]", "not json", '{"name": "a", "model_cfg": {}}'])
def test_bundles_that_do_not_describe_themselves(folder, tmp_path, facts):
    path = write_bundle(folder, tmp_path, facts)
    with pytest.raises(ModelError, match="description of itself is incomplete"):
        load_backbone("auto", path)


def whole_facts(folder, **changes):
    config = json.loads((folder / "open_clip_config.json").read_text())
    facts = {
        "name": "mine",
        **config,
        "weights_sha256": tensors_sha256(load_file(weights_of(folder))),
        "tokenizer": tokenizer_facts(),
        **changes,
    }
    return json.dumps(facts)


@pytest.mark.parametrize("change", [{"name": 7}, {"source": 5}, {"licence": ["MIT"]}])
def test_bundles_whose_words_are_none(folder, tmp_path, change):
    assert load_backbone("auto", write_bundle(folder, tmp_path, whole_facts(folder))).name == "mine"
    path = write_bundle(folder, tmp_path, whole_facts(folder, **change))
    with pytest.raises(ModelError, match="description of itself is incomplete"):
        load_backbone("auto", path)


@pytest.mark.parametrize(
    "wrong",
    [
        5,
        [],
        {"words": "x"},
        {"threshold": "high", "template": "{}", "classes": {"a": ["b"]}},
        {"threshold": 0.5, "template": "a {} {}", "classes": {"a": ["b"]}},
        {"threshold": 0.5, "template": "{x}{}", "classes": {"a": ["b"]}},
        {"threshold": 0.5, "template": "{}", "classes": {"a": "b"}},
        {"threshold": 0.5, "template": "{}", "classes": {}},
    ],
)
def test_vocabularies_that_are_none(folder, tmp_path, wrong):
    bundled = write_bundle(folder, tmp_path, whole_facts(folder, vocabulary=wrong))
    (folder / "vocabulary.json").write_text(json.dumps(wrong))
    for name, weights in ((folder, None), ("auto", bundled)):
        with pytest.raises(ModelError, match="does not describe a vocabulary"):
            load_backbone(name, weights)


@pytest.mark.parametrize("file", ["../../../etc/passwd", "/etc/passwd", "a/../b.pt", "a//b.pt"])
def test_a_registry_whose_file_lies_outside_the_repository(tmp_path, file):
    path = tmp_path / "models.yaml"
    path.write_text(
        f"models: {{m: {{arch: ViT-B-32, quick_gelu: true, repository: a/b, file: '{file}'}}}}"
    )
    with pytest.raises(ModelError, match="`file` cannot be"):
        read_registry(path)


def test_own_aliases_may_have_capitals(tmp_path, monkeypatch):
    from rsclip.model.weights.names import parse_name

    registry = Path(tmp_path / "mine.yaml")
    registry.write_text(
        "models:\n  MyModel: {arch: ViT-B-32, quick_gelu: true, repository: me/mine, file: m.pt}\n"
    )
    monkeypatch.setenv("RSCLIP_MODELS", str(registry))
    assert parse_name("MyModel").kind == parse_name("mymodel").kind == "alias"


def test_plain_words_can_be_named():
    assert load_legend("set:loveda:plain") == load_legend("set:loveda")


def test_a_torch_file_with_a_damaged_directory_is_damaged(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save({"a": torch.zeros(4)}, path)
    whole = path.read_bytes()
    # The archive's end still stands; its directory does not.
    at = whole.index(b"PK\1\2")
    path.write_bytes(whole[:at] + b"PK\1\7" + whole[at + 4 :])
    with pytest.raises(ModelError, match="damaged, cut short"):
        load_backbone("nano", path)
