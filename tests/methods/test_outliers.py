"""Outlier factor and mending against plain loops."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rsclip.methods.lastblock import residual_part
from rsclip.methods.outliers import mend, outlier_factor, outliers


def factor_by_loops(points, k):
    distance = ((points[:, None] - points[None]) ** 2).sum(-1)
    count = len(points)
    near = [[o for o in np.argsort(distance[p], kind="stable") if o != p][:k] for p in range(count)]
    density = np.empty(count)
    for p in range(count):
        own = distance[p, near[p][-1]]
        density[p] = 1 / np.mean([max(distance[p, o], own) for o in near[p]])
    return np.array([density[near[p]].mean() / density[p] for p in range(count)])


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 40), st.integers(1, 50), st.integers(0, 999))
def test_factor(count, neighbours, seed):
    points = np.random.default_rng(seed).standard_normal((3, count, 5)) + 100
    found = outlier_factor(torch.from_numpy(points.astype(np.float32)), neighbours).numpy()
    expected = [factor_by_loops(image, min(neighbours, count - 1)) for image in points]
    np.testing.assert_allclose(found, expected, rtol=1e-3)


def test_the_far_point_stands_out_in_its_own_image():
    points = np.random.default_rng(0).standard_normal((2, 60, 4)).astype(np.float32)
    points[0, 7] += 9
    points[1, 31] -= 9
    found = outliers(torch.from_numpy(points), 30, 0.01)
    assert [np.flatnonzero(image).tolist() for image in found.numpy()] == [[7], [31]]


@pytest.mark.parametrize("count", [1, 2, 9])
def test_points_all_alike_are_no_outliers(count):
    assert not outliers(torch.ones(2, count, 3), 30, 0.05).any()


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.integers(1, 6), st.floats(0, 1), st.integers(0, 999))
def test_mend(height, width, share, seed):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((2, height, width, 3)).astype(np.float32)
    bad = rng.uniform(size=(2, height, width)) < share
    expected = values.copy()
    for b, r, c in np.argwhere(bad):
        near = np.s_[b, max(r - 1, 0) : r + 2, max(c - 1, 0) : c + 2]
        if (~bad[near]).any():
            expected[b, r, c] = values[near][~bad[near]].mean(axis=0)
    found = mend(
        torch.from_numpy(values.reshape(2, -1, 3)),
        torch.from_numpy(bad.reshape(2, -1)),
        (height, width),
    )
    np.testing.assert_allclose(found.numpy(), expected.reshape(2, -1, 3), rtol=0, atol=1e-5)


def test_beta_cuts_each_images_own_strongest_channels():
    tokens = torch.ones(2, 4, 10) * torch.arange(10)
    tokens[1] = -tokens[1].flip(-1)
    kept = residual_part(tokens, 30)
    assert kept[0, 0].tolist() == [0, 1, 2, 3, 4, 5, 6, 0, 0, 0]
    assert kept[1, 0].tolist() == [0, 0, 0, -6, -5, -4, -3, -2, -1, 0]
    assert residual_part(tokens, 0) is tokens
    norms = residual_part(tokens, 30, normalised=True).norm(dim=-1)
    torch.testing.assert_close(norms, torch.ones(2, 4))
