"""The class names that a raster carries, whatever tool and format it comes from.

GDAL reads the category names and attribute tables of every format; rasterio shows neither. A VRT
that GDAL writes of the raster holds both as XML, and that is read.
"""

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import rasterio.shutil

from rsclip.errors import warn
from rsclip.scene.gdal import GDAL_ERRORS
from rsclip.vectors.pyogrio_import import pyogrio

__all__ = ["names_of"]

# GDALRATFieldUsage and GDALRATFieldType.
_IS_NAME, _IS_VALUE = "2", ("5", "3")
_STRING = "2"
_VALUE_COLUMNS = ("value", "class_id", "pixel value", "id", "code")
_NAME_COLUMNS = (
    "class_name", "class_names", "classname", "class name", "class", "name", "label", "category",
    "description",
)  # fmt: skip


def names_of(dataset: Any) -> dict[int, str]:
    """Return value -> class name as a raster of one band says; empty where it says nothing.

    The first that says anything: rsclip's tag RSCLIP_CLASSES; GDAL's category names, and its raster
    attribute table for what they leave open (in the file, its `.aux.xml`, a VRT, ...); ArcGIS's
    table `<raster>.vat.dbf`. A file that names 0 alone says nothing where another names more.

    Args:
        dataset: An open rasterio dataset.
    """
    zero: dict[int, str] = {}
    for read in (_tagged, _of_gdal, _of_side_file, _of_arcgis):
        names = read(dataset)
        if any(names):
            return names
        zero = zero or names
    return zero


def _tagged(dataset: Any) -> dict[int, str]:
    try:
        classes = json.loads(dataset.tags().get("RSCLIP_CLASSES", "null")) or []
        return {int(item["value"]): str(item["name"]) for item in classes}
    except (ValueError, TypeError, KeyError):
        return {}


def _of_gdal(dataset: Any) -> dict[int, str]:
    try:
        with TemporaryDirectory() as folder:
            path = Path(folder) / "names.vrt"
            rasterio.shutil.copy(dataset, path, driver="VRT")
            root = _parsed(path.read_bytes(), dataset.name)
    except GDAL_ERRORS:
        return {}
    return _of_band(None if root is None else root.find("VRTRasterBand[@band='1']"))


def _of_side_file(dataset: Any) -> dict[int, str]:
    """Return what `.aux.xml` says where GDAL passes over it: it takes no XML header."""
    try:
        root = _parsed(Path(f"{dataset.name}.aux.xml").read_bytes(), dataset.name)
    except (OSError, ValueError):
        return {}
    return _of_band(None if root is None else root.find("PAMRasterBand[@band='1']"))


def _parsed(content: bytes, where: str) -> ET.Element | None:
    """Return the root of an XML text, or None where it is none."""
    try:
        return ET.fromstring(content)
    except ET.ParseError:
        if _is_utf8(content):
            return None
    try:
        root = ET.fromstring(content.decode("latin-1"))
    except ET.ParseError:
        return None
    warn(f"{where}: its class names are not UTF-8; they are read as Latin-1")
    return root


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _of_band(band: ET.Element | None) -> dict[int, str]:
    """Return what the XML of a band says: category names before the attribute table."""
    if band is None:
        return {}
    table = band.find("GDALRasterAttributeTable")
    names = {} if table is None else _of_table(table)
    categories = band.findall("CategoryNames/Category")
    return {**names, **{value: item.text for value, item in enumerate(categories) if item.text}}


def _of_table(table: ET.Element) -> dict[int, str]:
    """Return what a raster attribute table says."""
    fields = table.findall("FieldDefn")
    titles = [item.findtext("Name", "") for item in fields]
    usages = [item.findtext("Usage", "0") for item in fields]
    texts = [index for index, item in enumerate(fields) if item.findtext("Type") == _STRING]
    name = next((index for index in texts if usages[index] == _IS_NAME), None)
    if name is None:
        name = _titled(titles, _NAME_COLUMNS, texts)
    value = next((usages.index(usage) for usage in _IS_VALUE if usage in usages), None)
    if value is None:
        value = _titled(titles, _VALUE_COLUMNS, range(len(titles)))
    if name is None:
        return {}
    return dict(_rows(table, name, value))


def _rows(table: ET.Element, name: int, value: int | None) -> Iterator[tuple[int, str]]:
    # Without a column of values, rows are bins of equal width.
    begin, step = (float(table.get(key, other)) for key, other in (("Row0Min", 0), ("BinSize", 1)))
    for index, row in enumerate(table.findall("Row")):
        cells = [cell.text or "" for cell in row.findall("F")]
        if name >= len(cells) or (value is not None and value >= len(cells)):
            continue
        try:
            number = begin + step * index if value is None else float(cells[value])
            text = cells[name].strip()
            if text and number.is_integer():
                yield int(number), text
        except ValueError:
            continue


def _of_arcgis(dataset: Any) -> dict[int, str]:
    path = Path(f"{dataset.name}.vat.dbf")
    if not path.is_file():
        return {}
    try:
        about, _, _, columns = pyogrio.raw.read(path, read_geometry=False)
    except GDAL_ERRORS:
        return {}
    titles = [str(title) for title in about["fields"]]
    texts = [index for index, column in enumerate(columns) if column.dtype == object]
    name = _titled(titles, _NAME_COLUMNS, texts)
    value = _titled(titles, _VALUE_COLUMNS, range(len(titles)))
    if name is None or value is None:
        return {}
    pairs: Mapping[Any, Any] = dict(zip(columns[value], columns[name], strict=True))
    return {int(number): str(text) for number, text in pairs.items() if text}


def _titled(titles: Sequence[str], known: Sequence[str], of: Sequence[int]) -> int | None:
    """Return which of some columns has the first of the known titles; the only one if none has."""
    lowered = {titles[index].strip().lower(): index for index in of}
    found = next((lowered[title] for title in known if title in lowered), None)
    return of[0] if found is None and len(of) == 1 else found
