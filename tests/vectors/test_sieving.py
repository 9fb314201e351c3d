"""After --sieve N no region below N pixels is left that has a neighbour."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from rsclip.vectors import sieving
from rsclip.vectors.sieving import sieve_labels, write_scratch

NODATA = 0


def sieved(folder, labels, pixels):
    paths = [folder / name for name in ("labels.tif", "valid.tif", "sieved.raw")]
    for path, values in zip(paths, (labels, labels != NODATA), strict=False):
        write_scratch(path, labels.shape, "uint8", iter([(0, values.astype(np.uint8))]))
    return np.array(sieve_labels(*paths, pixels))


def small_with_neighbours(labels, pixels):
    """Count the regions below a size that touch another region with data."""
    count = 0
    for value in np.unique(labels[labels != NODATA]):
        regions, number = ndimage.label(labels == value)
        for index in range(1, number + 1):
            region = regions == index
            around = ndimage.binary_dilation(region) & ~region & (labels != NODATA)
            count += region.sum() < pixels and around.any()
    return count


@given(
    labels=hnp.arrays(
        np.uint8,
        hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12),
        elements=st.integers(0, 4),
    ),
    pixels=st.integers(1, 20),
    strip=st.sampled_from([1, 20, 10_000]),
)
@settings(max_examples=150, deadline=None)
def test_no_small_region_is_left_beside_another(tmp_path_factory, labels, pixels, strip):
    folder = tmp_path_factory.mktemp("sieve")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sieving, "_STRIP_PIXELS", strip)
        result = sieved(folder, labels, pixels)
    assert small_with_neighbours(result, pixels) == 0
    assert ((result == NODATA) == (labels == NODATA)).all()
    assert set(np.unique(result)) <= set(np.unique(labels))


@pytest.mark.parametrize("row", ["112223333", "11222333"])
def test_a_chain_of_small_regions_becomes_one(tmp_path, row):
    labels = np.array([list(map(int, row))], np.uint8)
    assert len(np.unique(sieved(tmp_path, labels, 4))) == 1


def test_the_cut_into_strips_changes_nothing(tmp_path, monkeypatch):
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(90, 120)), 1.2)
    labels = ((noise * 8).round().astype(int) % 4 + 1).astype(np.uint8)
    results = []
    for strip in (120, 1_000_000):
        monkeypatch.setattr(sieving, "_STRIP_PIXELS", strip)
        results.append(sieved(tmp_path, labels, 40))
    assert (results[0] == results[1]).all()
    assert small_with_neighbours(results[0], 40) == 0
