"""Text features on disk."""

import json
import threading

import numpy as np
import pytest
import torch

from rsclip import segment
from rsclip.errors import OutputError, RsclipWarning
from rsclip.model import load_backbone
from rsclip.model.text_cache import TextCache
from tests.model.models import tiny_config

OTHER_HEADS = {"text": {"heads": 4}, "vision": {"head_width": 4}}
SETS = [["a road.", "the road"], ["a river."]]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("RSCLIP_CACHE", str(folder))
    return folder


@pytest.fixture
def load(hub, tiny_vit, weights, cache):
    hub("someone/tiny-quick", weights)
    hub("someone/tiny-plain", {**weights, "logit_scale": weights["logit_scale"] + 1})

    def load(tag="quick"):
        backbone = load_backbone(f"tiny-vit/{tag}")
        backbone.encoded = []
        tokenizer = backbone.tokenizer

        def counted(texts):
            backbone.encoded += texts
            return tokenizer(texts)

        counted.encode = tokenizer.encode
        backbone.tokenizer = counted
        return backbone

    return load


def test_a_second_run_encodes_nothing_and_gets_the_same_bits(load):
    first, second = load(), load()
    expected = first.text_features(SETS)
    assert first.encoded == ["a road.", "the road", "a river."]
    assert torch.equal(second.text_features(SETS), expected)
    assert second.encoded == []
    second.text_features([*SETS, ["a sea."]])
    assert second.encoded == ["a sea."]


def test_other_weights_words_or_templates_are_other_features(load):
    load().text_features(SETS)
    for other, sets in ((load("plain"), SETS), (load(), [["a road."]])):
        other.text_features(sets)
        assert other.encoded == [prompt for prompts in sets for prompt in prompts]


@pytest.mark.parametrize(
    "other",
    [{"text": {"heads": 4}}, {"text": {"no_causal_mask": True}}, {"quick_gelu": True}],
    ids=["heads", "mask", "activation"],
)
def test_the_same_weights_in_another_architecture_have_features_of_their_own(
    cache, tmp_path, weights_file, monkeypatch, other
):
    """Heads, mask and the like leave no trace in the tensors."""
    (tmp_path / "one.json").write_text(json.dumps(tiny_config()))
    (tmp_path / "two.json").write_text(json.dumps(tiny_config(**other)))
    load_backbone(tmp_path / "one.json", weights_file).text_features(SETS)
    found = load_backbone(tmp_path / "two.json", weights_file).text_features(SETS)
    monkeypatch.setenv("RSCLIP_CACHE", "off")
    one, two = (
        load_backbone(tmp_path / name, weights_file).text_features(SETS)
        for name in ("one.json", "two.json")
    )
    assert not torch.equal(one, two)
    assert torch.equal(found, two)


@pytest.mark.parametrize("part", ["text", "vision"])
def test_the_same_weights_in_another_architecture_make_another_run(
    tmp_path, weights_file, make_scene, part
):
    (tmp_path / "one.json").write_text(json.dumps(tiny_config()))
    (tmp_path / "two.json").write_text(json.dumps(tiny_config(**{part: OTHER_HEADS[part]})))
    scene, options = make_scene(), {"weights": weights_file, "resume": True}
    segment(scene, "road, water", tmp_path / "out", model=tmp_path / "one.json", **options)
    again = segment(scene, "road, water", tmp_path / "out", model=tmp_path / "one.json", **options)
    assert again.status == "skipped"
    with pytest.raises(OutputError, match="made with other settings"):
        segment(scene, "road, water", tmp_path / "out", model=tmp_path / "two.json", **options)


def test_threads_that_keep_the_same_feature_write_parts_of_their_own(cache, monkeypatch):
    texts, parts, meet = TextCache(["a"], 12), [], threading.Barrier(2, timeout=30)
    save = np.save

    def together(file, array):
        parts.append(file.name)
        meet.wait()
        save(file, array)

    monkeypatch.setattr(np, "save", together)
    feature = torch.arange(12.0)
    threads = [threading.Thread(target=texts.put, args=(["a road"], feature)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(parts)) == 2
    assert torch.equal(texts.get(["a road"]), feature)
    assert len(list((cache / "text").iterdir())) == 1


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", b"hello"])
def test_damaged_files_are_encoded_anew(load, cache, damage):
    expected = load().text_features(SETS)
    for path in (cache / "text").iterdir():
        path.write_bytes(damage)
    again = load()
    assert torch.equal(again.text_features(SETS), expected)
    assert len(again.encoded) == 3


def test_features_of_another_shape_or_not_finite_are_encoded_anew(load, cache):
    expected = load().text_features(SETS)
    for path, content in zip(
        (cache / "text").iterdir(),
        (np.zeros(3, np.float32), np.full(12, np.nan, np.float32)),
        strict=True,
    ):
        np.save(path, content)
    assert torch.equal(load().text_features(SETS), expected)


def test_a_folder_that_is_not_writable_costs_time_only(load, cache):
    cache.write_text("a file where the folder should be")
    backbone = load()
    with pytest.warns(RsclipWarning, match="RSCLIP_CACHE") as caught:
        backbone.text_features(SETS)
    assert len(caught) == 1


def test_off(load, cache, monkeypatch):
    monkeypatch.setenv("RSCLIP_CACHE", "off")
    load().text_features(SETS)
    assert not cache.exists()


def test_a_cut_prompt_is_said_on_every_run(load):
    long = [["field " * 90]]
    for _ in range(2):
        with pytest.warns(RsclipWarning, match="cut at the model's 77 tokens"):
            load().text_features(long)
