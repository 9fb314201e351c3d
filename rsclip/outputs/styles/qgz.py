"""`<stem>.qgz`: a QGIS project of scene, mask and polygons that opens without a click.

Paths are relative to the project, so that the folder can be moved; styles are in the project.
Written for QGIS 3.22 and later.
"""

import os
import re
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rasterio.crs import CRS
from rasterio.transform import Affine

from rsclip.geo.units import PROJ_ERRORS, to_pyproj
from rsclip.outputs.files.disk import write_error
from rsclip.outputs.styles.qml import VERSION, categorised_renderer, paletted_pipe, rgb_pipe
from rsclip.types import Shape
from rsclip.words.legend import Legend

__all__ = ["ImageLayer", "relative_source", "write_project"]

_MASK_OPACITY = 0.5
# One moment for all, so that the same run gives the same bytes.
_ZIP_TIME = (2020, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class ImageLayer:
    """The scene as the project shows it.

    Attributes:
        source: As `relative_source` gives it.
        bands: 1-based bands as red, green, blue; None leaves the choice to QGIS (palettes).
        ends: Per band the values that become black and full colour; None for bytes as they are.
        alpha: 1-based alpha band, or None.
        nodata: The file declares a nodata value.
    """

    source: str
    bands: Sequence[int] | None
    ends: Sequence[tuple[float, float]] | None
    alpha: int | None = None
    nodata: bool = False


@dataclass(frozen=True, slots=True)
class _Layer:
    id: str  # of more than ten letters, else QGIS makes up another
    name: str
    source: str
    provider: str
    kind: str
    style: ET.Element | None
    crs: CRS | None
    extent: Sequence[float] | None  # None: QGIS asks the file


def relative_source(source: str, folder: str | Path) -> str:
    """Return a scene's source as a project in a folder names it.

    Files become relative to the folder; URLs become GDAL's; virtual paths stay.
    """
    if re.match(r"(?:https?|ftp)://", source):
        return f"/vsicurl/{source}"
    path = Path(source)
    if not path.exists():
        return source
    try:
        relative = os.path.relpath(path.resolve(), Path(folder).resolve())
    except ValueError:  # another drive of Windows
        return path.resolve().as_posix()
    text = Path(relative).as_posix()
    return text if text.startswith("../") else f"./{text}"


def write_project(
    path: str | Path,
    title: str,
    crs: CRS | None,
    transform: Affine,
    shape: Shape,
    legend: Legend,
    image: ImageLayer,
    mask: str,
    polygons: str | None = None,
) -> None:
    """Write a project: the scene below, the mask half transparent above it, then polygons.

    Args:
        path: The project.
        title: Its title, and the scene layer's name.
        crs: The scene's, or None.
        transform: The scene's.
        shape: (height, width) of the scene.
        legend: Names and colours.
        image: The scene.
        mask: File name of the mask, beside the project.
        polygons: File name of the polygons beside the project; a GeoPackage's layer is `polygons`.

    Raises:
        WriteError: The file cannot be written.
    """
    pipe = None
    if image.bands:
        corners = _black_corners(image, transform)
        pipe = rgb_pipe(image.bands, image.ends, image.alpha, clear_black=corners)
    extent = _extent(transform, shape)
    layers = [
        _Layer("rsclip_layer_scene", title, image.source, "gdal", "raster", pipe, crs, extent),
        _Layer("rsclip_layer_mask", "classes", f"./{mask}", "gdal", "raster",
               paletted_pipe(legend, _MASK_OPACITY), crs, extent),
    ]  # fmt: skip
    if polygons is not None:
        source = f"./{polygons}"
        place: tuple[CRS | None, Sequence[float] | None] = crs, extent
        if polygons.lower().endswith(".gpkg"):
            source += "|layername=polygons"
        elif polygons.lower().endswith(".geojson"):
            place = CRS.from_epsg(4326), None
        style = categorised_renderer(legend)
        layers.append(
            _Layer("rsclip_layer_polygons", "polygons", source, "ogr", "vector", style, *place)
        )
    root = ET.Element("qgis", version=VERSION, projectname=title)
    ET.SubElement(root, "title").text = title
    ET.SubElement(root, "projectCrs").append(_reference(crs))
    # The topmost layer comes first in the tree.
    tree = ET.SubElement(root, "layer-tree-group")
    for layer in reversed(layers):
        ET.SubElement(
            tree,
            "layer-tree-layer",
            id=layer.id,
            name=layer.name,
            source=layer.source,
            providerKey=layer.provider,
            # Mask and polygons show the same: one of them is enough to begin with.
            checked="Qt::Unchecked" if layer.kind == "vector" else "Qt::Checked",
            expanded="0" if layer.name == title else "1",
        )
    root.append(_canvas(crs, extent))
    order = ET.SubElement(root, "layerorder")
    container = ET.SubElement(root, "projectlayers")
    for layer in layers:
        container.append(_map_layer(layer))
    for layer in reversed(layers):
        ET.SubElement(order, "layer", id=layer.id)
    properties = ET.SubElement(root, "properties")
    paths = ET.SubElement(properties, "Paths")
    ET.SubElement(paths, "Absolute", type="bool").text = "false"
    if crs:
        # Without it QGIS ignores the project's CRS.
        reference = ET.SubElement(properties, "SpatialRefSys")
        ET.SubElement(reference, "ProjectionsEnabled", type="int").text = "1"
    view = ET.SubElement(ET.SubElement(root, "ProjectViewSettings", UseProjectScales="0"),
                         "DefaultViewExtent", _ends(extent))  # fmt: skip
    view.append(_reference(crs))
    ET.indent(root, " ")
    text = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n" + ET.tostring(
        root, encoding="unicode"
    )
    try:
        with zipfile.ZipFile(path, "w") as archive:
            info = zipfile.ZipInfo(f"{Path(path).stem}.qgs", _ZIP_TIME)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o644 << 16
            archive.writestr(info, text)
    except OSError as error:
        raise write_error(error, path) from error


def _black_corners(image: ImageLayer, transform: Affine) -> bool:
    """Say whether black has to be cleared for the corners' sake.

    QGIS turns a rotated raster north up and fills the corners: with nodata or an alpha of 0 where
    the file has them, else with zeros. It looks for black after the stretch, where dark pixels are
    black too: stretched scenes without either keep black corners.
    """
    rotated = bool(transform.b or transform.d)
    return rotated and image.ends is None and image.alpha is None and not image.nodata


def _map_layer(layer: _Layer) -> ET.Element:
    settings = {"type": layer.kind, "autoRefreshEnabled": "0", "hasScaleBasedVisibilityFlag": "0"}
    if layer.kind == "vector":
        settings |= {"geometry": "Polygon", "wkbType": "MultiPolygon", "simplifyDrawingHints": "1"}
    element = ET.Element("maplayer", settings)
    if layer.extent is not None:
        element.append(_box("extent", layer.extent))
    ET.SubElement(element, "id").text = layer.id
    ET.SubElement(element, "datasource").text = layer.source
    ET.SubElement(element, "layername").text = layer.name
    ET.SubElement(element, "srs").append(_reference(layer.crs))
    encoding = {"encoding": "UTF-8"} if layer.kind == "vector" else {}
    ET.SubElement(element, "provider", encoding).text = layer.provider
    if layer.style is not None:
        element.append(layer.style)
    ET.SubElement(element, "blendMode").text = "0"
    if layer.kind == "vector":
        ET.SubElement(element, "layerOpacity").text = "1"
    return element


def _canvas(crs: CRS | None, extent: Sequence[float]) -> ET.Element:
    canvas = ET.Element("mapcanvas", name="theMapCanvas", annotationsVisible="1")
    ET.SubElement(canvas, "units").text = "degrees" if crs and crs.is_geographic else "meters"
    canvas.append(_box("extent", extent))
    ET.SubElement(canvas, "rotation").text = "0"
    ET.SubElement(canvas, "destinationsrs").append(_reference(crs))
    return canvas


def _reference(crs: CRS | None) -> ET.Element:
    element = ET.Element("spatialrefsys", nativeFormat="Wkt")
    if not crs:
        ET.SubElement(element, "wkt")
        ET.SubElement(element, "authid")
        return element
    try:
        own = to_pyproj(crs)
        wkt = own.to_wkt("WKT2_2019")
        code = own.to_authority(min_confidence=100)
        name = own.name
    except PROJ_ERRORS:
        wkt, code, name = crs.to_wkt(), None, ""
    ET.SubElement(element, "wkt").text = wkt
    ET.SubElement(element, "authid").text = ":".join(code) if code else ""
    ET.SubElement(element, "description").text = name
    ET.SubElement(element, "geographicflag").text = "true" if crs.is_geographic else "false"
    return element


def _extent(transform: Affine, shape: Shape) -> tuple[float, float, float, float]:
    """Return (left, bottom, right, top) of a grid that may be rotated."""
    height, width = shape
    corners = [transform @ corner for corner in ((0, 0), (width, 0), (0, height), (width, height))]
    x, y = zip(*corners, strict=True)
    return min(x), min(y), max(x), max(y)


def _ends(extent: Sequence[float]) -> dict[str, str]:
    names = ("xmin", "ymin", "xmax", "ymax")
    return {name: repr(float(value)) for name, value in zip(names, extent, strict=True)}


def _box(tag: str, extent: Sequence[float]) -> ET.Element:
    element = ET.Element(tag)
    for name, text in _ends(extent).items():
        ET.SubElement(element, name).text = text
    return element
