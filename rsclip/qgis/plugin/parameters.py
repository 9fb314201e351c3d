"""An option of the command line as a parameter of Processing, and its value as words of a command.

Types and help texts come from the commands themselves (`process.FACTS`); only what QGIS has and a
command line has not, such as layers and extents, is named in `algorithms.py`.
"""

from __future__ import annotations

import re
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessing,
    QgsProcessingException,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFile,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterMapLayer,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
    QgsProcessingParameterVectorLayer,
    QgsProviderRegistry,
    QgsVectorLayer,
)

from . import settings

_LABELS = {
    "aoi": "Area of interest",
    "bidx": "Bands as red, green, blue",
    "classes": "Classes",
    "count": "Number of points",
    "decorrelate": "Pull words of classes apart (0 to 1)",
    "gsd": "Work at this pixel size (metres)",
    "inputs": "Folder of scenes",
    "here": "Only models that are on this machine",
    "logit_scale": "Scale of similarities",
    "method": "Dense method",
    "min_area": "Least area of a polygon (m²)",
    "output": "Output",
    "output_dir": "Output folder",
    "scenes": "Scene",
    "sld": "SLD styles",
    "stac": "STAC item",
    "synonyms": "Several words of a class",
    "tta": "Test-time augmentation",
}
_DESTINATIONS = ("folder_out", "vector_out", "file_out")
_WIDGET = f"{__package__}.widgets.ChoiceWrapper"


def parameter_name(option: dict[str, Any], kind: str | None) -> str:
    """Return the name of an option's parameter: INPUT and OUTPUT as everywhere in QGIS."""
    if option["flag"] is None:
        return "INPUT"
    return "OUTPUT" if kind in _DESTINATIONS else option["name"].upper()


def definition(
    option: dict[str, Any], kind: str | None, *, advanced: bool
) -> QgsProcessingParameterDefinition:
    """Return the parameter of an option.

    Args:
        option: Of `FACTS["commands"][...]["options"]`.
        kind: What QGIS has for it ("raster", "extent", ...), or None for a plain value.
        advanced: Whether it is folded away.
    """
    name = parameter_name(option, kind)
    label = _LABELS.get(option["name"]) or option["name"].replace("_", " ").capitalize()
    optional = not option["required"] and option["flag"] is not None
    found = _made(option, kind, name, label, optional)
    found.setHelp(option["help"])
    if advanced:
        found.setFlags(found.flags() | QgsProcessingParameterDefinition.FlagAdvanced)
    return found


def _made(
    option: dict[str, Any], kind: str | None, name: str, label: str, optional: bool
) -> QgsProcessingParameterDefinition:
    if kind == "raster":
        return QgsProcessingParameterRasterLayer(name, label, optional=optional)
    if kind == "rasters":
        return QgsProcessingParameterMultipleLayers(
            name, label, QgsProcessing.TypeRaster, optional=optional
        )
    if kind == "layer":
        types = [QgsProcessing.TypeRaster, QgsProcessing.TypeVectorAnyGeometry]
        return QgsProcessingParameterMapLayer(name, label, optional=optional, types=types)
    if kind == "vector":
        return QgsProcessingParameterVectorLayer(name, label, optional=optional)
    if kind == "extent":
        return QgsProcessingParameterExtent(name, label, optional=optional)
    if kind == "folder":
        folder = QgsProcessingParameterFile.Folder
        return QgsProcessingParameterFile(name, label, behavior=folder, optional=optional)
    if kind == "folder_out":
        return QgsProcessingParameterFolderDestination(name, label)
    if kind == "vector_out":
        return QgsProcessingParameterVectorDestination(name, label)
    if kind == "file_out":
        return QgsProcessingParameterFileDestination(name, label)
    found = _plain(option, name, label, optional)
    if option["default"] is not None:
        found.setDefaultValue(option["default"])
    return found


def _plain(
    option: dict[str, Any], name: str, label: str, optional: bool
) -> QgsProcessingParameterDefinition:
    """Return a parameter for a value that the command line takes as it is."""
    if option["type"] == "boolean":
        on = bool(option["off"])
        # Optional: a model must set all others.
        return QgsProcessingParameterBoolean(name, label, defaultValue=on, optional=True)
    if option["type"] == "choice":
        return QgsProcessingParameterEnum(
            name, label, options=option["choices"], optional=optional, usesStaticStrings=True
        )
    if option["type"] in ("integer", "float"):
        number = QgsProcessingParameterNumber
        kind = number.Integer if option["type"] == "integer" else number.Double
        return number(name, label, type=kind, optional=optional)
    if (option["metavar"] or "").startswith("FILE"):
        return QgsProcessingParameterFile(name, label, optional=optional)
    lines = f"{label} (one a line)" if option["multiple"] else label
    text = QgsProcessingParameterString(
        name, lines, optional=optional, multiLine=option["multiple"]
    )
    if choices := settings.choices(option["name"]):
        text.setMetadata({"widget_wrapper": {"class": _WIDGET, "choices": choices}})
    return text


def words(
    algorithm: Any, option: dict[str, Any], kind: str | None, parameters: Any, context: Any
) -> list[str]:
    """Return an option's value as words of the command; none where it is not set.

    Raises:
        QgsProcessingException: A layer is no file, or there is no place for the output.
    """
    name, flag = parameter_name(option, kind), option["flag"]
    if kind in ("raster", "layer", "vector"):
        layer = algorithm.parameterAsLayer(parameters, name, context)
        values = [_layer_file(layer, parameters, name)]
    elif kind == "rasters":
        layers = algorithm.parameterAsLayerList(parameters, name, context)
        values = [layer_file(layer) for layer in layers]
    elif kind == "extent":
        values = [_box(algorithm, parameters, name, context)]
    elif kind in ("folder_out", "folder"):
        values = [algorithm.parameterAsString(parameters, name, context)]
    elif kind == "file_out":
        values = [algorithm.parameterAsFileOutput(parameters, name, context)]
    elif kind == "vector_out":
        values = [algorithm.parameterAsOutputLayer(parameters, name, context)]
    else:
        return _plain_words(algorithm, option, name, parameters, context)
    values = [value for value in values if value]
    if kind in _DESTINATIONS and not values:
        raise QgsProcessingException(f"{name} is missing: say where the output is written.")
    return values if flag is None else [_joined(flag, value) for value in values]


def _plain_words(
    algorithm: Any, option: dict[str, Any], name: str, parameters: Any, context: Any
) -> list[str]:
    flag = option["flag"]
    if option["type"] == "boolean":
        on = algorithm.parameterAsBool(parameters, name, context)
        if option["off"]:
            return [] if on else [option["off"]]
        return [flag] if on else []
    if parameters.get(name, algorithm.parameterDefinition(name).defaultValue()) is None:
        return []
    if option["type"] == "choice":
        text = algorithm.parameterAsEnumString(parameters, name, context)
    elif option["type"] == "integer":
        text = str(algorithm.parameterAsInt(parameters, name, context))
    elif option["type"] == "float":
        text = repr(algorithm.parameterAsDouble(parameters, name, context))
    else:
        text = algorithm.parameterAsString(parameters, name, context)
    values = text.splitlines() if option["multiple"] else [text]
    return [_joined(flag, value) for value in values if value.strip()]


def _joined(flag: str, value: str) -> str:
    # A value may begin with a dash.
    return f"{flag}={value}" if flag.startswith("--") else f"{flag}{value}"


def _layer_file(layer: Any, parameters: Any, name: str) -> str:
    if layer is not None:
        return layer_file(layer)
    if parameters.get(name) in (None, ""):
        return ""
    raise QgsProcessingException(
        f"{parameters[name]}: QGIS cannot open it as a layer. Check the path, and that the file is "
        "a raster or vector file."
    )


def layer_file(layer: Any) -> str:
    """Return the file, address or GDAL path behind a layer.

    Raises:
        QgsProcessingException: There is none, or it holds something else than the layer shows.
    """
    kind = layer.providerType()
    if kind == "gdal":
        # QGIS appends options for opening and passwords.
        return re.split(r"\|(?:option|credential):| authcfg=", str(layer.source()))[0]
    if kind != "ogr":
        what = "exists in memory only" if kind == "memory" else f"comes from {kind.upper()}"
        raise _not_as_shown(layer, f"{what}, and rsclip reads files")
    if layer.isModified():
        raise QgsProcessingException(
            f"The layer {layer.name()} has edits that are not saved, and rsclip reads its file. "
            "Save them first: Layer > Save Layer Edits."
        )
    if layer.subsetString():
        raise _not_as_shown(layer, "is filtered, and rsclip reads its whole file")
    path = str(layer.source()).split("|")[0]
    if not _is_first(layer, path):
        raise _not_as_shown(layer, "is not the first of its file, the one that rsclip reads")
    return path


def _not_as_shown(layer: Any, what: str) -> QgsProcessingException:
    return QgsProcessingException(
        f"The layer {layer.name()} {what}. Save it first: right-click the layer, Export, Save "
        "As..., and choose the saved layer here."
    )


def _is_first(layer: Any, path: str) -> bool:
    """Say whether a vector layer is the first with geometries in its file."""
    parts = QgsProviderRegistry.instance().decodeUri("ogr", layer.source())
    name, number = parts.get("layerName"), parts.get("layerId")
    if name is None and number is None:
        return True
    whole = QgsVectorLayer(path, "", "ogr")
    provider = whole.dataProvider()
    for each in provider.subLayers():
        at, called, _, geometry = each.split(provider.sublayerSeparator())[:4]
        if geometry != "None":
            return name in (None, called) and str(number) in ("None", at)
    return True


def _box(algorithm: Any, parameters: Any, name: str, context: Any) -> str:
    extent = algorithm.parameterAsExtent(parameters, name, context)
    if extent.isNull():
        return ""
    crs = algorithm.parameterAsExtentCrs(parameters, name, context)
    scene = algorithm.parameterAsRasterLayer(parameters, "INPUT", context)
    if scene is not None and not scene.crs().isValid() and crs == _shown_in(context):
        # The map shows a scene without a CRS as if it had the map's.
        crs = QgsCoordinateReferenceSystem()
    sides = (extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum())
    return _crs_prefix(crs) + ",".join(f"{side:.15g}" for side in sides)


def _shown_in(context: Any) -> Any:
    project = context.project()
    return project.crs() if project else QgsCoordinateReferenceSystem()


def _crs_prefix(crs: Any) -> str:
    if not crs.isValid():
        return ""
    # Numbers of the user's own are known to this QGIS only.
    own = not crs.authid() or crs.authid().startswith("USER:")
    return f"{crs.toWkt() if own else crs.authid()};"
