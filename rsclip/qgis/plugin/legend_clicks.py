"""One class of a class map shown alone: by a click in QGIS's legend, or from the panel."""

from __future__ import annotations

import json
from typing import Any

from qgis.core import QgsPalettedRasterRenderer
from qgis.PyQt.QtCore import Qt

__all__ = ["CLASS_MAP", "LegendClicks", "class_names", "isolate", "isolated"]

CLASS_MAP = "rsclip/class_map"
"""Property of the layers that are class maps of rsclip."""
# Saved with the project, so that all classes can be shown again later.
_ALONE, _OPACITIES = "rsclip/alone", "rsclip/opacities"


def isolate(layer: Any, label: str | None) -> None:
    """Show one class of a class map alone, or all of them again.

    Args:
        layer: A raster layer with a paletted renderer.
        label: The class, as the legend names it; None for all.
    """
    before = layer.renderer()
    opacities = json.loads(layer.customProperty(_OPACITIES) or "{}")
    entries = before.classes()
    for entry in entries:
        opacity = opacities.setdefault(str(entry.value), entry.color.alpha())
        entry.color.setAlpha(opacity if label in (None, entry.label) else 0)
    renderer = QgsPalettedRasterRenderer(layer.dataProvider(), before.usesBands()[0], entries)
    renderer.setOpacity(before.opacity())
    layer.setRenderer(renderer)
    for name, value in ((_ALONE, label), (_OPACITIES, json.dumps(opacities))):
        if label is None:
            layer.removeCustomProperty(name)
        else:
            layer.setCustomProperty(name, value)
    layer.triggerRepaint()


def class_names(layer: Any) -> set[str]:
    """Return the names in the legend of a class map; none where it is drawn in another way."""
    renderer = layer.renderer()
    palette = isinstance(renderer, QgsPalettedRasterRenderer)
    return {each.label for each in renderer.classes()} if palette else set()


def isolated(layer: Any) -> str | None:
    """Return the class that is shown alone, or None."""
    label = layer.customProperty(_ALONE)
    return None if label is None else str(label)


class LegendClicks:
    """Isolates the class that is clicked in the legend; a second click shows all again.

    Args:
        view: QGIS's layer tree view.
        tell: Called with a text for the user.
    """

    def __init__(self, view: Any, tell: Any) -> None:
        self._view, self._tell = view, tell
        view.clicked.connect(self._clicked)

    def stop(self) -> None:
        """Listen no longer."""
        self._view.clicked.disconnect(self._clicked)

    def _clicked(self, index: Any) -> None:
        entry = self._view.index2legendNode(index)
        layer = entry.layerNode().layer() if entry is not None else None
        if layer is None or not layer.customProperty(CLASS_MAP):
            return
        label = entry.data(Qt.ItemDataRole.DisplayRole)
        if label not in class_names(layer):
            return
        again = isolated(layer) == label
        isolate(layer, None if again else label)
        if not again:
            self._tell(f"Only {label} is shown: click it again to show all classes.")
