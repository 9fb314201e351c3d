"""Numbers of agreement against plain counting."""

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rsclip.study.compare import agreement as module
from rsclip.study.compare.agreement import Agreement, count_agreement
from rsclip.words.legend import load_legend

LEGEND = load_legend("a, b, c")
N = LEGEND.nodata
MASKS = arrays(np.uint8, (3, 5, 7), elements=st.sampled_from([0, 1, 2, 3, N]))


def plain_iou(one, other, value):
    either = ((one == value) | (other == value)).sum()
    return ((one == value) & (other == value)).sum() / either if either else np.nan


@settings(max_examples=150, deadline=None)
@given(MASKS, arrays(np.int32, (5, 7), elements=st.integers(-1, 3)))
def test_counts_are_those_of_plain_counting(masks, truth):
    # Masks of one scene share their nodata.
    masks[:, masks[0] == N] = N
    masks[1:][(masks[1:] == N) & (masks[0] != N)] = 0
    found = Agreement(["x", "y", "z"], LEGEND)
    found.add(list(masks[:, :2]), truth[:2])
    found.add(list(masks[:, 2:]), truth[2:])
    valid = masks[0] != N
    x, y, z = (mask[valid] for mask in masks)
    assert found.valid == valid.sum()
    for value in range(4):
        for pair, ours in ((("x", "y"), (x, y)), (("x", "z"), (x, z)), (("y", "z"), (y, z))):
            expected = plain_iou(*ours, value)
            np.testing.assert_allclose(found.pairs[pair].iou[value], expected)
        anyone = ((x == value) | (y == value) | (z == value)).sum()
        everyone = ((x == value) & (y == value) & (z == value)).sum()
        expected = everyone / anyone if anyone else np.nan
        np.testing.assert_allclose(found.consent[value], expected)
    same = ((x == y) & (y == z)).mean() if valid.any() else np.nan
    np.testing.assert_allclose(found.overall, same)
    known = valid & (truth >= 0)
    right = (masks[1] == truth)[known].mean() if known.any() else np.nan
    np.testing.assert_allclose(found.scores["y"].accuracy, right)


def test_masks_that_are_one_agree_wholly():
    mask = np.array([[0, 1, 2], [2, N, 1]], np.uint8)
    found = Agreement(["x", "y"], LEGEND)
    found.add([mask, mask.copy()], None)
    assert found.overall == 1
    np.testing.assert_array_equal(found.consent, [1, 1, 1, np.nan])
    assert found.pairs["x", "y"].accuracy == 1
    assert found.scores == {}


@pytest.mark.parametrize("background", [None, "other"])
def test_other_classes_of_the_labels_count_as_evaluate_counts_them(background):
    legend = load_legend("a, b", background=background)
    truth = np.array([[0, 0, 1, -1]], np.int32)
    mask = np.array([[1, 2, 1, 2]], np.uint8)
    found = Agreement(["x"], legend)
    found.add([mask], truth)
    assert found.scores["x"].accuracy == 1 / 3
    assert found.scores["x"].miou == 1 / 4
    assert found.miou_without_other("x") == 1 / 2
    # Labels that know no b cannot tell that it is wrong.
    found = Agreement(["x"], legend, lacking=[2])
    found.add([mask], truth)
    assert found.scores["x"].accuracy == 2 / 3


def test_strips_do_not_change_counts(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    masks = {}
    for name in ("x", "y"):
        path = tmp_path / f"{name}.tif"
        with rasterio.open(path, "w", driver="GTiff", width=37, height=53, count=1, dtype="uint8",
                           nodata=N) as dataset:  # fmt: skip
            dataset.write(rng.integers(0, 4, (1, 53, 37), "uint8"))
        masks[name] = path
    truth = rng.integers(-1, 4, (53, 37)).astype(np.int32)

    class Truth:
        classes = (1, 2, 3)

        def read(self, window):
            return truth[window.row : window.row_stop, window.col : window.col_stop]

    whole = count_agreement(masks, LEGEND, Truth(), (10, 7))
    monkeypatch.setattr(module, "_PIXELS", 5 * 37)
    strips = count_agreement(masks, LEGEND, Truth(), (10, 7))
    for found in (whole, strips):
        assert found.valid == 53 * 37
    np.testing.assert_array_equal(whole.pairs["x", "y"].matrix, strips.pairs["x", "y"].matrix)
    np.testing.assert_array_equal(whole.scores["x"].matrix, strips.scores["x"].matrix)
    np.testing.assert_array_equal(whole.truth, strips.truth)
    rows = ((np.arange(10) + 0.5) * 5.3).astype(int)
    cols = ((np.arange(7) + 0.5) * 37 / 7).astype(int)
    np.testing.assert_array_equal(whole.truth, truth[rows][:, cols])


def test_a_mask_cut_short_is_named(tmp_path):
    path = tmp_path / "x.tif"
    with rasterio.open(path, "w", driver="GTiff", width=256, height=256, count=1, dtype="uint8",
                       compress="deflate", tiled=True) as dataset:  # fmt: skip
        dataset.write(np.random.default_rng(0).integers(0, 4, (1, 256, 256), "uint8"))
    held = path.read_bytes()
    path.write_bytes(held[: len(held) // 2])
    with pytest.raises(module.ReadError, match="mask"):
        count_agreement({"x": path}, LEGEND, None, (1, 1))
