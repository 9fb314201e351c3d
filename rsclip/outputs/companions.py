"""What a run leaves beside its mask: which files there are, and their writing."""

import contextlib
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from rsclip.config import SegmentConfig
from rsclip.outputs.files.staging import OutputPlaces, Staging
from rsclip.outputs.polygons.formats import vector_names
from rsclip.outputs.polygons.gpkg_style import embed_style
from rsclip.outputs.rasters.cog import CogWriter
from rsclip.outputs.rasters.pam import write_pam
from rsclip.outputs.rasters.scores import SCORES, score_writer
from rsclip.outputs.records.areas import write_areas
from rsclip.outputs.records.record import warnings_of
from rsclip.outputs.records.stac import write_stac
from rsclip.outputs.styles.qgz import ImageLayer, relative_source, write_project
from rsclip.outputs.styles.qml import polygons_qml, score_qml, write_mask_qml, write_text
from rsclip.outputs.styles.sld import mask_sld, polygons_sld
from rsclip.scene.scene import Scene
from rsclip.scene.stretch import Radiometry
from rsclip.words.legend import Legend

__all__ = ["kept_scores", "open_scores", "output_names", "write_companions"]


def output_names(
    stem: str, config: SegmentConfig | None = None, *, placed: bool = True
) -> dict[str, str]:
    """Return the file names of a scene's outputs, the record (the mark of completeness) last.

    Args:
        stem: The scene's.
        config: Settings: its flags choose the outputs.
        placed: The scene has a CRS.
    """
    config = config or SegmentConfig()
    names = {
        "mask": f"{stem}_mask.tif",
        "names": f"{stem}_mask.tif.aux.xml",
        "style": f"{stem}_mask.qml",
    }
    for kind in SCORES:
        if getattr(config, kind):
            names[kind] = f"{stem}_{kind}.tif"
            names[f"{kind}_style"] = f"{stem}_{kind}.qml"
    if config.areas:
        names["areas"] = f"{stem}_areas.csv"
    if config.vector_format != "none":
        names |= vector_names(f"{stem}_polygons", config.vector_format, placed=placed)
    if config.sld:
        names["mask_sld"] = f"{stem}_mask.sld"
        if "polygons" in names:
            names["polygons_sld"] = f"{stem}_polygons.sld"
    if config.qgis_project:
        names["project"] = f"{stem}.qgz"
    if config.preview:
        names["preview"] = f"{stem}_preview.png"
    if config.stac:
        names["stac"] = f"{stem}_stac.json"
    return {**names, "record": f"{stem}_run.json"}


def kept_scores(names: Container[str]) -> list[str]:
    """Return which score rasters a run writes: polygons need the confidence for their means.

    Args:
        names: Keys of the run's outputs.
    """
    needed = {"confidence"} if "polygons" in names else set()
    return [kind for kind in SCORES if kind in names or kind in needed]


def open_scores(
    stack: contextlib.ExitStack,
    staging: Staging,
    names: Mapping[str, str],
    scene: Scene,
    legend: Legend,
    tags: Mapping[str, str],
) -> dict[str, CogWriter]:
    """Open a writer for every score raster that is needed; the stack closes them.

    Raises:
        WriteError: A file cannot be made.
    """
    grid = scene.shape, scene.crs, scene.transform
    return {
        kind: stack.enter_context(
            score_writer(kind, _score_path(staging, names, kind), *grid, legend, tags)
        )
        for kind in kept_scores(names)
    }


def write_companions(
    staging: OutputPlaces,
    names: Mapping[str, str],
    folder: Path,
    scene: Scene,
    radiometry: Radiometry,
    legend: Legend,
    record: Mapping[str, Any],
    config: SegmentConfig,
    *,
    only: Container[str] | None = None,
) -> None:
    """Write all that is made from the finished mask and the record, but not the record itself.

    Args:
        staging: Holds the finished mask.
        names: As `output_names` gives them.
        folder: The output folder.
        scene: The open scene.
        radiometry: Its stretch.
        legend: Classes.
        record: The run record.
        config: The run's settings.
        only: Keys of the outputs to write. Default: all.

    Raises:
        RunError: A read or a write failed.
    """
    wanted = {key for key in names if only is None or key in only}
    if "names" in wanted:
        write_pam(staging.path("names"), legend)
    if "style" in wanted:
        write_mask_qml(staging.path("style"), legend)
    for kind in SCORES:
        if f"{kind}_style" in wanted:
            write_text(staging.path(f"{kind}_style"), score_qml())
    if "areas" in wanted:
        write_areas(staging.path("areas"), record["results"])
    if "mask_sld" in wanted:
        write_text(staging.path("mask_sld"), mask_sld(legend, Path(names["mask"]).stem))
    if "polygons" in wanted:
        confidence = _score_path(staging, names, "confidence")
        # Added to a finished run that kept no scores, polygons have no mean of them.
        scores = confidence if confidence.exists() else None
        # It loads geopandas, which a run that has nothing to do need not wait for.
        from rsclip.outputs.polygonize import add_polygons

        add_polygons(staging, names, legend.names, config, scores)
        if names["polygons"].endswith(".gpkg"):
            embed_style(staging.path("polygons"), legend)
    if "polygons_style" in wanted:
        write_text(staging.path("polygons_style"), polygons_qml(legend))
    if "polygons_sld" in wanted:
        write_text(staging.path("polygons_sld"), polygons_sld(legend))
    if "project" in wanted:
        # A layer that QGIS cannot open would meet its user with a question.
        opened = None if config.vector_format == "parquet" else names.get("polygons")
        write_project(
            staging.path("project"),
            scene.stem,
            scene.crs,
            scene.transform,
            scene.shape,
            legend,
            _image_layer(scene, radiometry, folder),
            names["mask"],
            opened,
        )
    if "preview" in wanted:
        # Pillow is loaded only where a picture is asked for.
        from rsclip.outputs.pictures.preview import render_preview, write_preview

        shares = {item["name"]: item["share"] for item in record["results"]}
        mask = staging.path("mask")
        picture = render_preview(
            mask, legend, scene.stem, shares, scene, radiometry, warnings_of(record)
        )
        write_preview(staging.path("preview"), picture)
    if "stac" in wanted:
        write_stac(staging.path("stac"), scene, legend, record, names)


def _score_path(staging: OutputPlaces, names: Container[str], kind: str) -> Path:
    return staging.path(kind) if kind in names else staging.scratch(f"{kind}.tif")


def _image_layer(scene: Scene, radiometry: Radiometry, folder: Path) -> ImageLayer:
    ends = list(zip(radiometry.low, radiometry.high, strict=True))
    as_it_is = scene.dtype == "uint8" and set(ends) == {(0, 255)}
    return ImageLayer(
        relative_source(scene.source, folder),
        None if scene.has_palette else scene.bands,
        None if as_it_is else ends,
        scene.alpha,
        scene.declares_nodata,
    )
