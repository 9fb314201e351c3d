"""Polygons as GeoPackage, GeoJSON, FlatGeobuf, Shapefile or GeoParquet, a batch at a time."""

import contextlib
import errno
import json
import math
import os
import shutil
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from rasterio.crs import CRS

from rsclip.errors import WriteError, warn
from rsclip.geo.units import to_pyproj
from rsclip.outputs.files.disk import write_error
from rsclip.outputs.polygons.formats import FORMATS, LAYER, SHORT_NAMES, kind_of
from rsclip.outputs.polygons.geojson import decimals, keep_polygons, within_turn
from rsclip.scene.gdal import GDAL_ERRORS
from rsclip.vectors.features import Features
from rsclip.vectors.pyogrio_import import pyogrio

if TYPE_CHECKING:
    import geopandas

__all__ = ["VectorWriter", "frame_of"]

# Many programs count the bytes of a .shp or .dbf in 31 bits.
_SHAPEFILE_LIMIT = 2**31 - 1
# Bytes of a record: two texts, four numbers.
_DBF_RECORD = 2 * 80 + 4 * 24
# FlatGeobuf makes a temporary file first, SQLite a journal; files have more bytes than the
# geometries: fields, index.
_TIMES_WRITTEN = 2
_FEATURE_BYTES = 160
# Beyond this GDAL builds the index on the disk.
_INDEX_OPTION = "OGR_GPKG_MAX_RAM_USAGE_RTREE"
_INDEX_BYTES = 100_000_000
# What GDAL says of points for which it finds no longitude and latitude.
_OFF_EARTH = (
    "eprojection failed",
    "projection domain",
    "extent outside of",
    "Cannot reproject",
    "Failed to reproject",
)
_ERRORS = (*GDAL_ERRORS, pa.ArrowException)


class VectorWriter:
    """Write features as they come; memory is one batch.

    Args:
        path: The file; its suffix chooses the format.
        names: Value -> class name; the value itself stands in for a missing one.
        scene: Written into every feature.
        crs: The scene's, or None.
        on_ground: Areas and lengths are metres, not pixels.
        pixel: Metres of a pixel's shorter side, for the decimals of GeoJSON.
    """

    def __init__(
        self,
        path: str | Path,
        names: Mapping[int, str],
        scene: str,
        crs: CRS | None,
        *,
        on_ground: bool,
        pixel: float = 1.0,
    ) -> None:
        self._path = Path(path)
        self._kind = kind_of(path)
        self._format = FORMATS[self._kind]
        self._options = dict(self._format.options or {})
        self._turn = None
        if self._kind == "geojson":
            self._options["COORDINATE_PRECISION"] = str(decimals(pixel))
            if crs and crs.is_geographic:
                self._turn = math.tau / float(crs.units_factor[1])
        self._names = names
        self._scene = scene
        self._crs = crs
        self._fields = _fields(on_ground)
        if self._kind == "shp":
            self._fields = {SHORT_NAMES.get(k, k): v for k, v in self._fields.items()}
        self._count = 0
        self._seen: set[int] = set()
        self._bytes = 100
        self._given = 0

    def write(self, batches: Iterator[Features]) -> set[int]:
        """Write all features and return the class values they have.

        Args:
            batches: Features in any number of batches; errors in making them come through as they
                are.

        Raises:
            WriteError: The disk is full, the file cannot be written, or is too large for its
                format.
        """
        failure: list[BaseException] = []

        def tables() -> Iterator[pa.RecordBatch]:
            try:
                for features in batches:
                    if len(features):
                        yield self._table(features)
            except BaseException as error:
                # On its way through C an exception would lose its type.
                failure.append(error)
                raise

        try:
            if self._format.driver is None:
                self._write_parquet(tables())
            else:
                self._write_driver(tables())
        except _ERRORS as error:
            if failure:
                raise failure[0] from error
            if self._kind == "geojson" and any(text in str(error) for text in _OFF_EARTH):
                raise WriteError(
                    "part of the scene lies beyond the edge of the Earth, where there is no "
                    "longitude and latitude for GeoJSON",
                    where=self._path.name,
                    remedy="Choose --vector-format=gpkg (or another in the scene's own CRS).",
                ) from error
            raise write_error(self._reason(error), self._path) from error
        return self._seen

    def _reason(self, error: BaseException) -> BaseException:
        """Return the full disk that is freed again by the time of the error.

        FlatGeobuf calls it an I/O failure; SQLite rolls back, and GDAL says that this failed.
        """
        if self._kind not in ("fgb", "gpkg") or getattr(error, "errno", None) is not None:
            return error
        with contextlib.suppress(OSError):
            if shutil.disk_usage(self._path.parent).free < _TIMES_WRITTEN * self._given:
                return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return error

    def _table(self, features: Features) -> pa.RecordBatch:
        size = len(features)
        self._count += size
        self._seen.update(features.class_id.tolist())
        geometry = features.geometry
        if self._turn:
            geometry = within_turn(geometry, self._turn)
        wkb = shapely.to_wkb(geometry)
        self._given += sum(map(len, wkb)) + size * _FEATURE_BYTES
        if self._kind == "shp":
            self._weigh(features)
        columns = [*_columns(features, self._names, self._scene), _texts(wkb, pa.binary())]
        return pa.RecordBatch.from_arrays(columns, schema=self._schema())

    def _schema(self) -> pa.Schema:
        # Without this name GDAL would take the bytes for an attribute.
        extension = {b"ARROW:extension:name": b"geoarrow.wkb"}
        geometry = pa.field(
            self._format.geometry, pa.binary(), metadata=extension if self._format.driver else None
        )
        return pa.schema([pa.field(name, kind) for name, kind in self._fields.items()] + [geometry])

    def _write_driver(self, tables: Iterator[pa.RecordBatch]) -> None:
        reader = pa.RecordBatchReader.from_batches(self._schema(), tables)
        with warnings.catch_warnings(), _small_index():
            # A raster without a CRS has polygons without one.
            warnings.filterwarnings("ignore", message=".*crs.*", category=UserWarning)
            pyogrio.raw.write_arrow(
                reader,
                self._path,
                layer=LAYER if self._kind != "shp" else None,
                driver=self._format.driver,
                geometry_name=self._format.geometry,
                geometry_type="Polygon",
                crs=self._crs.to_wkt() if self._crs else None,
                layer_options=self._options,
                dataset_options=dict(self._format.about or {}),
            )
        self._check_whole()
        if self._kind == "geojson" and (gone := self._count - keep_polygons(self._path)):
            warn(
                f"{self._path.name}: {gone} of {self._count} polygons have no area once rounded "
                f"to {self._options['COORDINATE_PRECISION']} decimals: left out"
            )

    def _check_whole(self) -> None:
        """Read back: errors of the last writes can get lost in a close."""
        if self._kind == "geojson":
            with self._path.open("rb") as file:
                file.seek(max(self._path.stat().st_size - 16, 0))
                whole = file.read().rstrip().endswith(b"}")
        else:
            # An empty FlatGeobuf does not know its count.
            info = pyogrio.read_info(self._path)
            whole = max(info["features"], 0) == self._count
            # Where there is no room for it, a GeoPackage's is left out without a word.
            whole &= self._kind != "gpkg" or info["capabilities"]["fast_spatial_filter"]
        if not whole:
            raise OSError("what was written cannot be read back")

    def _write_parquet(self, tables: Iterator[pa.RecordBatch]) -> None:
        bounds: list[tuple[float, ...]] = []
        with pq.ParquetWriter(self._path, self._schema(), compression="zstd") as writer:
            for table in tables:
                geometry = shapely.from_wkb(table.column(self._format.geometry).to_pylist())
                bounds.append(tuple(shapely.total_bounds(geometry)))
                writer.write_batch(table)
            writer.add_key_value_metadata({"geo": json.dumps(self._geo(bounds))})

    def _geo(self, bounds: list[tuple[float, ...]]) -> dict[str, Any]:
        """Return the metadata of GeoParquet 1.1."""
        crs = to_pyproj(self._crs).to_json_dict() if self._crs else None
        column: dict[str, Any] = {
            "encoding": "WKB",
            "geometry_types": ["Polygon"],
            "orientation": "counterclockwise",
            "crs": crs,
        }
        if bounds:
            low, high = list(zip(*bounds, strict=True))[:2], list(zip(*bounds, strict=True))[2:]
            column["bbox"] = [*map(min, low), *map(max, high)]
        name = self._format.geometry
        return {"version": "1.1.0", "primary_column": name, "columns": {name: column}}

    def _weigh(self, features: Features) -> None:
        """Count the bytes of a Shapefile, whose parts end at 2 GB."""
        points = int(shapely.get_num_coordinates(features.geometry).sum())
        rings = int(shapely.get_num_interior_rings(features.geometry).sum()) + len(features)
        self._bytes += 52 * len(features) + 4 * rings + 16 * points
        table = self._count * _DBF_RECORD
        if max(self._bytes, table) > _SHAPEFILE_LIMIT:
            raise WriteError(
                "the polygons need more than the 2 GB that a Shapefile can hold",
                where=self._path.name,
                remedy="Choose --vector-format=gpkg (or fgb, parquet), or fewer and smaller "
                "outlines with --min-area, --sieve or --simplify.",
            )


def frame_of(
    batches: Iterable[Features],
    names: Mapping[int, str],
    scene: str,
    crs: CRS | None,
    *,
    on_ground: bool,
) -> "geopandas.GeoDataFrame":
    """Return features in memory, with the columns of the files; arguments as `VectorWriter`'s."""
    import geopandas

    fields = pa.schema(_fields(on_ground))
    parts = [features for features in batches if len(features)]
    tables = [
        pa.RecordBatch.from_arrays(_columns(part, names, scene), schema=fields) for part in parts
    ]
    geometry = np.concatenate([np.empty(0, object), *(part.geometry for part in parts)])
    frame = pa.Table.from_batches(tables, fields).to_pandas()
    return geopandas.GeoDataFrame(frame, geometry=geometry, crs=crs.to_wkt() if crs else None)


def _fields(on_ground: bool) -> dict[str, pa.DataType]:
    unit = ("m2", "m") if on_ground else ("px", "px")
    return {
        "class_id": pa.int32(),
        "class_name": pa.string(),
        f"area_{unit[0]}": pa.float64(),
        f"perimeter_{unit[1]}": pa.float64(),
        "mean_confidence": pa.float64(),
        "scene": pa.string(),
    }


def _columns(features: Features, names: Mapping[int, str], scene: str) -> list[pa.Array]:
    """Return the columns of `_fields`."""
    size, confidence = len(features), features.mean_confidence
    names_of = [names.get(value, str(value)) for value in features.class_id.tolist()]
    return [
        _numbers(features.class_id, pa.int32()),
        _texts([name.encode() for name in names_of], pa.string()),
        _numbers(features.area, pa.float64()),
        _numbers(features.perimeter, pa.float64()),
        pa.nulls(size, pa.float64()) if confidence is None else _numbers(confidence, pa.float64()),
        _texts([scene.encode()] * size, pa.string()),
    ]


# `pyarrow.array` would import pandas, to ask whether it was given something of it.
def _numbers(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    data = np.ascontiguousarray(values, kind.to_pandas_dtype())
    return pa.Array.from_buffers(kind, len(data), [None, pa.py_buffer(data)])


def _texts(items: Sequence[bytes], kind: pa.DataType) -> pa.Array:
    ends = np.cumsum([0, *map(len, items)], dtype=np.int64)
    if ends[-1] > np.iinfo(np.int32).max:
        raise pa.ArrowCapacityError("a batch of polygons has more than 2 GB")
    buffers = [None, pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(b"".join(items))]
    return pa.Array.from_buffers(kind, len(items), buffers)


@contextlib.contextmanager
def _small_index() -> Iterator[None]:
    """Bound the memory of a GeoPackage's spatial index; what the user has set stays."""
    if _INDEX_OPTION in os.environ:
        yield
        return
    before = pyogrio.get_gdal_config_option(_INDEX_OPTION)
    pyogrio.set_gdal_config_options({_INDEX_OPTION: _INDEX_BYTES})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({_INDEX_OPTION: before})
