"""Formats of polygons: their file names, and what they can hold; no file is touched."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pyproj
from rasterio.crs import CRS

from rsclip.errors import OutputError, warn
from rsclip.geo.units import PROJ_ERRORS, to_pyproj
from rsclip.outputs.files.disk import HIDDEN_PREFIX

__all__ = [
    "FORMATS",
    "LAYER",
    "SHORT_NAMES",
    "VECTOR_FORMATS",
    "Format",
    "check_length",
    "check_path",
    "check_place",
    "has_prj",
    "kind_of",
    "long_names",
    "vector_names",
]

LAYER = "polygons"

SHORT_NAMES = {
    "perimeter_m": "perim_m",
    "perimeter_px": "perim_px",
    "mean_confidence": "mean_conf",
}
# SQLITE_MAX_PATHNAME, less what it adds for its journals ("-journal").
_SQLITE_PATH = 500
# SQLite takes these for letters of a URL.
_DECODED = re.compile(r"%[0-9A-Fa-f]{2}")


@dataclass(frozen=True, slots=True)
class Format:
    """A vector format.

    Attributes:
        driver: Of GDAL; None: it is written by pyarrow.
        geometry: Name of the geometry column.
        parts: Suffixes of further files.
        options: Of the layer, as the driver takes them.
        about: Of the file, as the driver takes them.
    """

    driver: str | None
    geometry: str
    parts: tuple[str, ...] = ()
    options: Mapping[str, str] | None = None
    about: Mapping[str, str] | None = None


# Suffix, which is also the option's value.
FORMATS: Mapping[str, Format] = {
    # Older programs warn of version 1.4, which has nothing more for polygons.
    "gpkg": Format("GPKG", "geom", about={"VERSION": "1.3"}),
    "geojson": Format("GeoJSON", "geometry", (), {"RFC7946": "YES"}),
    "fgb": Format("FlatGeobuf", "geometry"),
    "shp": Format(
        "ESRI Shapefile", "geometry", ("shx", "dbf", "prj", "cpg"), {"ENCODING": "UTF-8"}
    ),
    "parquet": Format(None, "geometry"),
}


VECTOR_FORMATS = tuple(FORMATS)
"""Suffixes of the vector formats."""


def kind_of(path: str | Path) -> str:
    """Return the format that a file's ending names, in lower case and without the point."""
    return Path(path).suffix.lower().removeprefix(".")


def long_names(kind: str) -> dict[str, str]:
    """Return field name in a file -> full name, where a format has shorter ones."""
    return {short: name for name, short in SHORT_NAMES.items()} if kind == "shp" else {}


def vector_names(stem: str, kind: str, *, placed: bool = True) -> dict[str, str]:
    """Return key -> file name of the polygons of a scene.

    Args:
        stem: What stands before the suffix, such as "scene_polygons".
        kind: One of `VECTOR_FORMATS`.
        placed: A Shapefile has a `.prj`, by `has_prj`.
    """
    names = {"polygons": f"{stem}.{kind}"}
    for part in FORMATS[kind].parts:
        if part == "prj" and not placed:
            continue
        names[f"polygons_{part}"] = f"{stem}.{part}"
    if kind != "gpkg":
        names["polygons_style"] = f"{stem}.qml"
    return names


def has_prj(crs: CRS | None) -> bool:
    """Whether GDAL writes a CRS beside a Shapefile: it has no form for a geocentric one."""
    return bool(crs) and not _is_geocentric(crs)


def check_place(kind: str, crs: CRS | None, where: object) -> None:
    """Refuse a format that has no form for a scene's coordinates.

    Raises:
        OutputError: GeoJSON, which is in longitude and latitude, of a scene without a CRS or with
            one from which no way leads there.
    """
    if kind != "geojson" or (crs and _leads_to_degrees(crs)):
        return
    what = "its CRS cannot be turned into them" if crs else "the raster has no CRS"
    raise OutputError(
        f"GeoJSON is in longitude and latitude (RFC 7946), and {what}",
        where=where,
        remedy="Choose another --vector-format, such as gpkg, or give the raster a"
        f"{'nother' if crs else ''} CRS.",
    )


def _leads_to_degrees(crs: CRS) -> bool:
    try:
        pyproj.Transformer.from_crs(to_pyproj(crs), "EPSG:4326")
    except PROJ_ERRORS:
        return False
    return not _is_geocentric(crs)


def _is_geocentric(crs: CRS) -> bool:
    try:
        return bool(to_pyproj(crs).is_geocentric)
    except PROJ_ERRORS:
        return False


def check_path(path: str | Path, kind: str) -> None:
    """Refuse a file or folder that pyogrio would take for part of a URL; warn of what SQLite would.

    Args:
        path: Of the file, or of the folder it will be in.
        kind: One of `VECTOR_FORMATS`, or "none".

    Raises:
        OutputError: There is ";" or "!" in its path.
    """
    if kind in ("none", "parquet"):
        return
    for letter in ";!":
        if letter in os.fspath(path):
            raise OutputError(
                f"vector files cannot be written to a path with {letter!r} in it",
                where=path,
                remedy="Choose another folder (-o), or --vector-format=none or parquet.",
            )
    full = str(Path(path).absolute())
    if kind == "gpkg" and (code := _DECODED.search(full)):
        warn(
            f"QGIS cannot open a GeoPackage with {code[0]!r} in its path ({full}): choose "
            "another folder (-o), or --vector-format=fgb"
        )


def check_length(path: Path, kind: str, last: str | None = None) -> None:
    """Refuse a GeoPackage whose path is too long for SQLite while it is being written.

    Args:
        path: The final one.
        kind: One of `VECTOR_FORMATS`, or "none".
        last: Name of the last output, after which the folder of unfinished work is named; that of
            the GeoPackage by default.

    Raises:
        OutputError: The path in the folder of unfinished work has too many bytes.
    """
    if kind != "gpkg":
        return
    folder = path.parent.absolute()
    draft = folder / f"{HIDDEN_PREFIX}{last or path.name}" / path.name
    if len(os.fsencode(draft)) >= _SQLITE_PATH:
        raise OutputError(
            f"the path of the GeoPackage would be longer than the {_SQLITE_PATH} bytes that SQLite "
            "takes",
            where=folder,
            remedy="Choose a shorter folder (-o), or --vector-format=fgb.",
        )
