"""Outputs as layers: loaded with their styles, in one group for each scene."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsPalettedRasterRenderer,
    QgsProcessingContext,
    QgsProcessingLayerPostProcessorInterface,
    QgsRasterLayer,
)

from .legend_clicks import CLASS_MAP

# Key of an output -> the layer's name and whether it is seen at first; lowest in the group first.
_LAYERS = {
    "confidence": ("confidence", False),
    "margin": ("margin", False),
    "mask": ("classes", True),
    "errors": ("errors", True),
    "polygons": ("polygons", False),
    "sample": ("sample", True),
    "suggestions": ("suggestions", True),
}
# QGIS holds no reference of its own.
_kept: list[Any] = []


class _Placed(QgsProcessingLayerPostProcessorInterface):
    """Gives a new layer the style that lies beside it, and puts it into its group."""

    def __init__(self, name: str, group: str, seen: bool) -> None:
        super().__init__()
        self._name, self._group, self._seen = name, group, seen

    def postProcessLayer(self, layer: Any, context: Any, feedback: Any) -> None:  # noqa: N802
        """Style the layer and move its node; QGIS calls this in its main thread."""
        # Some versions of QGIS do so already, but not 3.22.
        layer.loadDefaultStyle()
        layer.setName(self._name)
        if isinstance(layer, QgsRasterLayer):
            classes = isinstance(layer.renderer(), QgsPalettedRasterRenderer)
            layer.setCustomProperty(CLASS_MAP, classes)
        root = context.project().layerTreeRoot()
        node = root.findLayer(layer.id())
        if node is None:
            return
        group = root.findGroup(self._group) or root.insertGroup(0, self._group)
        copy = node.clone()
        copy.setItemVisibilityChecked(self._seen)
        copy.setExpanded(self._seen)
        group.insertChildNode(0, copy)
        node.parent().removeChildNode(node)


def layer_name(key: str) -> tuple[str, bool] | None:
    """Return the name of an output's layer and whether it is seen; None where it is no layer."""
    if key.endswith("_mask"):
        # `compare` has a mask for each method.
        return key[: -len("_mask")], True
    if key.startswith("mosaic"):
        return key, True
    return _LAYERS.get(key)


def load_later(context: Any, group: str, outputs: dict[str, str], *, more: bool) -> None:
    """Have QGIS load outputs when the algorithm has ended, with their styles, in a group.

    Args:
        context: Of the run.
        group: Name of the layers' group: the scene's.
        outputs: Key -> path, as rsclip's JSON has them.
        more: Whether outputs are loaded that QGIS would not load by itself.
    """
    order = list(_LAYERS)
    for key in sorted(outputs, key=lambda key: order.index(key if key in order else "mask")):
        found = layer_name(key)
        if found is None or not Path(outputs[key]).is_file():
            continue
        name, seen = found
        placed = _Placed(name, group, seen)
        _kept.append(placed)
        path = outputs[key]
        if context.willLoadLayerOnCompletion(path):
            # A destination that QGIS loads by itself.
            context.layerToLoadOnCompletionDetails(path).setPostProcessor(placed)
        elif more and context.project():
            details = QgsProcessingContext.LayerDetails(name, context.project())
            details.setPostProcessor(placed)
            context.addLayerToLoadOnCompletion(path, details)
