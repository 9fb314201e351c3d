"""`<stem>_stac.json`: a STAC 1.1 item of the outputs, for catalogues.

Extensions: projection 2.0, raster 1.1, classification 2.0 and machine learning model (mlm) 1.4.
"""

import itertools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
from pyproj.exceptions import CRSError, ProjError
from rasterio.crs import CRS
from rasterio.transform import Affine

from rsclip.legend import Legend
from rsclip.scene import Scene
from rsclip.types import Shape
from rsclip.writers.qml import style_entries, write_text
from rsclip.writers.record import to_plain
from rsclip.writers.scores import NO_SCORE, SCORES

__all__ = ["stac_item", "write_stac"]

_EXTENSIONS = [
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
    "https://stac-extensions.github.io/classification/v2.0.0/schema.json",
    "https://stac-extensions.github.io/mlm/v1.4.0/schema.json",
]
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
_EDGE_POINTS = 8
_DEGREE_DIGITS = 7


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
    ring = _footprint(crs, transform, shape)
    item: dict[str, Any] = {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": _EXTENSIONS,
        "id": stem,
        "geometry": None if ring is None else _geometry(ring),
    }
    if ring is not None:
        item["bbox"] = _bbox(ring)
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
            "href": f"./{names['mask']}",
            "type": _COG,
            "title": "Class of every pixel",
            "roles": ["data"],
            "raster:bands": [{"data_type": legend.dtype, "nodata": legend.nodata}],
            "classification:classes": _classes(legend, record),
        }
    }
    for kind in SCORES:
        if kind in names:
            bands = {"data_type": "uint8", "nodata": NO_SCORE, "unit": "percent"}
            count = len(legend.foreground) if kind == "probabilities" else 1
            item["assets"][kind] = {
                "href": f"./{names[kind]}",
                "type": _COG,
                "title": _TITLES[kind],
                "roles": ["data"],
                "raster:bands": [bands] * count,
            }
        if f"{kind}_style" in names:
            item["assets"][f"{kind}_style"] = {
                "href": f"./{names[f'{kind}_style']}",
                "type": "application/xml",
                "title": f"QGIS style of the {kind} raster",
                "roles": ["style"],
            }
    for key, name in names.items():
        if key == "polygons" or key.startswith("polygons_"):
            media = _VECTORS.get(Path(name).suffix)
            if media is not None:
                item["assets"][key] = {
                    "href": f"./{name}",
                    "type": media,
                    "title": "Polygons of the classes",
                    "roles": ["data"],
                }
    for key, (media, role, title) in _OTHERS.items():
        if key in names:
            href = f"./{names[key]}"
            item["assets"][key] = {"href": href, "type": media, "title": title, "roles": [role]}
    item["assets"]["model"] = _model_asset(record)
    return item


def _projection(crs: CRS | None, transform: Affine, shape: Shape) -> dict[str, Any]:
    code = wkt = None
    if crs:
        try:
            own = pyproj.CRS.from_user_input(crs.to_wkt())
            authority = own.to_authority(min_confidence=100)
            code = ":".join(authority) if authority else None
            wkt = own.to_wkt("WKT2_2019")
        except CRSError:
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


def _footprint(
    crs: CRS | None, transform: Affine, shape: Shape
) -> list[tuple[float, float]] | None:
    """Return the outline as (longitude, latitude), counter-clockwise, closed."""
    if not crs:
        return None
    height, width = shape
    along = np.arange(_EDGE_POINTS) / _EDGE_POINTS
    # Down the left side first: counter-clockwise on a north-up grid.
    cols = np.concatenate([along * 0, along * width, along * 0 + width, (1 - along) * width])
    rows = np.concatenate([along * height, along * 0 + height, (1 - along) * height, along * 0])
    try:
        own = pyproj.CRS.from_user_input(crs.to_wkt())
        to_degrees = pyproj.Transformer.from_crs(own, "EPSG:4326", always_xy=True)
        lon, lat = to_degrees.transform(*(transform * (cols, rows)))
    except (CRSError, ProjError):
        return None
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        return None
    # Across the date line a ring goes on beyond 180.
    lon = np.degrees(np.unwrap(np.radians(lon)))
    points = [
        (round(float(x), _DEGREE_DIGITS), round(float(y), _DEGREE_DIGITS))
        for x, y in zip(lon, lat, strict=True)
    ]
    area = sum(
        a[0] * b[1] - b[0] * a[1] for a, b in zip(points, [*points[1:], points[0]], strict=True)
    )
    if area < 0:
        points.reverse()
    return [*points, points[0]]


def _geometry(ring: list[tuple[float, float]]) -> dict[str, Any]:
    """Return a polygon, cut in two at the date line as RFC 7946 asks."""
    west, east = min(x for x, _ in ring), max(x for x, _ in ring)
    if west >= -180 and east <= 180:
        return {"type": "Polygon", "coordinates": [[list(point) for point in ring]]}
    beyond = 1 if east > 180 else -1
    parts = []
    for side in (-1, 1):
        shift = -360.0 * beyond if side == beyond else 0.0
        part = _clip(ring, 180.0 * beyond, side)
        parts.append([[[round(x + shift, _DEGREE_DIGITS), y] for x, y in part]])
    return {"type": "MultiPolygon", "coordinates": parts}


def _clip(ring: list[tuple[float, float]], line: float, side: int) -> list[tuple[float, float]]:
    """Return the part of a ring on one side of a meridian (Sutherland and Hodgman)."""
    part: list[tuple[float, float]] = []
    for (x0, y0), (x1, y1) in itertools.pairwise(ring):
        inside, next_inside = (x0 - line) * side >= 0, (x1 - line) * side >= 0
        if inside:
            part.append((x0, y0))
        if inside != next_inside:
            part.append((line, y0 + (y1 - y0) * (line - x0) / (x1 - x0)))
    return [*part, part[0]]


def _bbox(ring: list[tuple[float, float]]) -> list[float]:
    x, y = zip(*ring, strict=True)
    west, east = min(x), max(x)
    # Across the date line a bbox has its west end east of its east end.
    if east > 180:
        east -= 360
    if west < -180:
        west += 360
    return [west, min(y), east, max(y)]
