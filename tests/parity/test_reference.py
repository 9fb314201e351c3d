"""Held to the papers' reference implementations: tokens, similarities and text features."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

import rsclip
import rsclip.prompts
from rsclip.backbone import Trunk
from rsclip.methods import METHODS, parse_options
from tests.parity.cases import ATTENTION, load_case

CLEARCLIP = ["clearclip-tiny-square", "clearclip-tiny-posinterp-gelu", "clearclip-tiny-slide"]
KINDS = [
    (name, kind, kept)
    for name in CLEARCLIP
    for kind in ("vanilla", "MaskCLIP", "SCLIP", "ClearCLIP")
    for kept in (False, True)
] + [("segearth-tiny", kind, False) for kind in ("SegEarth", "NACLIP")]


@pytest.mark.parametrize(("name", "kind", "kept"), KINDS)
def test_tokens_and_similarities(name, kind, kept):
    case, arrays, backbone = load_case(name)
    options = {"attention": ATTENTION[kind], "residual": kept, "ffn": kept}
    key = f"{kind}.ignore_residual={not kept}"
    if f"{key}.tokens" in arrays:
        images = torch.from_numpy(arrays["image"]).permute(2, 0, 1)[None] / 255
        with torch.inference_mode():
            trunk = Trunk(backbone, backbone.normalise(images))
            dense = METHODS["clearclip"].features(trunk, parse_options("clearclip", options))
        tokens = dense.tokens.reshape(-1, backbone.dim).numpy()
        np.testing.assert_allclose(tokens, arrays[f"{key}.tokens"], rtol=0, atol=1e-4)
    found = rsclip.similarity(backbone, arrays["image"][None], case["queries"], **options)
    np.testing.assert_allclose(found[0], arrays[f"{key}.logits"], rtol=0, atol=1e-4)


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
    templates = rsclip.prompts.load_templates("imagenet80")
    prompts = [rsclip.prompts.word_prompts(word, templates) for word in case["queries"]]
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
