"""Entropy, norm, maximum and channel means, against their definitions."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rsclip.study.diagnose.statistics import (
    channel_means,
    frobenius_norm,
    maximum,
    normalised_entropy,
)

TOKENS = arrays(
    np.float32,
    st.tuples(*[st.integers(1, 4)] * 2, st.integers(2, 6)),
    elements=st.floats(-50, 50, width=32),
)


@pytest.mark.parametrize("value", [0.0, -3.5, 1e4])
def test_the_entropy_of_a_constant_map_is_1(value):
    tokens = torch.full((2, 49, 64), value)
    torch.testing.assert_close(normalised_entropy(tokens), torch.ones(2).double())


@pytest.mark.parametrize("height", [100.0, 1e4, 3e38])
def test_the_entropy_of_a_single_peak_is_0(height):
    tokens = torch.zeros(2, 49, 64)
    tokens[0, 5, 7] = tokens[1, 0, 0] = height
    torch.testing.assert_close(normalised_entropy(tokens), torch.zeros(2).double())


def test_two_equal_peaks_have_one_bit():
    tokens = torch.zeros(1, 8, 8)
    tokens[0, 1, 1] = tokens[0, 6, 2] = 1000.0
    assert normalised_entropy(tokens).item() == pytest.approx(1 / 6)


@given(TOKENS)
def test_statistics_are_their_definitions(array):
    tokens = torch.from_numpy(array)
    wide = array.astype(np.float64)
    flat = wide.reshape(len(wide), -1)
    weights = np.exp(flat - flat.max(axis=1, keepdims=True))
    p = weights / weights.sum(axis=1, keepdims=True)
    logs = np.log(np.where(p > 0, p, 1))
    entropy = -(p * logs).sum(axis=1) / math.log(flat.shape[1])
    np.testing.assert_allclose(normalised_entropy(tokens), entropy, atol=1e-12)
    np.testing.assert_allclose(frobenius_norm(tokens), np.sqrt((flat**2).sum(axis=1)))
    np.testing.assert_array_equal(maximum(tokens), flat.max(axis=1))
    np.testing.assert_allclose(channel_means(tokens), wide.mean(axis=1), atol=1e-12)


@given(TOKENS, st.floats(-100, 100), st.randoms(use_true_random=False))
def test_entropy_knows_neither_places_nor_an_offset(array, offset, random):
    tokens = torch.from_numpy(array).double()
    entropy = normalised_entropy(tokens)
    assert ((entropy > -1e-12) & (entropy < 1 + 1e-12)).all()
    order = random.sample(range(array.shape[1]), array.shape[1])
    torch.testing.assert_close(normalised_entropy(tokens[:, order] + offset), entropy)
