"""Styles in OGC's Styled Layer Descriptor 1.0, for GeoServer, MapServer and others."""

import xml.etree.ElementTree as ET

from rsclip.outputs.styles.qml import Coloured, hex_colour, style_entries
from rsclip.words.legend import UNCLASSIFIED, Legend

__all__ = ["mask_sld", "polygons_sld"]

_SLD = "http://www.opengis.net/sld"
_OGC = "http://www.opengis.net/ogc"
_FILL_OPACITY = "0.63"


def mask_sld(legend: Legend, name: str) -> str:
    """Return the style of a mask: a colour map of single values, nodata transparent.

    Args:
        legend: Values, names, colours.
        name: The layer's.
    """
    root, style = _document(name)
    rule = ET.SubElement(ET.SubElement(style, _tag("FeatureTypeStyle")), _tag("Rule"))
    symbolizer = ET.SubElement(rule, _tag("RasterSymbolizer"))
    channel = ET.SubElement(
        ET.SubElement(symbolizer, _tag("ChannelSelection")), _tag("GrayChannel")
    )
    ET.SubElement(channel, _tag("SourceChannelName")).text = "1"
    colours = ET.SubElement(symbolizer, _tag("ColorMap"), type="values")
    for value, label, colour in sorted(style_entries(legend)):
        ET.SubElement(
            colours,
            _tag("ColorMapEntry"),
            color=hex_colour(colour),
            quantity=str(value),
            label=label,
            opacity="0" if value == UNCLASSIFIED else "1",
        )
    ET.SubElement(
        colours,
        _tag("ColorMapEntry"),
        color="#000000",
        quantity=str(legend.nodata),
        label="nodata",
        opacity="0",
    )
    return _text(root)


def polygons_sld(legend: Coloured, name: str = "polygons") -> str:
    """Return the style of polygons: a rule a class, by `class_id`."""
    root, style = _document(name)
    features = ET.SubElement(style, _tag("FeatureTypeStyle"))
    for value, label, colour in style_entries(legend):
        rule = ET.SubElement(features, _tag("Rule"))
        ET.SubElement(rule, _tag("Name")).text = label
        ET.SubElement(rule, _tag("Title")).text = label
        equal = ET.SubElement(
            ET.SubElement(rule, f"{{{_OGC}}}Filter"), f"{{{_OGC}}}PropertyIsEqualTo"
        )
        ET.SubElement(equal, f"{{{_OGC}}}PropertyName").text = "class_id"
        ET.SubElement(equal, f"{{{_OGC}}}Literal").text = str(value)
        symbolizer = ET.SubElement(rule, _tag("PolygonSymbolizer"))
        darker = tuple(part * 6 // 10 for part in colour)
        for kind, values in (
            ("Fill", {"fill": hex_colour(colour), "fill-opacity": _FILL_OPACITY}),
            ("Stroke", {"stroke": "#{:02x}{:02x}{:02x}".format(*darker), "stroke-width": "0.7"}),
        ):
            element = ET.SubElement(symbolizer, _tag(kind))
            for key, text in values.items():
                ET.SubElement(element, _tag("CssParameter"), name=key).text = text
    return _text(root)


def _tag(name: str) -> str:
    return f"{{{_SLD}}}{name}"


def _document(name: str) -> tuple[ET.Element, ET.Element]:
    root = ET.Element(_tag("StyledLayerDescriptor"), version="1.0.0")
    layer = ET.SubElement(root, _tag("NamedLayer"))
    ET.SubElement(layer, _tag("Name")).text = name
    style = ET.SubElement(layer, _tag("UserStyle"))
    ET.SubElement(style, _tag("Name")).text = name
    return root, style


def _text(root: ET.Element) -> str:
    ET.register_namespace("sld", _SLD)
    ET.register_namespace("ogc", _OGC)
    ET.indent(root, " ")
    body = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'
