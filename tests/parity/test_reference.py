"""Held to the papers' reference implementations: tokens, similarities and text features."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

import rsclip
import rsclip.words.prompts
from rsclip.methods import METHODS, parse_options
from rsclip.model import Trunk
from tests.parity.cases import ATTENTION, SCCLIP, load_case

CLEARCLIP = ["clearclip-tiny-square", "clearclip-tiny-posinterp-gelu", "clearclip-tiny-slide"]
KINDS = [
    (name, kind, kept)
    for name in CLEARCLIP
    for kind in ("vanilla", "MaskCLIP", "SCLIP", "ClearCLIP")
    for kept in (False, True)
] + [("segearth-tiny", kind, False) for kind in ("SegEarth", "NACLIP")]

# How the cases call a method, and how we do.
NAMES = {
    "vanilla": "clip",
    "MaskCLIP": "maskclip",
    "SCLIP": "sclip",
    "ClearCLIP": "clearclip",
    "SegEarth": "segearth",
    "NACLIP": "naclip",
}


def dense_tokens(backbone, image, method, options):
    images = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        trunk = Trunk(backbone, backbone.normalise(images))
        features = METHODS[method].features(trunk, parse_options(method, options))
    return features.tokens.reshape(-1, backbone.dim).numpy()


def expect(queries, backbone, image, expected, method, **options):
    """Hold the public function to a case's numbers."""
    found = rsclip.similarity(backbone, image[None], queries, method=method, **options)
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("name", "kind", "kept"), KINDS)
def test_tokens_and_similarities(name, kind, kept):
    case, arrays, backbone = load_case(name)
    options = {"attention": ATTENTION[kind], "residual": kept, "ffn": kept}
    key = f"{kind}.ignore_residual={not kept}"
    if f"{key}.tokens" in arrays:
        tokens = dense_tokens(backbone, arrays["image"], "clearclip", options)
        np.testing.assert_allclose(tokens, arrays[f"{key}.tokens"], rtol=0, atol=1e-4)
    found = rsclip.similarity(backbone, arrays["image"][None], case["queries"], **options)
    np.testing.assert_allclose(found[0], arrays[f"{key}.logits"], rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", CLEARCLIP)
@pytest.mark.parametrize(
    ("kind", "dropped"),
    [("vanilla", False), ("MaskCLIP", True), ("SCLIP", False), ("ClearCLIP", True)],
)
def test_methods_by_name_keep_or_drop_what_their_papers_do(name, kind, dropped):
    case, arrays, backbone = load_case(name)
    expected = arrays[f"{kind}.ignore_residual={dropped}.logits"]
    expect(case["queries"], backbone, arrays["image"], expected, NAMES[kind])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("segearth-tiny", "SegEarth"),
        ("segearth-tiny", "NACLIP"),
        ("segearth-tiny-rect", "SegEarth"),
    ],
)
@pytest.mark.parametrize("bias", [0, -0.3])
def test_global_bias(name, kind, bias):
    case, arrays, backbone = load_case(name)
    key = f"{kind}.ignore_residual=True.logits" + ("_cls_lambda=-0.3" if bias else "")
    words = case["queries"]
    expect(words, backbone, arrays["image"], arrays[key], NAMES[kind], bias_lambda=bias)
    if kind == "SegEarth" and bias:
        expect(words, backbone, arrays["image"], arrays[key], "segearth")


@pytest.mark.parametrize("name", ["gem-tiny", "gem-tiny-rect"])
@pytest.mark.parametrize("kept", [False, True])
def test_gem(name, kept):
    case, arrays, backbone = load_case(name)
    expected = arrays[f"GEM.ignore_residual={not kept}.logits"]
    options = {
        "blocks": case["depth"] - 1, "iterations": case["ss_attn_iter"], "residual": kept
    }  # fmt: skip
    expect(case["queries"], backbone, arrays["image"], expected, "gem", **options)
    if kept:
        expect(case["queries"], backbone, arrays["image"], expected, "gem")


@pytest.mark.parametrize(
    ("key", "surgery"), [("CLIPSurgery.logits", False), ("CLIPSurgery.feature_surgery", True)]
)
def test_clip_surgery(key, surgery):
    case, arrays, backbone = load_case("clipsurgery-tiny")
    options = {"blocks": case["blocks"], "feature_surgery": surgery}
    text, image = arrays["text_features"], arrays["image"]
    expect(text, backbone, image, arrays[key], "clipsurgery", **options)


@pytest.mark.parametrize("name", ["scclip-tiny", "scclip-tiny-hyper"])
def test_scclip(name):
    case, arrays, backbone = load_case(name)
    options = {SCCLIP[theirs]: value for theirs, value in case["method"].items()}
    assert len(options) == len(case["method"])
    image = arrays["image"]
    tokens = dense_tokens(backbone, image, "scclip", options)
    np.testing.assert_allclose(tokens, arrays["tokens"], rtol=0, atol=1e-4)
    expect(case["queries"], backbone, image, arrays["logits"], "scclip", **options)
    if name == "scclip-tiny":
        expect(case["queries"], backbone, image, arrays["logits"], "scclip")


@pytest.mark.parametrize("name", CLEARCLIP)
def test_clearclip_is_the_default(name):
    case, arrays, backbone = load_case(name)
    found = rsclip.similarity(backbone, arrays["image"][None], case["queries"])
    expected = arrays["ClearCLIP.ignore_residual=True.logits"]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", CLEARCLIP)
def test_ready_features_serve_as_queries(name):
    case, arrays, backbone = load_case(name)
    words = rsclip.similarity(backbone, arrays["image"][None], case["queries"])
    # Their length must not matter.
    features = arrays["text_features"] * 7
    for ready in (features, torch.from_numpy(features)):
        found = rsclip.similarity(backbone, torch.from_numpy(arrays["image"][None]), ready)
        np.testing.assert_allclose(found, words, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", CLEARCLIP)
def test_text_features(name):
    case, arrays, backbone = load_case(name)
    templates = rsclip.words.prompts.load_templates("imagenet80")
    prompts = [rsclip.words.prompts.word_prompts(word, templates) for word in case["queries"]]
    found = backbone.text_features(prompts).numpy()
    np.testing.assert_allclose(found, arrays["text_features"], rtol=0, atol=1e-5)


def test_cls_follows_the_unchanged_model():
    _, arrays, backbone = load_case("clearclip-tiny-square")
    images = backbone.normalise(torch.from_numpy(arrays["image"]).permute(2, 0, 1)[None] / 255)
    options = parse_options("clearclip", {"attention": "qk", "residual": True, "ffn": True})
    with torch.inference_mode():
        dense = METHODS["clearclip"].features(Trunk(backbone, images), options)
        whole = backbone.model.encode_image(images)
        cls = dense.cls()
    assert F.cosine_similarity(cls, whole).item() > 1 - 1e-6
    torch.testing.assert_close(cls, whole, rtol=0, atol=1e-4)
