"""Right-angled outlines, for buildings.

The main direction of a polygon is that of its long sides; every side is turned along or across it,
sides in line are united, and short jogs go. All corners are then right angles on the ground.
"""

import numpy as np
import shapely
from numpy.typing import NDArray

from rsclip.geo.measure import Measure
from rsclip.vectors.features import Outlines

__all__ = ["square_off"]

Float = NDArray[np.float64]

# In pixels: how far a side may leave the outline, and the shortest jog that stays.
_TOLERANCE = 1.0
_LEAST_SIDE = 2.0
# The least overlap (intersection over union) with the outline as it was.
_LEAST_OVERLAP = 0.6


def square_off(outlines: Outlines, measure: Measure) -> Outlines:
    """Return the outlines with right angles; as they were where those do not fit the shape.

    Args:
        outlines: Of one owner.
        measure: Of the raster's grid: angles are right on the ground.
    """
    first, last = outlines.points.min(axis=0), outlines.points.max(axis=0)
    # Square on the ground, in units near a pixel.
    size = np.array(measure.pixel_size(*(first + last) / 2))
    size = size / np.sqrt(size.prod()) if (size > 0).all() else np.ones(2)
    rings = [
        (outlines.points[begin:end] - first) * size
        for begin, end in zip(outlines.offsets[:-1], outlines.offsets[1:], strict=True)
    ]
    angle = _main_direction(_plain(rings[0]))
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    squared = [_squared(_plain(ring @ turn)) for ring in rings]
    old = shapely.Polygon(rings[0], rings[1:])
    if squared[0] is None:
        return outlines
    # Holes too narrow for right angles keep their outline.
    made = [ring if new is None else new @ turn.T for ring, new in zip(rings, squared, strict=True)]
    new = shapely.Polygon(made[0], made[1:])
    if not new.is_valid:
        made = [made[0], *rings[1:]]
        new = shapely.Polygon(made[0], made[1:])
    if not new.is_valid or _overlap(old, new) < _LEAST_OVERLAP:
        return outlines
    points = [_running_as(ring, was) / size + first for ring, was in zip(made, rings, strict=True)]
    offsets = np.concatenate(([0], np.cumsum([len(ring) for ring in points])))
    return Outlines(np.concatenate(points), offsets, outlines.owner, outlines.hole)


def _plain(ring: Float) -> Float:
    """Return a ring without steps of single pixels (Douglas and Peucker 1973)."""
    closed = shapely.Polygon(ring).simplify(_TOLERANCE, preserve_topology=True)
    return np.asarray(shapely.get_coordinates(closed.exterior)[:-1])


def _main_direction(ring: Float) -> float:
    """Return the direction of most of the sides' squared length, radians modulo a right angle."""
    dx, dy = (np.roll(ring, -1, axis=0) - ring).T
    angle, weight = 4 * np.arctan2(dy, dx), dx * dx + dy * dy
    return float(np.arctan2((weight * np.sin(angle)).sum(), (weight * np.cos(angle)).sum()) / 4)


def _squared(ring: Float) -> Float | None:
    """Return a ring of level and upright sides only, or None if fewer than four are left."""
    ahead = np.roll(ring, -1, axis=0)
    step, middle = ahead - ring, (ring + ahead) / 2
    level = np.abs(step[:, 0]) > np.abs(step[:, 1])
    # Begin where the direction changes, so that no group of sides is cut in two.
    turns = np.flatnonzero(level != np.roll(level, 1))
    if len(turns) < 4:
        return None
    step, middle = np.roll(step, -turns[0], axis=0), np.roll(middle, -turns[0], axis=0)
    level = np.roll(level, -turns[0])
    group = np.cumsum(level != np.roll(level, 1)) - 1
    # A level side has a height, an upright one a distance from the left.
    length = np.where(level, np.abs(step[:, 0]), np.abs(step[:, 1]))
    place = np.where(level, middle[:, 1], middle[:, 0])
    weight = np.bincount(group, length)
    places = (np.bincount(group, place * length) / weight).tolist()
    weights = weight.tolist()
    _drop_jogs(places, weights)
    if len(places) < 4:
        return None
    here, back = np.array(places), np.roll(places, 1)
    starts_level = np.arange(len(places)) % 2 == (0 if level[0] else 1)
    return np.column_stack([np.where(starts_level, back, here), np.where(starts_level, here, back)])


def _drop_jogs(places: list[float], weights: list[float]) -> None:
    """Take the shortest side out and unite the two beside it, until all are long enough."""
    while len(places) > 4:
        count = len(places)
        sides = [abs(places[(i + 1) % count] - places[i - 1]) for i in range(count)]
        shortest = min(range(count), key=sides.__getitem__)
        if sides[shortest] >= _LEAST_SIDE:
            return
        before, after = (shortest - 1) % count, (shortest + 1) % count
        weight = weights[before] + weights[after]
        places[before] = (
            places[before] * weights[before] + places[after] * weights[after]
        ) / weight
        weights[before] = weight
        for index in sorted((shortest, after), reverse=True):
            del places[index], weights[index]
        if after == 0:
            # What was second is first now: begin with a side of the same kind as before.
            places.insert(0, places.pop())
            weights.insert(0, weights.pop())


def _overlap(one: shapely.Polygon, other: shapely.Polygon) -> float:
    return float(one.intersection(other).area / one.union(other).area)


def _running_as(ring: Float, other: Float) -> Float:
    """Return a ring in the sense in which another runs."""
    same = shapely.is_ccw(shapely.LinearRing(ring)) == shapely.is_ccw(shapely.LinearRing(other))
    return ring if same else ring[::-1]
