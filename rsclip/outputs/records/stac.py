"""`<stem>_stac.json`: a STAC 1.1 item of the outputs, for catalogues.

Extensions: projection 2.0, raster 2.0, classification 2.0 and machine learning model (mlm) 1.5.
"""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rasterio.crs import CRS
from rasterio.transform import Affine

from rsclip.geo.units import PROJ_ERRORS, to_pyproj
from rsclip.outputs.rasters.scores import NO_SCORE, SCORES
from rsclip.outputs.records.footprint import footprint
from rsclip.outputs.records.record import to_plain
from rsclip.outputs.styles.qml import style_entries, write_text
from rsclip.scene.scene import Scene
from rsclip.types import Shape
from rsclip.words.legend import Legend

__all__ = ["relative_href", "stac_item", "write_stac"]

_EXTENSIONS = [
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
    "https://stac-extensions.github.io/classification/v2.0.0/schema.json",
    "https://stac-extensions.github.io/mlm/v1.5.0/schema.json",
]
# A label and a score are of the whole pixel.
_BAND = {"raster:sampling": "area"}
_COG = "image/tiff; application=geotiff; profile=cloud-optimized"
_TITLES = {
    "confidence": "Score of the label, percent",
    "margin": "Score of the best class less the second's, percent",
    "probabilities": "Score of every class, percent",
}
# Key of an output -> media type, role, title.
_OTHERS = {
    "areas": ("text/csv", "data", "Pixels, ground area and share of every class"),
    "style": ("application/xml", "style", "QGIS style of the mask"),
    "polygons_style": ("application/xml", "style", "QGIS style of the polygons"),
    "mask_sld": ("application/vnd.ogc.sld+xml", "style", "SLD of the mask"),
    "polygons_sld": ("application/vnd.ogc.sld+xml", "style", "SLD of the polygons"),
    "project": ("application/octet-stream", "overview", "QGIS project"),
    "preview": ("image/png", "thumbnail", "Preview"),
    "record": ("application/json", "metadata", "Run record"),
}
# By the ending of the polygons' files.
_VECTORS = {
    ".gpkg": "application/geopackage+sqlite3",
    ".geojson": "application/geo+json",
    ".fgb": "application/vnd.flatgeobuf",
    ".parquet": "application/vnd.apache.parquet",
    ".shp": "application/vnd.shp",
    ".shx": "application/vnd.shx",
    ".dbf": "application/vnd.dbf",
    ".prj": "text/plain",
    ".cpg": "text/plain",
}


def write_stac(
    path: str | Path,
    scene: Scene,
    legend: Legend,
    record: Mapping[str, Any],
    names: Mapping[str, str],
) -> None:
    """Write the item.

    Raises:
        WriteError: The file cannot be written.
    """
    item = stac_item(scene.stem, scene.crs, scene.transform, scene.shape, legend, record, names)
    text = json.dumps(to_plain(item), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def relative_href(name: str) -> str:
    """Return a file name as a URI reference (RFC 3986) from a document in the same folder.

    Args:
        name: May have folders; "#", "?", "%", blanks and letters beyond ASCII are encoded.
    """
    return f"./{quote(os.fsencode(name))}"


def stac_item(
    stem: str,
    crs: CRS | None,
    transform: Affine,
    shape: Shape,
    legend: Legend,
    record: Mapping[str, Any],
    names: Mapping[str, str],
) -> dict[str, Any]:
    """Return the item as a mapping.

    Its `datetime` is the run's: when an image was taken is seldom said in a GeoTIFF. Without a CRS
    geometry is null, as STAC has it for what has no place.

    Args:
        stem: The scene's, the item's id.
        crs: The scene's, or None.
        transform: The scene's.
        shape: (height, width) in pixels.
        legend: Classes.
        record: The run record.
        names: Key -> file name of every output, as `outputs.output_names` gives them.
    """
    place = footprint(crs, transform, shape)
    item: dict[str, Any] = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": _EXTENSIONS,
        "id": stem,
        "geometry": None if place is None else place.geometry,
    }
    if place is not None:
        item["bbox"] = place.bbox
    item["properties"] = {
        "datetime": record["started"].replace("+00:00", "Z"),
        "title": f"Classes of {stem}",
        "created": record["started"].replace("+00:00", "Z"),
        **_projection(crs, transform, shape),
        **_model(legend, record),
    }
    item["links"] = []
    item["assets"] = {
        "mask": {
            "href": relative_href(names["mask"]),
            "type": _COG,
            "title": "Class of every pixel",
            "roles": ["data"],
            "bands": [{**_BAND, "data_type": legend.dtype, "nodata": legend.nodata}],
            "classification:classes": _classes(legend, record),
        }
    }
    for kind in SCORES:
        if kind in names:
            band = {**_BAND, "data_type": "uint8", "nodata": NO_SCORE, "unit": "percent"}
            count = len(legend.foreground) if kind == "probabilities" else 1
            item["assets"][kind] = {
                "href": relative_href(names[kind]),
                "type": _COG,
                "title": _TITLES[kind],
                "roles": ["data"],
                "bands": [band] * count,
            }
        if f"{kind}_style" in names:
            item["assets"][f"{kind}_style"] = {
                "href": relative_href(names[f"{kind}_style"]),
                "type": "application/xml",
                "title": f"QGIS style of the {kind} raster",
                "roles": ["style"],
            }
    for key, name in names.items():
        if key == "polygons" or key.startswith("polygons_"):
            media = _VECTORS.get(Path(name).suffix)
            if media is not None:
                item["assets"][key] = {
                    "href": relative_href(name),
                    "type": media,
                    "title": "Polygons of the classes",
                    "roles": ["data"],
                }
    for key, (media, role, title) in _OTHERS.items():
        if key in names:
            href = relative_href(names[key])
            item["assets"][key] = {"href": href, "type": media, "title": title, "roles": [role]}
    item["assets"]["model"] = _model_asset(record)
    return item


def _projection(crs: CRS | None, transform: Affine, shape: Shape) -> dict[str, Any]:
    code = wkt = None
    if crs:
        try:
            own = to_pyproj(crs)
            authority = own.to_authority(min_confidence=100)
            code = ":".join(authority) if authority else None
            wkt = own.to_wkt("WKT2_2019")
        except PROJ_ERRORS:
            wkt = crs.to_wkt()
    fields: dict[str, Any] = {
        "proj:code": code,
        "proj:shape": list(shape),
        "proj:transform": [float(value) for value in transform],
    }
    return fields if code or not wkt else {**fields, "proj:wkt2": wkt}


def _classes(legend: Legend, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    shares = {item["value"]: item for item in record["results"]}
    return [
        {
            "value": value,
            # Letters, digits, - and _ only: the title has the name as it is.
            "name": re.sub(r"[^0-9A-Za-z_-]+", "_", name).strip("_") or f"class_{value}",
            "title": name,
            "description": name,
            "color_hint": "{:02X}{:02X}{:02X}".format(*colour),
            "percentage": round(100 * shares[value]["share"], 4),
            "count": shares[value]["pixels"],
        }
        for value, name, colour in style_entries(legend)
    ]


def _model(legend: Legend, record: Mapping[str, Any]) -> dict[str, Any]:
    model = record["model"]
    name = _model_name(record)
    side = list(model.get("image_shape") or ()) or [-1, -1]
    return {
        "mlm:name": name,
        "mlm:architecture": "CLIP Vision Transformer",
        "mlm:framework": "PyTorch",
        "mlm:tasks": ["semantic-segmentation"],
        "mlm:pretrained": True,
        "mlm:input": [
            {
                "name": "image",
                "bands": [],
                "input": {
                    "shape": [-1, 3, *side],
                    "dim_order": ["batch", "channel", "height", "width"],
                    "data_type": "float32",
                },
            }
        ],
        "mlm:output": [
            {
                "name": "classes",
                "tasks": ["semantic-segmentation"],
                "result": {
                    "shape": [-1, -1],
                    "dim_order": ["height", "width"],
                    "data_type": legend.dtype,
                },
                "classification:classes": _classes(legend, record),
            }
        ],
        "mlm:hyperparameters": {
            "method": model.get("method"),
            "weights_sha256": model.get("weights_sha256"),
            **{key: value for key, value in record["settings"].items() if value is not None},
        },
    }


def _model_name(record: Mapping[str, Any]) -> str:
    """Return the model's name without a folder: mlm wants letters, digits, dots, dashes."""
    name = re.split(r"[/\\]", str(record["model"].get("name") or "model").rstrip("/\\"))[-1]
    name = re.sub(r"[^A-Za-z0-9_.\-]+", "-", name).strip("-._")
    return f"clip-{name}" if len(name) < 3 or not name[0].isalpha() else name


def _model_asset(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the asset that mlm asks for: the weights, by name and hash."""
    digest = record["model"].get("weights_sha256")
    return {
        "href": f"urn:sha256:{digest}" if digest else "urn:rsclip:model",
        "type": "application/octet-stream",
        "title": f"Weights of {_model_name(record)}",
        "roles": ["mlm:model", "mlm:weights"],
        "mlm:artifact_type": "safetensors",
    }
