"""Simplified and smooth outlines: neighbours keep one edge, across strips too."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from rsclip.geo.measure import Measure
from rsclip.vectors.orthogonal import square_off
from tests.vectors.make import PLACES, blobs, polygons

LABELS = st.builds(
    lambda labels, size: np.kron(labels, np.ones((size, size), np.uint8)),
    arrays(np.uint8, st.tuples(st.integers(1, 10), st.integers(1, 10)), elements=st.integers(0, 2)),
    st.integers(1, 4),
)


@settings(deadline=None, max_examples=100)
@given(LABELS, st.integers(1, 20), st.sampled_from([0.5, 1.0, 2.5]), st.booleans())
def test_shaped_polygons_neither_overlap_nor_gap(labels, rows, tolerance, smooth):
    geometry, _, area = polygons(labels, rows, excluded=(), tolerance=tolerance, smooth=smooth)
    assert shapely.is_valid(geometry).all()
    assert shapely.coverage_is_valid(geometry)
    assert area.sum() == pytest.approx(labels.size)
    assert shapely.union_all(geometry).area == pytest.approx(labels.size)


@pytest.mark.parametrize("rows", [16, 1000])
def test_simplifying_takes_vertices_and_keeps_the_shape(rows):
    # A slope of one in three, drawn by pixels.
    y, x = np.mgrid[:90, :120]
    labels = np.where(y * 3 > x, 1, 2).astype(np.uint8)
    exact, _, _ = polygons(labels)
    simple, values, area = polygons(labels, rows, tolerance=1.5)
    assert shapely.get_num_coordinates(simple).sum() < shapely.get_num_coordinates(exact).sum() / 4
    expected = [(labels == value).sum() for value in values]
    np.testing.assert_allclose(area, expected, rtol=0.02)
    assert shapely.coverage_is_valid(simple)


def test_smoothing_rounds_a_disc():
    y, x = np.mgrid[:60, :60]
    labels = (np.hypot(y - 29.5, x - 29.5) < 20).astype(np.uint8)
    ((disc,), _, _) = polygons(labels, tolerance=1.0, smooth=True)
    assert disc.area == pytest.approx(np.pi * 400, rel=0.05)
    # Steps of pixels make a perimeter 4 / pi too long.
    assert disc.length == pytest.approx(2 * np.pi * 20, rel=0.05)
    points = shapely.get_coordinates(disc)
    ahead = np.diff(np.concatenate([points, points[1:2]]), axis=0)
    turns = np.diff(np.unwrap(np.arctan2(ahead[:, 1], ahead[:, 0])))
    # Steps of pixels turn by 90 degrees.
    assert np.degrees(np.abs(turns)).max() < 75


def test_classes_without_polygons_shape_their_neighbours_edges():
    labels = blobs((80, 90), nodata=True)
    every, values, _ = polygons(labels, 30, excluded=(), tolerance=2.0)
    some, _, _ = polygons(labels, 30, excluded=(0, 255), tolerance=2.0)
    kept = every[(values != 0) & (values != 255)]
    assert sorted(each.wkb_hex for each in shapely.normalize(some)) == sorted(
        each.wkb_hex for each in shapely.normalize(kept)
    )


def angles(polygon, size=(1.0, 1.0)):
    """Return how far each corner is from a right angle, degrees."""
    points = shapely.get_coordinates(polygon.exterior) * size
    ahead = np.diff(np.concatenate([points, points[1:2]]), axis=0)
    turn = np.degrees(np.arctan2(ahead[:, 1], ahead[:, 0]))
    part = np.abs(np.diff(turn)) % 90
    return np.minimum(part, 90 - part)


def house(angle=0.35):
    """Return an L turned by an angle, as pixels."""
    y, x = np.mgrid[:100, :100] - 50.0
    along = x * np.cos(angle) + y * np.sin(angle)
    across = y * np.cos(angle) - x * np.sin(angle)
    inside = (np.abs(along) < 30) & (np.abs(across) < 20) & ~((along > 0) & (across > 0))
    return inside.astype(np.uint8)


@pytest.mark.parametrize("tolerance", [0.0, 1.5])
def test_buildings_become_right_angled(tolerance):
    labels = house()
    (was,), _, _ = polygons(labels)
    (new,), _, area = polygons(labels, tolerance=tolerance, redraw={1: square_off})
    assert len(new.exterior.coords) == 7
    assert angles(new).max() < 1e-6
    assert new.intersection(was).area / new.union(was).area > (0.93 if tolerance else 0.95)
    np.testing.assert_allclose(area, new.area)


def test_right_angles_are_right_on_the_ground():
    # At 47 degrees a pixel of degrees is a third less wide than high.
    crs, transform = PLACES["degrees"]
    measure = Measure(rasterio_crs(crs), transform, (100, 100))
    size = np.array(measure.pixel_size(50, 50))
    assert size[0] / size[1] == pytest.approx(0.68, abs=0.01)
    y, x = (np.mgrid[:100, :100] - 50.0) * (size / size.max())[::-1, None, None]
    labels = (np.abs(x + y) + np.abs(x - y) < 40).astype(np.uint8)
    (new,), _, _ = polygons(labels, redraw={1: lambda one, _: square_off(one, measure)})
    assert angles(new, size).max() < 0.01


def test_what_is_not_angular_stays_and_holes_are_kept():
    labels = np.zeros((40, 60), np.uint8)
    labels[5, 2:50] = 1  # a line one pixel wide
    labels[15:35, 10:40] = 2
    labels[20:28, 18:30] = 0
    geometry, values, _ = polygons(labels, redraw={1: square_off, 2: square_off})
    line, frame = geometry[values == 1][0], geometry[values == 2][0]
    assert line.area == 48
    assert frame.is_valid
    assert frame.area == 20 * 30 - 8 * 12


def rasterio_crs(text):
    from rasterio.crs import CRS

    return CRS.from_string(text)


def test_small_polygons_keep_their_outline_and_the_order_stays():
    labels = np.ones((80, 120), np.uint8)
    y, x = np.mgrid[:80, :120]
    labels[np.abs(x - 30) + np.abs(y - 40) < 20] = 2
    labels[38:42, 28:32] = 1
    rng = np.random.default_rng(2)
    labels[rng.integers(0, 80, 60), rng.integers(60, 120, 60)] = 3
    seen = []

    def redraw(outlines, measure):
        seen.append(np.abs(shapely.area(outlines.polygons())).sum())
        return square_off(outlines, measure)

    plain, values, _ = polygons(labels, 30)
    drawn, same, area = polygons(labels, 30, redraw={2: redraw, 3: redraw})
    np.testing.assert_array_equal(values, same)
    assert seen
    assert min(seen) >= 4
    assert shapely.is_valid(drawn).all()
    np.testing.assert_allclose(shapely.area(drawn), area)
    kept = (values == 1) | (shapely.area(plain) < 4)
    assert shapely.equals(plain[kept], drawn[kept]).all()
    assert not shapely.equals(plain[values == 2], drawn[values == 2]).any()
