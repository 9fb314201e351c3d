"""QGIS styles: a paletted mask and categorised polygons, with the same names and colours.

Written for QGIS 3.22 and later. QGIS applies `<stem>_mask.qml` when it opens `<stem>_mask.tif`,
and the style in a GeoPackage's `layer_styles` when it opens the layer.
"""

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from rsclip.outputs.files.disk import write_error
from rsclip.words.colours import RGB
from rsclip.words.legend import UNCLASSIFIED

__all__ = [
    "Coloured",
    "categorised_renderer",
    "hex_colour",
    "paletted_pipe",
    "polygons_qml",
    "rgb_pipe",
    "score_qml",
    "style_entries",
    "write_mask_qml",
    "write_text",
]

_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
VERSION = "3.22.0-Białowieża"
_FILL_ALPHA = 160
# Percent -> colour of viridis.
_SCORE_STOPS = (
    (0, "#440154"), (25, "#3b528b"), (50, "#21918c"), (75, "#5ec962"), (100, "#fde725"),
)  # fmt: skip
_CATEGORY_FIELD = "class_id"


class Coloured(Protocol):
    """Names and colours of values, 0 (unclassified) included: a `Legend`, or what a mask says."""

    @property
    def names(self) -> Mapping[int, str]:
        """Value -> name."""

    @property
    def colours(self) -> Mapping[int, RGB]:
        """Value -> (r, g, b)."""


def style_entries(legend: Coloured) -> Iterator[tuple[int, str, RGB]]:
    """Yield value, name and colour of unclassified and every class, classes first."""
    names, colours = legend.names, legend.colours
    for value in [*sorted(value for value in names if value), 0]:
        yield value, names[value], colours[value]


def hex_colour(colour: RGB) -> str:
    """Return "#rrggbb"."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def write_mask_qml(path: str | Path, legend: Coloured) -> None:
    """Write the style of a mask: class names and colours, nodata transparent.

    Raises:
        WriteError: The file cannot be written.
    """
    root = _root("AllStyleCategories")
    root.append(paletted_pipe(legend))
    ET.SubElement(root, "blendMode").text = "0"
    write_text(path, _document(root))


def score_qml() -> str:
    """Return the style of a score raster: 0 to 100 percent in viridis, whatever the file holds."""
    pipe = ET.Element("pipe")
    ends = {"classificationMin": "0", "classificationMax": str(_SCORE_STOPS[-1][0])}
    renderer = ET.SubElement(
        pipe, "rasterrenderer", ends, type="singlebandpseudocolor", band="1", opacity="1",
        alphaBand="-1", nodataColor="",
    )  # fmt: skip
    ET.SubElement(renderer, "rasterTransparency")
    shader = ET.SubElement(
        ET.SubElement(renderer, "rastershader"), "colorrampshader",
        colorRampType="INTERPOLATED", classificationMode="1", clip="0",
        minimumValue="0", maximumValue=str(_SCORE_STOPS[-1][0]),
    )  # fmt: skip
    for value, colour in _SCORE_STOPS:
        ET.SubElement(
            shader, "item", value=str(value), label=f"{value} %", color=colour, alpha="255"
        )
    _finish_pipe(pipe)
    root = _root("AllStyleCategories")
    root.append(pipe)
    ET.SubElement(root, "blendMode").text = "0"
    return _document(root)


def polygons_qml(legend: Coloured) -> str:
    """Return the style of the layer `polygons`: a category a class, by `class_id`."""
    root = _root("Symbology|Labeling|Fields|Forms|Actions")
    root.append(categorised_renderer(legend))
    ET.SubElement(root, "blendMode").text = "0"
    ET.SubElement(root, "layerOpacity").text = "1"
    ET.SubElement(root, "previewExpression").text = '"class_name"'
    ET.SubElement(root, "layerGeometryType").text = "2"
    return _document(root)


def paletted_pipe(legend: Coloured, opacity: float = 1.0) -> ET.Element:
    """Return the rendering of a mask: `pipe` with a paletted renderer.

    Nodata is left to the raster's own nodata value, which QGIS never draws.
    """
    pipe = ET.Element("pipe")
    renderer = ET.SubElement(
        pipe,
        "rasterrenderer",
        type="paletted",
        band="1",
        opacity=f"{opacity:g}",
        alphaBand="-1",
        nodataColor="",
    )
    ET.SubElement(renderer, "rasterTransparency")
    palette = ET.SubElement(renderer, "colorPalette")
    for value, name, colour in style_entries(legend):
        ET.SubElement(
            palette,
            "paletteEntry",
            value=str(value),
            label=name,
            color=hex_colour(colour),
            # Where no class was found the imagery below is to be seen.
            alpha="0" if value == UNCLASSIFIED else "255",
        )
    _finish_pipe(pipe)
    return pipe


def rgb_pipe(
    bands: Sequence[int],
    ends: Sequence[tuple[float, float]] | None,
    alpha: int | None = None,
    *,
    clear_black: bool = False,
) -> ET.Element:
    """Return the rendering of an image: `pipe` with three bands as red, green and blue.

    Args:
        bands: 1-based bands.
        ends: Per band the values that become black and full colour, the larger one first where
            the file has 0 as white; None for bytes as they are.
        alpha: 1-based alpha band, if there is one.
        clear_black: Leave pixels away that are 0 in all bands.
    """
    pipe = ET.Element("pipe")
    names = ("red", "green", "blue")
    renderer = ET.SubElement(
        pipe,
        "rasterrenderer",
        {f"{name}Band": str(band) for name, band in zip(names, bands, strict=True)},
        type="multibandcolor",
        opacity="1",
        alphaBand=str(alpha or -1),
        nodataColor="",
    )
    transparency = ET.SubElement(renderer, "rasterTransparency")
    if clear_black:
        values = ET.SubElement(transparency, "threeValuePixelList")
        ET.SubElement(
            values, "pixelListEntry", red="0", green="0", blue="0", percentTransparent="100"
        )
    for name, (low, high) in zip(names, ends or (), strict=False):
        contrast = ET.SubElement(renderer, f"{name}ContrastEnhancement")
        ET.SubElement(contrast, "minValue").text = repr(float(min(low, high)))
        ET.SubElement(contrast, "maxValue").text = repr(float(max(low, high)))
        ET.SubElement(contrast, "algorithm").text = "StretchToMinimumMaximum"
    _finish_pipe(pipe, negative=any(low > high for low, high in ends or ()))
    return pipe


def categorised_renderer(legend: Coloured) -> ET.Element:
    """Return the rendering of polygons: `renderer-v2` with a category a class."""
    renderer = ET.Element(
        "renderer-v2",
        type="categorizedSymbol",
        attr=_CATEGORY_FIELD,
        forceraster="0",
        symbollevels="0",
        enableorderby="0",
    )
    categories = ET.SubElement(renderer, "categories")
    symbols = ET.SubElement(renderer, "symbols")
    for index, (value, name, colour) in enumerate(style_entries(legend)):
        ET.SubElement(
            categories,
            "category",
            value=str(value),
            type="long",
            label=name,
            symbol=str(index),
            render="true",
        )
        symbols.append(_fill_symbol(str(index), colour))
    return renderer


def write_text(path: str | Path, text: str) -> None:
    """Write a small UTF-8 file.

    Raises:
        WriteError: The file cannot be written.
    """
    try:
        Path(path).write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise write_error(error, path) from error


def _fill_symbol(name: str, colour: RGB) -> ET.Element:
    symbol = ET.Element(
        "symbol", type="fill", name=name, alpha="1", clip_to_extent="1", force_rhr="0"
    )
    layer = ET.SubElement(symbol, "layer", {"class": "SimpleFill"}, enabled="1", locked="0")
    outline = (*(part * 6 // 10 for part in colour), 255)
    properties = {
        "color": _rgba((*colour, _FILL_ALPHA)),
        "joinstyle": "bevel",
        "outline_color": _rgba(outline),
        "outline_style": "solid",
        "outline_width": "0.2",
        "outline_width_unit": "MM",
        "style": "solid",
    }
    options = ET.SubElement(layer, "Option", type="Map")
    for key, value in properties.items():
        ET.SubElement(options, "Option", name=key, value=value, type="QString")
        # QGIS before 3.24 reads these.
        ET.SubElement(layer, "prop", k=key, v=value)
    return symbol


def _rgba(colour: Sequence[int]) -> str:
    return ",".join(str(part) for part in colour)


def _finish_pipe(pipe: ET.Element, *, negative: bool = False) -> None:
    ET.SubElement(pipe, "brightnesscontrast", brightness="0", contrast="0", gamma="1")
    colours = {"saturation": "0", "grayscaleMode": "0", "colorizeOn": "0"}
    # Earlier versions of QGIS overlook invertColors.
    ET.SubElement(pipe, "huesaturation", colours | ({"invertColors": "1"} if negative else {}))
    ET.SubElement(pipe, "rasterresampler", maxOversampling="2")


def _root(categories: str) -> ET.Element:
    return ET.Element("qgis", version=VERSION, styleCategories=categories)


def _document(root: ET.Element) -> str:
    ET.indent(root, " ")
    return _DOCTYPE + ET.tostring(root, encoding="unicode") + "\n"
