"""Class names and the attribute table of a mask, in GDAL's `<mask>.aux.xml`.

rasterio cannot write either. QGIS and gdalinfo show the category names, ArcGIS the table.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

from rsclip.outputs.files.disk import write_error
from rsclip.words.legend import Legend

__all__ = ["write_pam"]

# GDALRATFieldType and GDALRATFieldUsage.
_INTEGER, _STRING = 0, 2
_COLUMNS = (
    ("Value", _INTEGER, 5),  # GFU_MinMax
    ("Class", _STRING, 2),  # GFU_Name
    ("Red", _INTEGER, 6),
    ("Green", _INTEGER, 7),
    ("Blue", _INTEGER, 8),
    ("Alpha", _INTEGER, 9),
)
_OURS = ("CategoryNames", "GDALRasterAttributeTable")


def write_pam(path: str | Path, legend: Legend) -> None:
    """Write category names (index = value) and the raster attribute table of band 1.

    Nodata is transparent and no class: it has no name and no row. What GDAL has put into a file of
    this name (such as a CRS that GeoTIFF keys cannot hold) stays.

    Args:
        path: `<mask>.aux.xml`, beside the mask.
        legend: Values, names, colours; 0 is "unclassified".

    Raises:
        WriteError: The file cannot be written.
    """
    path = Path(path)
    root, band = _existing(path)
    names = ET.SubElement(band, "CategoryNames")
    for value in range(max(legend.names) + 1):
        ET.SubElement(names, "Category").text = legend.names.get(value, "")
    table = ET.SubElement(band, "GDALRasterAttributeTable", tableType="thematic")
    for index, (name, kind, usage) in enumerate(_COLUMNS):
        column = ET.SubElement(table, "FieldDefn", index=str(index))
        ET.SubElement(column, "Name").text = name
        ET.SubElement(column, "Type").text = str(kind)
        ET.SubElement(column, "Usage").text = str(usage)
    for index, cells in enumerate(_rows(legend)):
        row = ET.SubElement(table, "Row", index=str(index))
        for cell in cells:
            ET.SubElement(row, "F").text = str(cell)
    tree = ET.ElementTree(root)
    ET.indent(tree)
    try:
        tree.write(path, encoding="utf-8")
    except OSError as error:
        raise write_error(error, path) from error


def _rows(legend: Legend) -> Iterator[tuple[int | str, ...]]:
    names, colours = legend.names, legend.colours
    for value in sorted(names):
        yield value, names[value], *colours[value], 255


def _existing(path: Path) -> tuple[ET.Element, ET.Element]:
    """Return the root and band 1 of what GDAL wrote, or of a new document."""
    root = ET.parse(path).getroot() if path.exists() else ET.Element("PAMDataset")
    band = root.find("PAMRasterBand[@band='1']")
    if band is None:
        band = ET.SubElement(root, "PAMRasterBand", band="1")
    for name in _OURS:
        for element in band.findall(name):
            band.remove(element)
    return root, band
