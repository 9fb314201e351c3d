"""The default style of a GeoPackage's polygons, kept in its table `layer_styles` as QGIS does."""

import contextlib
import sqlite3
from pathlib import Path

from rsclip.outputs.files.disk import write_error
from rsclip.outputs.styles.qml import Coloured, polygons_qml
from rsclip.outputs.styles.sld import polygons_sld

__all__ = ["embed_qml", "embed_style"]

# As QGIS creates it.
_TABLE = """
CREATE TABLE IF NOT EXISTS "layer_styles" (
    "id" INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    "f_table_catalog" TEXT(256), "f_table_schema" TEXT(256), "f_table_name" TEXT(256),
    "f_geometry_column" TEXT(256), "styleName" TEXT(30), "styleQML" TEXT, "styleSLD" TEXT,
    "useAsDefault" BOOLEAN, "description" TEXT, "owner" TEXT(30), "ui" TEXT(30),
    "update_time" DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now'))
)"""
_REGISTER = """
INSERT OR REPLACE INTO gpkg_contents (table_name, data_type, identifier, description, last_change)
VALUES ('layer_styles', 'attributes', 'layer_styles', '', strftime('%Y-%m-%dT%H:%M:%fZ','now'))"""
_COUNT = """
INSERT OR REPLACE INTO gpkg_ogr_contents (table_name, feature_count)
VALUES ('layer_styles', (SELECT count(*) FROM layer_styles))"""


def embed_style(path: str | Path, legend: Coloured, layer: str = "polygons") -> None:
    """Give a layer of a GeoPackage its default style: QGIS applies it when the layer is opened.

    A default style that is there is replaced.

    Args:
        path: A GeoPackage, closed.
        legend: Values of `class_id`, names, colours.
        layer: The layer's name.

    Raises:
        ValueError: The GeoPackage has no such layer.
        WriteError: The file cannot be written.
    """
    embed_qml(path, layer, polygons_qml(legend), polygons_sld(legend, layer))


def embed_qml(path: str | Path, layer: str, qml: str, sld: str = "") -> None:
    """Give a layer of a GeoPackage a QGIS style as its default, and an SLD where there is one.

    Raises:
        ValueError: The GeoPackage has no such layer.
        WriteError: The file cannot be written.
    """
    try:
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            found = database.execute(
                "SELECT column_name FROM gpkg_geometry_columns WHERE table_name = ?", (layer,)
            ).fetchone()
            if found is None:
                raise ValueError(f"{path}: no layer {layer!r}")
            database.execute(_TABLE)
            database.execute(
                "DELETE FROM layer_styles WHERE f_table_name = ? AND useAsDefault", (layer,)
            )
            database.execute(
                "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, "
                "f_geometry_column, styleName, styleQML, styleSLD, useAsDefault, description, "
                "owner) VALUES ('', '', ?, ?, 'classes', ?, ?, 1, 'Classes of rsclip', '')",
                (layer, found[0], qml, sld),
            )
            database.execute(_REGISTER)
            if database.execute(
                "SELECT 1 FROM sqlite_master WHERE name = 'gpkg_ogr_contents'"
            ).fetchone():
                # GDAL's own count: without it, it counts by itself, slowly.
                database.execute(_COUNT)
    except sqlite3.Error as error:
        raise write_error(error, path) from error
