"""GeoJSON of polygons: as many decimals as they need, one turn of the Earth, only polygons."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from rsclip.files import new_file

__all__ = ["decimals", "keep_polygons", "within_turn"]

Polygons = NDArray[np.object_]

# RFC 7946, 11.2 speaks of six, about 10 cm; seven are QGIS's and GDAL's own.
_DECIMALS = 7
# What a double holds of three-digit degrees.
_MOST = 13
# Steps of the last decimal in a pixel, below which corners would meet.
_STEPS = 10
_METRES_A_DEGREE = 111_320.0
_POLYGONS = (b'"geometry": { "type": "Polygon"', b'"geometry": { "type": "MultiPolygon"')
_FEATURE = b'{ "type": "Feature"'
# A part without a single point; in a name too, which the slow way then tells.
_EMPTY = b"[ ]"


def decimals(pixel: float) -> int:
    """Return the decimals of degrees that tell the corners of pixels of this size (m) apart."""
    if not 0 < pixel < math.inf:
        return _DECIMALS
    needed = math.ceil(math.log10(_STEPS * _METRES_A_DEGREE / pixel))
    return min(max(needed, _DECIMALS), _MOST)


def within_turn(polygons: Polygons, turn: float, grid: float | None = None) -> Polygons:
    """Bring polygons by whole turns to half a turn east and west, cut at the date line.

    Grids in degrees begin anywhere, at 0, 340 or -180.25; GDAL knows only the first
    line beyond 180.

    Args:
        polygons: object (K,) in longitude and latitude.
        turn: 360 in the unit of the longitudes.
        grid: Corners are moved to multiples of it where parts are put together again; a whole turn
            leaves their sides apart by a double's last digits.
    """
    half = turn / 2
    west, _, east, _ = shapely.bounds(polygons).T
    first = np.floor((west + half) / turn)
    last = np.maximum(np.ceil((east - half) / turn), first)
    if not (first.any() or last.any()):
        return polygons
    found = polygons.copy()
    for index in np.flatnonzero((first != 0) | (last != 0)).tolist():
        numbers = range(int(first[index]), int(last[index]) + 1)
        found[index] = _turned(polygons[index], numbers, turn, grid)
    return found


def _turned(polygon: Any, numbers: range, turn: float, grid: float | None) -> Any:
    parts = []
    _, south, _, north = polygon.bounds
    for number in numbers:
        part = polygon
        if len(numbers) > 1:
            middle = number * turn
            box = shapely.box(middle - turn / 2, south - 1, middle + turn / 2, north + 1)
            part = shapely.intersection(polygon, box)
        parts.append(shapely.transform(part, lambda xy, by=number * turn: xy - [by, 0]))
    return parts[0] if len(parts) == 1 else shapely.union_all(parts, grid_size=grid)


def keep_polygons(path: str | Path) -> int:
    """Take out of a GeoJSON file what rounding has left without an area.

    GDAL makes rounded geometries valid: a sliver becomes a line or a point, a polygon with a spike
    a collection. Of collections the polygons stay.

    Args:
        path: As GDAL writes it, one feature a line; replaced only if something has to go.

    Returns:
        Number of features that stay.

    Raises:
        OSError: The file cannot be read or written.
    """
    path = Path(path)
    with path.open("rb") as file:
        kept = [_is_kept(line) for line in file if line.startswith(_FEATURE)]
    if all(kept):
        return len(kept)
    count = 0
    # The file is closed before it is replaced.
    with new_file(path, synced=False) as draft:  # noqa: SIM117
        with path.open("rb") as file, draft.open("wb") as target:
            between = b""
            for line in file:
                if not line.startswith(_FEATURE):
                    target.write((b"\n" if between else b"") + line)
                    between = b""
                    continue
                feature = line.rstrip().removesuffix(b",")
                if not _is_kept(line):
                    feature = _with_polygons(feature)
                if not feature:
                    continue
                count += 1
                target.write(between + feature)
                between = b",\n"
    return count


def _is_kept(line: bytes) -> bool:
    return any(text in line for text in _POLYGONS) and _EMPTY not in line


def _with_polygons(feature: bytes) -> bytes:
    content: dict[str, Any] = json.loads(feature)
    polygons = [rings for rings in _polygons(content.pop("geometry")) if rings and rings[0]]
    if not polygons:
        return b""
    geometry = {"type": "MultiPolygon", "coordinates": polygons}
    if len(polygons) == 1:
        geometry = {"type": "Polygon", "coordinates": polygons[0]}
    # Spaced as GDAL does, so that it is known again.
    head = json.dumps(content, ensure_ascii=False).removeprefix('{"type": "Feature"')
    text = f'{head[:-1]}, "geometry": {{ {json.dumps(geometry)[1:]} }}'
    return _FEATURE + text.encode()


def _polygons(geometry: dict[str, Any] | None) -> Iterator[Any]:
    if geometry is None:
        return
    if geometry["type"] == "Polygon":
        yield geometry["coordinates"]
    elif geometry["type"] == "MultiPolygon":
        yield from geometry["coordinates"]
    for part in geometry.get("geometries", ()):
        yield from _polygons(part)
