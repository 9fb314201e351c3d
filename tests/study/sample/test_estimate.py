"""Accuracy and areas from a sample."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rsclip as library
from rsclip.study.sample.estimate import allocate, estimate, half_width, sample_size
from tests.study.evaluate.test_evaluate import write

# Tables 8 and 9 of Olofsson et al. (2014): deforestation, forest gain, stable forest, stable
# non-forest; rows as the map has them.
COUNTS = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
PIXELS = np.array([200_000, 150_000, 3_200_000, 6_450_000])
HECTARES = 0.09


def units(counts):
    mapped, reference = (
        np.repeat(where.ravel(), counts.ravel()) for where in np.indices(counts.shape)
    )
    return mapped, reference


def equation_7(counts, pixels):
    """Standard errors of producer's accuracy as Olofsson et al. write them out."""
    units = counts.sum(1)
    share = counts / units[:, None]
    there = (pixels[:, None] * share).sum(0)
    user = np.diag(share)
    producer = pixels * user / there
    each = pixels[:, None] ** 2 * share * (1 - share) / (units[:, None] - 1)
    np.fill_diagonal(each, 0)
    own = pixels**2 * (1 - producer) ** 2 * user * (1 - user) / (units - 1)
    return np.sqrt(own + producer**2 * each.sum(0)) / there


def test_the_worked_example_of_olofsson_2014():
    mapped, reference = units(COUNTS)
    found = estimate(mapped, mapped, reference, PIXELS / PIXELS.sum(), 4)

    def printed(estimates):
        return [(round(each.value, 2), round(each.half, 2)) for each in estimates]

    assert printed(found.user) == [(0.88, 0.07), (0.73, 0.10), (0.93, 0.04), (0.96, 0.02)]
    # The paper prints 0.23 and 0.01 for the second and the fourth: not what its equation 7 gives.
    assert printed(found.producer) == [(0.75, 0.21), (0.85, 0.25), (0.93, 0.03), (0.96, 0.02)]
    errors = equation_7(COUNTS, PIXELS)
    np.testing.assert_allclose([each.error for each in found.producer], errors)
    np.testing.assert_allclose(1.96 * errors, [0.2133, 0.2544, 0.0343, 0.0184], atol=5e-5)
    assert printed([found.overall]) == [(0.95, 0.02)]
    areas = [(each.value, each.half) for each in found.share]
    total = PIXELS.sum() * HECTARES
    assert [(round(a * total), round(b * total)) for a, b in areas] == [
        (21158, 6158), (11686, 3756), (285770, 15510), (581386, 16282),
    ]  # fmt: skip
    assert found.matrix.sum() == pytest.approx(1)
    assert found.matrix[0].round(4).tolist() == [0.0176, 0.0, 0.0013, 0.0011]


def test_the_sample_size_of_olofsson_2014():
    # Section 5.1.1: 641 units for a standard error of 0.01.
    weights, expected = PIXELS / PIXELS.sum(), np.array([0.70, 0.60, 0.90, 0.95])
    assert sample_size(weights, expected, 1.96 * 0.01) == 641


def test_intervals_hold_the_truth_where_strata_are_not_the_classes():
    rng = np.random.default_rng(0)
    size = np.array([20_000, 80_000])
    truth = [
        rng.choice(3, n, p=p) for n, p in zip(size, ([0.5, 0.3, 0.2], [0.1, 0.1, 0.8]), strict=True)
    ]
    wrong = [rng.random(n) < share for n, share in zip(size, (0.4, 0.1), strict=True)]
    mapped = [
        np.where(bad, rng.integers(0, 3, len(bad)), own)
        for own, bad in zip(truth, wrong, strict=True)
    ]
    every, maps = np.concatenate(truth), np.concatenate(mapped)
    wanted = {
        "share": (every == 0).mean(),
        "producer": (maps == every)[every == 1].mean(),
        "user": (maps == every)[maps == 0].mean(),
        "overall": (maps == every).mean(),
    }
    held = dict.fromkeys(wanted, 0)
    for _ in range(200):
        picks = [rng.choice(n, 200, replace=False) for n in size]
        got = estimate(
            np.repeat([0, 1], 200),
            np.concatenate([m[p] for m, p in zip(mapped, picks, strict=True)]),
            np.concatenate([t[p] for t, p in zip(truth, picks, strict=True)]),
            size / size.sum(),
            3,
        )
        one = {"share": got.share[0], "producer": got.producer[1], "user": got.user[0],
               "overall": got.overall}  # fmt: skip
        for name, value in wanted.items():
            held[name] += abs(one[name].value - value) <= one[name].half
    assert min(held.values()) >= 178


def test_a_class_that_is_nowhere_has_no_accuracy():
    zeros = np.zeros(5, np.int64)
    found = estimate(zeros, zeros, zeros, np.ones(1), 2)
    assert math.isnan(found.user[1].value)
    assert (found.share[1].value, found.overall.value, found.overall.error) == (0, 1, 0)


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=8), st.integers(1, 2000))
def test_units_are_shared_out_whole(pixels, count):
    found = allocate(pixels, count)
    assert sum(found) == min(count, sum(pixels))
    assert all(0 <= have <= size for have, size in zip(found, pixels, strict=True))
    least = min(50, count // (2 * len(pixels)))
    assert all(have >= min(least, size) for have, size in zip(found, pixels, strict=True))


def test_rare_classes_get_fifty_and_the_rest_goes_by_area():
    found = allocate(PIXELS.tolist(), 640)
    assert min(found) >= 50
    left = np.array(found) - 50
    np.testing.assert_allclose(left, 440 * PIXELS / PIXELS.sum(), atol=1)


def test_a_planned_sample_gives_the_interval_as_it_is_shared_out(tmp_path):
    values = np.ones((400, 500), np.uint8)
    for value in range(2, 8):
        values[value, :90] = value
    path = write(tmp_path / "map.tif", values, {value: f"class {value}" for value in range(1, 8)})
    count, units = library.plan_sample(path, 0.03)
    _, pixels = np.unique(values, return_counts=True)
    weights, right = pixels / pixels.sum(), np.full(7, 0.8)
    assert count > sample_size(weights, right, 0.03)
    assert half_width(weights, right, list(units.values())) <= 0.03
    assert half_width(weights, right, allocate(pixels.tolist(), count - 1)) > 0.03
