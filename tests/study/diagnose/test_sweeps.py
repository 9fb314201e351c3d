"""The variants of the last block: what they compute, and how they are scored."""

import numpy as np
import pytest
import torch

import rsclip
from rsclip.methods.lastblock import ATTENTIONS, LastBlockOptions
from rsclip.methods.segmenter import Segmenter
from rsclip.model import Trunk
from rsclip.study.diagnose.sweeps import (
    ALPHAS,
    BETAS,
    CLEARCLIP,
    PART_VARIANTS,
    Labeller,
    Scores,
    Variant,
    find_variants,
)
from rsclip.words.legend import load_legend
from tests.layouts import plain
from tests.methods.test_every_method import pictures
from tests.model.models import tiny_clip

LEGEND = load_legend(["building|house", "road", "water|river"])
INDEX = [0, 0, 1, 2, 2]
TEXT = np.random.default_rng(4).standard_normal((5, 12)).astype(np.float32)
SHAPE = (32, 32)


@pytest.fixture(scope="module")
def backbone():
    return rsclip.wrap(tiny_clip(seed=2, vision={"layers": 3}))


@torch.inference_mode()
def labels_of(backbone, images, variants):
    text = torch.nn.functional.normalize(torch.from_numpy(TEXT), dim=-1)
    labeller = Labeller(LEGEND, text, plain(INDEX), 50.0)
    trunk = Trunk(backbone, backbone.normalise(torch.from_numpy(images)))
    return dict(labeller.labels(trunk, list(variants)))


def test_the_sweeps_are_the_papers():
    variants = find_variants()
    count = {sweep: sum(v.sweep == sweep for v in variants) for sweep in ("parts", "ablation")}
    assert count == {"parts": 3, "ablation": 4 * len(ATTENTIONS)}
    swept = [v.options for v in variants if v.sweep in ("alpha", "beta")]
    for attention in ("qk", "qq"):
        own = [each for each in swept if each.attention == attention]
        assert all(each.residual and not each.ffn for each in own)
        alphas = [each.alpha for each in own if not each.beta and not each.normalised]
        assert sorted({*alphas}) == sorted(ALPHAS)
        assert {each.beta for each in own} == {*BETAS}
        assert sum(each.normalised for each in own) == 1


def test_labels_of_a_variant_are_those_of_the_method(backbone):
    images = pictures(3, *SHAPE)
    found = labels_of(backbone, images, [CLEARCLIP, *PART_VARIANTS.values()])
    for method, options in (
        ("clearclip", CLEARCLIP),
        ("clip", LastBlockOptions(attention="qk", residual=True, ffn=True)),
    ):
        labels = labels_of(backbone, images, [options])[options]
        cosines = Segmenter(backbone, TEXT, method=method, device="cpu").similarities(images)
        best = np.stack([cosines[:, np.array(INDEX) == k].max(1) for k in range(3)], axis=1)
        pixels = torch.nn.functional.interpolate(
            torch.from_numpy(best), size=SHAPE, mode="bilinear", align_corners=False
        )
        np.testing.assert_array_equal(labels, pixels.argmax(1).numpy() + 1)
    assert len({array.tobytes() for array in found.values()}) == 4


def test_ends_of_the_sweeps_meet_what_they_stand_for(backbone):
    images = pictures(2, *SHAPE)
    residual = LastBlockOptions(attention="qq", residual=True)

    def one(**changes):
        options = LastBlockOptions(attention="qq", residual=True, **changes)
        return labels_of(backbone, images, [options])[options]

    np.testing.assert_array_equal(
        one(beta=100.0), labels_of(backbone, images, [CLEARCLIP])[CLEARCLIP]
    )
    part = PART_VARIANTS["X_res"]
    np.testing.assert_array_equal(one(alpha=0.0), labels_of(backbone, images, [part])[part])
    far = one(alpha=1e6) == labels_of(backbone, images, [CLEARCLIP])[CLEARCLIP]
    assert far.mean() > 0.99
    np.testing.assert_array_equal(one(beta=0.0), labels_of(backbone, images, [residual])[residual])


def test_scores_are_of_known_pixels():
    variant = Variant("parts", "X_res", CLEARCLIP)
    truth = np.array([[[1, 1, 2, 2], [0, -1, 3, 3]]], np.int32)
    right = np.array([[[1, 1, 2, 2], [1, 2, 3, 3]]], np.int64)
    scores = Scores(LEGEND)
    scores.add(variant.options, truth, right)
    (score,) = scores.of([variant])
    assert score.miou == score.accuracy == 1
    wrong = right.copy()
    wrong[0, 0, 0] = 2
    scores.add(variant.options, truth, wrong)
    (score,) = scores.of([variant])
    assert score.accuracy == 11 / 12
    assert score.iou[1:] == pytest.approx([3 / 4, 4 / 5, 1])
    assert score.miou == pytest.approx((3 / 4 + 4 / 5 + 1) / 3)


def test_other_classes_count_where_background_competes():
    legend = load_legend(["building", "road"], background="sky")
    truth = np.array([[[0, 0, 1, 2]]], np.int32)
    labels = np.array([[[0, 1, 1, 2]]], np.int64)
    scores = Scores(legend)
    scores.add(CLEARCLIP, truth, labels)
    (score,) = scores.of([Variant("parts", "X_res", CLEARCLIP)])
    assert score.iou == pytest.approx([1 / 2, 1 / 2, 1])
    assert score.accuracy == 3 / 4
