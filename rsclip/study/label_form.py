"""How QGIS shows what a person is to label: hollow marks, and a form with the classes as a list."""

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from rsclip.words.legend import Legend

__all__ = ["form_qml"]

_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
_MARK = {
    "color": "255,255,255,0", "name": "square", "outline_color": "255,0,120,255",
    "outline_style": "solid", "outline_width": "0.6", "outline_width_unit": "MM", "size": "4",
    "size_unit": "MM",
}  # fmt: skip
_OUTLINE = {
    key: value for key, value in _MARK.items() if key.startswith("outline")
} | {"style": "no"}  # fmt: skip


def form_qml(legend: Legend, fixed: Sequence[str], *, polygons: bool = False) -> str:
    """Return the style of a layer with the columns `label` and `comment`, for QGIS 3.22 and later.

    Args:
        legend: Classes; 0 is offered as "unclassified", for none of them.
        fixed: Columns that are shown, not to be changed; the first one names the feature.
        polygons: The features are polygons, else points.
    """
    root = ET.Element("qgis", version="3.22.0-Białowieża", styleCategories="Symbology|Fields|Forms")
    renderer = ET.SubElement(root, "renderer-v2", type="singleSymbol", forceraster="0")
    symbol = ET.SubElement(
        ET.SubElement(renderer, "symbols"), "symbol", type="fill" if polygons else "marker",
        name="0", alpha="1",
    )  # fmt: skip
    drawn = "SimpleFill" if polygons else "SimpleMarker"
    layer = ET.SubElement(symbol, "layer", {"class": drawn}, enabled="1", locked="0")
    options = ET.SubElement(layer, "Option", type="Map")
    for key, value in (_OUTLINE if polygons else _MARK).items():
        ET.SubElement(options, "Option", name=key, value=value, type="QString")
        # QGIS before 3.24 reads these.
        ET.SubElement(layer, "prop", k=key, v=value)
    fields = ET.SubElement(root, "fieldConfiguration")
    _widget(fields, "fid", "Hidden")
    for name in fixed:
        _widget(fields, name, "TextEdit")
    choice = ET.SubElement(_widget(fields, "label", "ValueMap"), "Option", type="List", name="map")
    names = [item.name for item in legend.foreground]
    for name in [*names, legend.names[0]]:
        pair = ET.SubElement(choice, "Option", type="Map")
        ET.SubElement(pair, "Option", type="QString", name=name, value=name)
    _widget(fields, "comment", "TextEdit")
    editable = ET.SubElement(root, "editable")
    for name in ("fid", *fixed, "label", "comment"):
        ET.SubElement(editable, "field", name=name, editable=str(int(name in ("label", "comment"))))
    ET.SubElement(root, "previewExpression").text = f'"{fixed[0]}"'
    ET.SubElement(root, "layerGeometryType").text = "2" if polygons else "0"
    ET.indent(root, " ")
    return _DOCTYPE + ET.tostring(root, encoding="unicode") + "\n"


def _widget(fields: ET.Element, name: str, kind: str) -> ET.Element:
    """Add a field with its widget; return what holds the widget's options."""
    field = ET.SubElement(fields, "field", name=name, configurationFlags="None")
    config = ET.SubElement(ET.SubElement(field, "editWidget", type=kind), "config")
    return ET.SubElement(config, "Option", type="Map")
