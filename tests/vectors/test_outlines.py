"""Outlines of label arrays, whatever the strips: those of GDAL, valid, exact."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rasterio.features import rasterize, shapes

from tests.vectors.make import blobs, polygons

LABELS = st.integers(1, 3).flatmap(
    lambda most: arrays(
        np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12)), elements=st.integers(0, most)
    )
)


def by_gdal(labels):
    found = shapes(labels, mask=labels > 0)
    return sorted((int(value), shapely.geometry.shape(shape).normalize().wkb_hex)
                  for shape, value in found)  # fmt: skip


def ours(geometry, values):
    return sorted((int(value), each.normalize().wkb_hex)
                  for each, value in zip(geometry, values, strict=True))  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(LABELS, st.integers(1, 12))
def test_polygons_are_gdals_whatever_the_strips(labels, rows):
    geometry, values, area = polygons(labels, rows)
    assert shapely.is_valid(geometry).all()
    assert ours(geometry, values) == by_gdal(labels)
    np.testing.assert_allclose(area, shapely.area(geometry))


def test_a_component_that_meets_itself_at_a_corner_is_valid():
    # A ring around one pixel, open at a corner, which the two strips see apart.
    labels = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]], np.uint8)
    for rows in (1, 2, 3):
        geometry, _, _ = polygons(labels, rows)
        assert len(geometry) == 1
        assert geometry[0].is_valid
        assert len(geometry[0].interiors) == 1
        assert geometry[0].area == 7


@pytest.mark.parametrize("rows", [1, 7, 64, 1000])
def test_holes_islands_and_burning_back(rows):
    labels = blobs((200, 230), nodata=True)
    geometry, values, _ = polygons(labels, rows, excluded=(0, 255))
    burnt = rasterize(zip(geometry, values, strict=True), labels.shape, dtype="uint8")
    np.testing.assert_array_equal(burnt, np.where(labels == 255, 0, labels))
    assert sum(len(each.interiors) for each in geometry) > 20
    # Outer rings run counter-clockwise where y points up; here it points down.
    assert ours(geometry, values) == ours(*polygons(labels, excluded=(0, 255))[:2])


def test_labels_beyond_a_byte_and_below_zero():
    labels = np.array([[-7, -7, 70000], [0, -7, 70000]], np.int32)
    _, values, area = polygons(labels, 1)
    assert dict(zip(values.tolist(), area.tolist(), strict=True)) == {-7: 3.0, 70000: 2.0}


def test_small_polygons_go_and_small_holes_are_filled():
    labels = np.full((20, 20), 1, np.uint8)
    labels[3, 3] = 2  # a small polygon in a small hole
    labels[8:14, 8:14] = 3  # a large polygon in a large hole
    labels[0, 0] = 2  # a small polygon at the border
    geometry, values, area = polygons(labels, 6, min_area=5.0)
    assert sorted(zip(values.tolist(), area.tolist(), strict=True)) == [(1, 363.0), (3, 36.0)]
    (large,) = geometry[values == 1]
    assert [shapely.Polygon(hole).area for hole in large.interiors] == [36]
    np.testing.assert_allclose(area, shapely.area(geometry))


def test_filled_holes_and_what_stays_do_not_overlap():
    labels = blobs((150, 150), seed=11, nodata=False)
    for least in (1.0, 2.0, 3.0, 8.0, 150.0):
        geometry, _, _ = polygons(labels, 40, excluded=(), min_area=least)
        assert shapely.is_valid(geometry).all()
        assert shapely.union_all(geometry).area == pytest.approx(shapely.area(geometry).sum())
