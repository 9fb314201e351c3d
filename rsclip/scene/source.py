"""What a scene is called, and whether it is of a kind that can be segmented."""

import functools
import re
import shlex
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from rsclip.errors import SceneError
from rsclip.files import expand
from rsclip.geo.grid import utm_zone

__all__ = [
    "check_usable",
    "in_shell",
    "is_remote",
    "is_there",
    "is_virtual",
    "open_error",
    "place_within",
    "stem_of",
]

_REMOTE = re.compile(r"(?:https?|ftp|s3|gs|az|oss)://|^/vsi(?:curl|s3|gs|az|adls|oss|swift)")
_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f]+')
# QGIS opens no GeoPackage whose name has these (SQLite decodes them), pyogrio writes no such file.
# Tabs, newlines and blanks at an end get lost in VRTs, lists and SQLite.
_UNOPENED = re.compile(r"%(?=[0-9A-Fa-f]{2})|[;!\x00-\x1f\x7f]|^ | $")
_DRIVE = re.compile(r"[A-Za-z]:\\")
_PREFIX = re.compile(r"([A-Za-z][A-Za-z0-9_]+):")
_QUOTED = re.compile(r'(\w+:)"([^"]*)"(.*)', re.DOTALL)
# A path within a file may follow its name with "://" too (HDF5:"a.h5"://band).
_URL = re.compile(r"(?:^|:)[A-Za-z][A-Za-z0-9+-]*://")
# Of subdatasets that are not named after their driver, and of one that may not be built in.
_FURTHER_PREFIXES = frozenset({"ecrg", "hdf4", "jpeg2000", "radarsat", "rasterlite2", "sentinel1"})
_SHOWN = 3


def is_remote(source: str) -> bool:
    """Say whether a source is read over the network."""
    return bool(_REMOTE.search(source))


def is_virtual(source: str) -> bool:
    """Say whether a source is no plain path: a URL, GDAL's /vsi... or DRIVER:... form."""
    if source.startswith("/vsi") or re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", source):
        return True
    # A colon alone may stand in any file's name, such as a time of day.
    match = _PREFIX.match(source)
    if match is None:
        return False
    name = match[1].lower()
    return not _prefixes().isdisjoint({name, name.split("_")[0]})


def place_within(source: str, base: Path) -> tuple[str, bool]:
    """Return a DRIVER:... form with its file by full path, and whether that may be there.

    Args:
        source: As `is_virtual` knows it; what names no file by a relative path stays as it is.
        base: Folder from which relative paths are meant.
    """
    if quoted := _QUOTED.fullmatch(source):
        head, name, tail = quoted.groups()
        if name.startswith("/vsi") or _URL.match(name):
            return source, True
        file = base / expand(name)
        return (f'{head}"{file}"{tail}', True) if is_there(file) else (source, False)
    if source.startswith("/vsi") or _URL.search(source):
        return source, True
    pieces = source.split(":")
    for index, piece in enumerate(pieces[1:], 1):
        if piece and is_there(base / piece) and (base / piece).is_file():
            return ":".join([*pieces[:index], str(base / piece), *pieces[index + 1 :]]), True
    return source, True


def is_there(path: Path) -> bool:
    """Say whether a file is there; a name too long for the disk, or in a closed folder, is not."""
    try:
        return path.exists()
    except OSError:
        return False


@functools.cache
def _prefixes() -> frozenset[str]:
    with rasterio.Env() as env:
        return _FURTHER_PREFIXES | {name.lower() for name in env.drivers()}


def stem_of(source: str | Path) -> str:
    """Return the name that the outputs of a source begin with: its last component's stem.

    What keeps programs from opening them ("%20", ";", "!", a tab, a leading blank) becomes an
    underscore.

    "a/b.tif" gives b; "https://host/b.tif?key=1" b; "GTIFF_DIR:2:b.tif" b; 'NETCDF:"b.nc":red'
    b_red; 'HDF5:"b.h5"://group/red' b_group_red.
    """
    name = str(source)
    if is_there(Path(name)) or not (is_virtual(name) or _DRIVE.match(name)):
        return _UNOPENED.sub("_", Path(name).stem) or "scene"
    if quoted := _QUOTED.fullmatch(name):
        _, file, inner = quoted.groups()
        stem = "_".join([Path(file).stem, *filter(None, re.split(r"[:/\\]+", inner))])
        return _plain(stem)
    if _URL.search(name):
        name = re.split(r"[?#]", name)[0]
    elif _PREFIX.match(name):
        own = name.split(":")
        # What follows the file's name is the part of it, which may have slashes too.
        at = next((i for i, piece in enumerate(own) if Path(piece).suffix), None)
        if at is not None:
            inner = re.split(r"[:/\\]+", ":".join(own[at + 1 :]))
            return _plain("_".join([Path(own[at]).stem, *filter(None, inner)]))
    parts = [part for part in re.split(r"[/\\!]", name.replace('"', "")) if part.strip("{}")]
    pieces = (parts[-1] if parts else "").split(":")
    # Before the file's name a subdataset names its driver, after it the part of the file.
    first = next((i for i, piece in enumerate(pieces) if Path(piece).suffix), len(pieces) - 1)
    return _plain("_".join([Path(pieces[first].strip("{}")).stem, *pieces[first + 1 :]]))


def _plain(stem: str) -> str:
    return _UNOPENED.sub("_", _UNSAFE.sub("_", stem)).strip(" .") or "scene"


def open_error(source: str, reason: str) -> SceneError:
    """Say why a source could not be opened.

    Args:
        source: The scene as it was named.
        reason: GDAL's words.
    """
    plain = source.encode("utf-8", "backslashreplace").decode()
    if plain != source:
        return SceneError(
            "its name is not UTF-8, as GDAL wants names",
            where=plain,
            remedy="Rename it (convmv -f latin1 -t utf8), or make a link of another name.",
        )
    if is_remote(source):
        return SceneError(
            f"cannot be opened: {reason}",
            where=source,
            remedy="Check the address, the network and the credentials.",
        )
    path = Path(source)
    local = not is_virtual(source)
    if local and not is_there(path):
        return SceneError("no such file", where=source, remedy="Check the path.")
    if local and path.is_dir():
        return SceneError("is a folder", where=source, remedy="Name the raster in it.")
    if "not recognized" in reason and is_there(path):
        return SceneError(
            "not a raster that GDAL can read",
            where=source,
            remedy="`gdalinfo` shows what GDAL makes of a file.",
        )
    return SceneError(f"cannot be opened: {reason}", where=source, remedy="Check the path.")


def check_usable(source: str, dataset: DatasetReader) -> None:
    """Refuse what cannot be segmented as it is, with the line that makes it usable.

    Raises:
        SceneError: No bands, complex pixels, or a place on Earth by GCPs or RPCs only.
    """
    if not dataset.count:
        _refuse_container(source, dataset)
    stem, place = stem_of(source), in_shell(source)
    if any(dtype.startswith("complex") for dtype in dataset.dtypes):
        amplitude = in_shell(f"DERIVED_SUBDATASET:AMPLITUDE:{_gdal_name(source)}")
        raise SceneError(
            "its pixels are complex numbers, not an image",
            where=source,
            remedy="Make one of their amplitude first: "
            f"gdal_translate {amplitude} {in_shell(stem + '_amplitude.tif')}",
        )
    if not np.isfinite(dataset.transform).all():
        raise SceneError(
            "its georeference holds what is no number",
            where=source,
            remedy=f"Remove it: `gdal_edit.py -unsetgt {place}`, or give it a new one: "
            f"`gdal_edit.py -a_ullr LEFT TOP RIGHT BOTTOM {place}`.",
        )
    if not dataset.transform.is_identity:
        return
    target = in_shell(f"{stem}_warped.tif")
    gcps, gcp_crs = dataset.gcps
    if gcps:
        options = note = ""
        if gcp_crs and gcp_crs.is_geographic:
            longitudes = np.array([point.x for point in gcps])
            latitude = float(np.mean([point.y for point in gcps]))
            options = f"-t_srs {utm_zone(_middle(longitudes), latitude)} "
            if np.ptp(longitudes) > 180:
                note = ", with GDAL 3.8 or newer as the points lie on both sides of the date line"
        elif gcp_crs:
            options = f"-t_srs {shlex.quote(gcp_crs.to_string())} "
        # Without a CRS the points' own coordinates become the grid's.
        raise _unwarped(source, "ground control points", f"{options}{place} {target}", note)
    if dataset.rpcs is not None:
        zone = utm_zone(dataset.rpcs.long_off, dataset.rpcs.lat_off)
        raise _unwarped(
            source, "rational polynomials (RPC)", f"-rpc -t_srs {zone} {place} {target}"
        )
    if dataset.tags(ns="GEOLOCATION"):
        raise _unwarped(
            source,
            "arrays of longitude and latitude (GEOLOCATION)",
            f"-geoloc -t_srs EPSG:4326 {place} {target}",
        )


def _middle(longitudes: NDArray[np.float64]) -> float:
    """Return the mean of longitudes that lie near one another, across the date line too."""
    first = longitudes[0]
    return float(first + np.mean((longitudes - first + 180) % 360 - 180))


def _unwarped(source: str, kind: str, arguments: str, note: str = "") -> SceneError:
    return SceneError(
        f"it is placed on Earth by {kind} only, so its pixels are not on a map grid yet",
        where=source,
        # The warped image stands askew in its rectangle: alpha tells the corners from data.
        remedy=f"Warp it first{note}: gdalwarp -r bilinear -dstalpha {arguments}",
    )


def _refuse_container(source: str, dataset: DatasetReader) -> None:
    names = list(dataset.subdatasets)
    if not names:
        raise SceneError("it has no bands", where=source, remedy="Choose another raster.")
    shown = ", ".join(names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    raise SceneError(
        f"it holds {len(names)} rasters and is none itself",
        where=source,
        remedy=f"Name one of them: {shown}{more}.",
    )


def in_shell(source: str | Path) -> str:
    """Write a file's name or a URL as one word of a shell's command, as GDAL's tools take it."""
    name = _gdal_name(str(source))
    # A name that begins with a dash would be an option.
    return shlex.quote(f"./{name}" if name.startswith("-") else name)


def _gdal_name(source: str) -> str:
    """Write URLs as GDAL's own tools take them."""
    return f"/vsicurl/{source}" if re.match(r"(?:https?|ftp)://", source) else source
