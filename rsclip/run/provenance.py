"""The run record: what went in, what came out, how long it took."""

import datetime
import importlib.metadata
import platform
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import rasterio

from rsclip.config import SegmentConfig
from rsclip.run.pipeline import Counts, SceneRun
from rsclip.scene.scene import Scene
from rsclip.version import __version__
from rsclip.words.legend import UNCLASSIFIED_NAME, Legend
from rsclip.words.prompts import Query

__all__ = ["describe_outcome", "describe_run", "software", "utc_now", "without_secrets"]

_LIBRARIES = ("torch", "open_clip_torch", "rasterio", "numpy")


def describe_run(
    scene: Scene,
    run: SceneRun,
    legend: Legend,
    config: SegmentConfig,
    queries: Sequence[Query],
    model: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what is known of a run before its first pixel, ready for `write_record`.

    Args:
        scene: The open scene.
        run: Its windows.
        legend: Classes.
        config: Settings.
        queries: What the model was asked for.
        model: Its name, weights hash and the like.
    """
    return {
        "software": software(),
        "started": utc_now(),
        # What relative paths below are meant from.
        "working_folder": str(Path.cwd()),
        "scene": {
            "source": without_secrets(scene.source),
            "shape": scene.shape,
            "crs": scene.crs.to_wkt() if scene.crs else None,
            "transform": tuple(scene.transform)[:6],
            "bands": scene.bands,
            "valid_source": scene.valid_source,
            "working_shape": scene.working_shape,
        },
        "model": dict(model),
        "classes": legend.to_dict(),
        "queries": [
            {
                "text": query.text,
                "class": legend.classes[query.class_index].name,
                **({"negative": True} if query.negative else {}),
            }
            for query in queries
        ],
        "settings": config.to_dict(),
        "windows": _windows(run),
        **({"evidence": run.evidence.to_dict(legend)} if run.evidence.rules else {}),
    }


def describe_outcome(run: SceneRun, counts: Counts, legend: Legend) -> dict[str, Any]:
    """Return what the record gains when the last pixel is written."""
    assert run.radiometry is not None
    total = int(counts.pixels.sum())
    valid = total - int(counts.pixels[legend.nodata])
    entries = [(0, UNCLASSIFIED_NAME), *((item.value, item.name) for item in legend.foreground)]
    return {
        "radiometry": run.radiometry.to_dict(),
        "windows": {**_windows(run), "skipped": counts.skipped},
        "pixels": total,
        "valid_pixels": valid,
        "unreadable": sorted([*window] for window in run.unreadable),
        "folded": [item.name for item in legend.foreground if item.value in counts.folded],
        "results": [_result(counts, value, name, valid) for value, name in entries],
        "seconds": {name: round(value, 3) for name, value in counts.seconds.items()},
    }


def software() -> dict[str, str]:
    """Return the versions of what the labels depend on."""
    return {
        "rsclip": __version__,
        "python": platform.python_version(),
        "gdal": rasterio.__gdal_version__,
        **{name: importlib.metadata.version(name) for name in _LIBRARIES},
    }


def utc_now() -> str:
    """Return the time in UTC, to the second, as records have it (ISO 8601)."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def without_secrets(source: str) -> str:
    """Return a source as it may be passed on: a signed URL's values and passwords left out."""
    if "://" not in source:
        return source
    address, mark, query = source.partition("?")
    address = re.sub(r"://[^/@]*@", "://", address)
    return address + mark + re.sub(r"=[^&]*", "=...", query)


def _result(counts: Counts, value: int, name: str, valid: int) -> dict[str, Any]:
    """Return a class's line: `share` of the valid pixels, `m2` of ground."""
    pixels = int(counts.pixels[value])
    confidence = None
    if counts.confidence is not None and pixels:
        confidence = round(float(counts.confidence[value]) / pixels, 6)
    return {
        "value": value,
        "name": name,
        "pixels": pixels,
        "share": pixels / valid if valid else 0.0,
        "m2": None if counts.m2 is None else round(float(counts.m2[value]), 4),
        "mean_confidence": confidence,
    }


def _windows(run: SceneRun) -> dict[str, Any]:
    grid = run.grid
    return {
        "size": grid.window,
        "stride": grid.stride,
        "patch": grid.patch,
        "total": len(grid),
    }
