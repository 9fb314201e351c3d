"""GeoJSON of polygons: as many decimals as they need, and nothing but polygons."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["decimals", "keep_polygons"]

# RFC 7946, 11.2 speaks of six, about 10 cm; seven are QGIS's and GDAL's own.
_DECIMALS = 7
# What a double holds of three-digit degrees.
_MOST = 13
# Steps of the last decimal in a pixel, below which corners would meet.
_STEPS = 10
_METRES_A_DEGREE = 111_320.0
_POLYGONS = (b'"geometry": { "type": "Polygon"', b'"geometry": { "type": "MultiPolygon"')
_FEATURE = b'{ "type": "Feature"'


def decimals(pixel: float) -> int:
    """Return the decimals of degrees that tell the corners of pixels of this size (m) apart."""
    if not 0 < pixel < math.inf:
        return _DECIMALS
    needed = math.ceil(math.log10(_STEPS * _METRES_A_DEGREE / pixel))
    return min(max(needed, _DECIMALS), _MOST)


def keep_polygons(path: str | Path) -> int:
    """Take out of a GeoJSON file what rounding has left without an area.

    GDAL makes rounded geometries valid: a sliver becomes a line or a point, a polygon with a spike
    a collection. Of collections the polygons stay.

    Args:
        path: As GDAL writes it, one feature a line; replaced only if something has to go.

    Returns:
        Number of features that were taken out.

    Raises:
        OSError: The file cannot be read or written.
    """
    path = Path(path)
    with path.open("rb") as file:
        if all(_is_kept(line) for line in file):
            return 0
    draft = path.with_name(path.name + ".draft")
    gone = 0
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
                gone += 1
                continue
            target.write(between + feature)
            between = b",\n"
    draft.replace(path)
    return gone


def _is_kept(line: bytes) -> bool:
    return not line.startswith(_FEATURE) or any(text in line for text in _POLYGONS)


def _with_polygons(feature: bytes) -> bytes:
    content: dict[str, Any] = json.loads(feature)
    polygons = list(_polygons(content["geometry"]))
    if not polygons:
        return b""
    content["geometry"] = {"type": "MultiPolygon", "coordinates": polygons}
    return json.dumps(content, ensure_ascii=False).encode()


def _polygons(geometry: dict[str, Any] | None) -> Iterator[Any]:
    if geometry is None:
        return
    if geometry["type"] == "Polygon":
        yield geometry["coordinates"]
    elif geometry["type"] == "MultiPolygon":
        yield from geometry["coordinates"]
    for part in geometry.get("geometries", ()):
        yield from _polygons(part)
