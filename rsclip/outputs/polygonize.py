"""Polygons of a label raster, rsclip's own mask or any other: `polygonize`, `write_polygons`."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import TYPE_CHECKING, Any, Unpack

import pyarrow.parquet as pq
import pyproj

from rsclip.config import POLYGON_OPTIONS, SegmentConfig, build_config
from rsclip.errors import OptionError, OutputError, ReadError, warn
from rsclip.geo.measure import Measure
from rsclip.keywords import PolygonFileKeywords, PolygonKeywords
from rsclip.outputs.files.disk import write_error
from rsclip.outputs.files.staging import OutputPlaces, Staging
from rsclip.outputs.polygons.formats import (
    LAYER,
    VECTOR_FORMATS,
    check_length,
    check_path,
    check_place,
    has_prj,
    kind_of,
    long_names,
    vector_names,
)
from rsclip.outputs.polygons.gpkg_style import embed_style
from rsclip.outputs.polygons.vector_file import VectorWriter, frame_of
from rsclip.outputs.styles.qml import polygons_qml, write_text
from rsclip.scene.gdal import GDAL_ERRORS, guarded
from rsclip.scene.scene import gdal_env
from rsclip.scene.source import stem_of
from rsclip.vectors.features import Features, Finisher
from rsclip.vectors.label_raster import LabelRaster
from rsclip.vectors.pyogrio_import import pyogrio
from rsclip.vectors.shaping import Shaping, find_values
from rsclip.vectors.stream import Stream
from rsclip.words.colours import RGB, UNCLASSIFIED_RGB, choose_colours
from rsclip.words.legend import UNCLASSIFIED, UNCLASSIFIED_NAME

if TYPE_CHECKING:
    import geopandas

__all__ = [
    "add_polygons",
    "polygonize",
    "read_polygons",
    "read_polygons_crs",
    "write_polygons",
]


@dataclass(frozen=True, slots=True)
class _Classes:
    """Names and colours of a mask's values."""

    names: dict[int, str] = field(default_factory=dict)
    colours: dict[int, RGB] = field(default_factory=dict)


def polygonize(
    mask: str | Path, *, confidence: str | Path | None = None, **options: Unpack[PolygonKeywords]
) -> "geopandas.GeoDataFrame":
    """Return the polygons of a label raster, all of them in memory.

    Args:
        mask: One band of whole numbers; 0 (unclassified) and nodata give no polygon. Names come
            from rsclip's own tags, else from the raster's category names or attribute table (in
            the file, `<mask>.aux.xml`, `<mask>.vat.dbf` or a VRT), else they are the values.
        confidence: A raster of whole percent on the same grid, for `mean_confidence`.
        **options: simplify, smooth, orthogonal, min_area, sieve: as in `SegmentConfig`.

    Raises:
        InputError: The raster holds no labels, or an option is wrong.
        RunError: A read or a write failed.
    """
    config = _config(options)
    with _opened(mask, confidence, config) as (labels, classes):
        with _sieved(labels, config.sieve, Path(gettempdir())):
            measure = Measure(labels.crs, labels.transform, labels.shape)
            found = [*_features(labels, measure, classes, config)]
        return frame_of(found, classes, _scene_of(mask), labels.crs, on_ground=measure.on_ground)


def write_polygons(
    mask: str | Path,
    output: str | Path | None = None,
    *,
    confidence: str | Path | None = None,
    **options: Unpack[PolygonFileKeywords],
) -> Path:
    """Write the polygons of a label raster, styled; memory is a strip and the largest polygon.

    Args:
        mask: As for `polygonize`.
        output: A file ending in .gpkg, .geojson, .fgb, .shp or .parquet
            [default: <stem>_polygons.gpkg in this folder, a stem's `_mask` left out].
        confidence: As for `polygonize`.
        **options: Those of `polygonize`, and overwrite.

    Returns:
        The path of the file.

    Raises:
        InputError: The raster holds no labels, an option or the ending is wrong, or the file
            exists.
        RunError: A read or a write failed; nothing is left under a final name.
    """
    config = _config(options)
    stem = _scene_of(mask)
    output = Path(f"{stem}_polygons.gpkg" if output is None else output)
    kind = kind_of(output)
    if kind not in VECTOR_FORMATS:
        raise OutputError(
            f"no vector format has the ending {output.suffix!r}" if kind else "it has no ending",
            where=output,
            remedy=f"Choose one of {', '.join('.' + name for name in VECTOR_FORMATS)}.",
        )
    check_path(output, kind)
    check_length(output, kind)
    inputs = [path for path in (mask, confidence) if path is not None]
    with _opened(mask, confidence, config) as (labels, said):
        check_place(kind, labels.crs, mask)
        names = vector_names(output.stem, kind, placed=has_prj(labels.crs))
        if kind != "shp":
            # The ending stays as it was spelt; GDAL gives the parts of a Shapefile small ones.
            names["polygons"] = output.name
        if "polygons_style" in names and _stays(
            output.parent / names["polygons_style"], mask, config
        ):
            del names["polygons_style"]
        with Staging(
            output.parent, names, overwrite=config.overwrite, inputs=inputs, place="file (-o)"
        ) as staging:
            path = staging.path("polygons")
            with _sieved(labels, config.sieve, path.parent):
                seen = _write(labels, path, said, stem, config)
            classes = _classes(labels, said, seen)
            if kind == "gpkg":
                embed_style(path, classes)
            elif "polygons_style" in names:
                write_text(staging.path("polygons_style"), polygons_qml(classes))
            published = staging.publish()
    return published["polygons"]


def add_polygons(
    places: OutputPlaces,
    names: Mapping[str, str],
    classes: Mapping[int, str],
    config: SegmentConfig,
    confidence: Path | None,
) -> None:
    """Write the polygons of a run's finished mask beside it.

    Args:
        places: Tells where the mask lies and the polygons go.
        names: Key -> file name of the run's outputs.
        classes: Value -> name.
        config: The run's.
        confidence: The run's scores, whole percent, for `mean_confidence`; or None.

    Raises:
        RunError: A read or a write failed.
    """
    with LabelRaster(places.path("mask"), confidence) as labels:
        stem = names["mask"].removesuffix("_mask.tif")
        _write(labels, places.path("polygons"), classes, stem, config)


def read_polygons(path: str | Path) -> "geopandas.GeoDataFrame":
    """Read polygons that rsclip wrote, in any of its formats, with the full field names."""
    import geopandas

    kind = kind_of(path)
    layer = {"layer": LAYER} if kind == "gpkg" else {}
    with _reading(path):
        if kind == "parquet":
            return geopandas.read_parquet(path)
        return geopandas.read_file(path, **layer).rename(columns=long_names(kind))


def read_polygons_crs(path: str | Path) -> pyproj.CRS | None:
    """Return the CRS of polygons that rsclip wrote, without reading them; None if there is none."""
    with _reading(path):
        if kind_of(path) == "parquet":
            column = json.loads(pq.read_metadata(path).metadata[b"geo"])["columns"]["geometry"]
            # GeoParquet: a column that names no CRS is in longitude and latitude.
            crs = column.get("crs", "OGC:CRS84")
        else:
            crs = pyogrio.read_info(path, layer=LAYER if kind_of(path) == "gpkg" else None)["crs"]
        return None if crs is None else pyproj.CRS.from_user_input(crs)


def _reading(path: str | Path) -> contextlib.AbstractContextManager[None]:
    remedy = "The file may be damaged; `ogrinfo` shows what GDAL makes of it."
    return guarded(path, ReadError, remedy=remedy)


def _write(
    labels: LabelRaster,
    path: Path,
    classes: Mapping[int, str],
    scene: str,
    config: SegmentConfig,
) -> set[int]:
    """Write all polygons and return the values they have."""
    measure = Measure(labels.crs, labels.transform, labels.shape)
    height, width = labels.shape
    pixel = min(measure.pixel_size(width / 2, height / 2))
    writer = VectorWriter(
        path, classes, scene, labels.crs, on_ground=measure.on_ground, pixel=pixel
    )
    return writer.write(_features(labels, measure, classes, config))


def _features(
    labels: LabelRaster, measure: Measure, classes: Mapping[int, str], config: SegmentConfig
) -> Iterator[Features]:
    """Yield the polygons that each strip finishes."""
    shaping = Shaping.plan(config, measure, classes)
    stream = Stream(labels.shape[1], labels.no_class, units=shaping.units, reshape=shaping.reshape)
    finisher = Finisher(
        measure,
        labels.transform,
        units=shaping.units,
        exact=shaping.reshape is None,
        min_area=config.min_area,
        redraw=shaping.redraw,
    )
    strips = labels.strips(measure.ground, shaped=shaping.reshape is not None)
    yield from map(finisher.finish, stream.run(strips))


@contextlib.contextmanager
def _opened(
    mask: str | Path, confidence: str | Path | None, config: SegmentConfig
) -> Iterator[tuple[LabelRaster, dict[int, str]]]:
    """Open a label raster and yield it with its class names, without that of unclassified."""
    with gdal_env(), LabelRaster(mask, confidence) as labels:
        names = {value: name for value, name in labels.names().items() if value != UNCLASSIFIED}
        find_values(config.orthogonal, names)
        yield labels, names


def _scene_of(mask: str | Path) -> str:
    return stem_of(mask).removesuffix("_mask")


def _stays(style: Path, mask: str | Path, config: SegmentConfig) -> bool:
    """Say whether a style that is there is the mask's own, of a raster, or another file's."""
    if not style.exists():
        return False
    if style.absolute() == Path(mask).with_suffix(".qml").absolute():
        return True
    if not config.overwrite:
        # Formats of one stem share it.
        warn(f"{style} exists and was kept: --overwrite replaces it")
    return not config.overwrite


@contextlib.contextmanager
def _sieved(labels: LabelRaster, pixels: int | None, folder: Path) -> Iterator[None]:
    """Sieve the labels in scratch files of a folder, for as long as they are needed."""
    if pixels is None:
        yield
        return
    with TemporaryDirectory(dir=folder) as scratch:
        try:
            labels.sieve(pixels, Path(scratch))
        except GDAL_ERRORS as error:
            raise write_error(error, folder) from error
        yield


def _config(options: Mapping[str, Any]) -> SegmentConfig:
    for name in options:
        if name not in POLYGON_OPTIONS:
            raise OptionError(
                f"unknown option `{name}`", remedy=f"Known: {', '.join(POLYGON_OPTIONS)}."
            )
    return build_config(options)


def _classes(labels: LabelRaster, names: Mapping[int, str], seen: set[int]) -> _Classes:
    """Return names and colours of a mask's values, those without any included."""
    values = sorted({*names, *seen})
    named = {value: names.get(value, str(value)) for value in values}
    given = labels.colours()
    chosen = choose_colours([([named[value]], given.get(value)) for value in values])
    return _Classes(
        {UNCLASSIFIED: UNCLASSIFIED_NAME, **named},
        {UNCLASSIFIED: UNCLASSIFIED_RGB, **dict(zip(values, chosen, strict=True))},
    )
