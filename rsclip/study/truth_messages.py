"""What is said of labels that do not fit, the same for rasters and vector files."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.crs import CRS
from rasterio.transform import Affine

from rsclip.errors import LegendError, SceneError, warn
from rsclip.study.truth_grids import Grid, transformable
from rsclip.words.legend import Legend

__all__ = [
    "all_ignored",
    "elsewhere",
    "listed_ids",
    "no_labels",
    "nothing_common",
    "outside_mapping",
    "say_crs",
    "say_grid",
    "say_left_out",
    "written",
    "written_colour",
]

_SHOWN = 6
_MOST_DIGITS = 1e15
# Parts of a pixel: by which sides may differ, and places.
_ALIKE, _OFF = 1e-6, 0.01


def written(value: Any) -> str:
    """Return a label as its file's user knows it."""
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < _MOST_DIGITS
        return f"{value:.0f}" if whole else f"{value:.4g}"
    return str(value)


def written_colour(colour: int) -> str:
    """Return a colour as a mapping names it."""
    return f"#{colour:06x}"


def _listed(names: Iterable[str]) -> str:
    each = list(dict.fromkeys(names))
    return ", ".join(each[:_SHOWN]) + (" ..." if len(each) > _SHOWN else "")


def listed_ids(ids: Iterable[int]) -> str:
    """Return ids of features as text, the first few of many."""
    return f"id {_listed(map(str, ids))}"


def no_labels(path: Path) -> SceneError:
    """Return the error of a path that is no file of labels."""
    what = "a folder, no file of labels" if path.is_dir() else "no such file of labels"
    return SceneError(what, where=path, remedy="Check the path.")


def nothing_common(
    path: Path, legend: Legend, names: Iterable[str], *, mapped: bool = False
) -> LegendError:
    """Return the error of labels that share no class with the legend.

    Args:
        path: The labels.
        legend: The classes.
        names: Labels, as they are written.
        mapped: A mapping may be given.
    """
    ours = ", ".join(item.name for item in legend.foreground)
    return LegendError(
        f"no class in common: the labels have {_listed(names)}, the legend {ours}",
        where=path,
        remedy="Name classes as the labels do, with your words as synonyms"
        + (", or say what each label means (--mapping)." if mapped else "."),
    )


def outside_mapping(path: Path, labels: Iterable[str]) -> LegendError:
    """Return the error of labels that a mapping does not name."""
    return LegendError(
        f"labels that the mapping lacks: {_listed(labels)}",
        where=path,
        remedy="Add them to the mapping: a class, `other`, or `ignore`.",
    )


def all_ignored(path: Path) -> LegendError:
    """Return the error of labels none of which counts."""
    return LegendError("all labels are ignored", where=path, remedy="Check --ignore and --mapping.")


def elsewhere(path: Path) -> SceneError:
    """Return the error of labels that lie elsewhere."""
    return SceneError(
        "the labels do not overlap the scene", where=path, remedy="Check their CRS and place."
    )


def say_crs(path: Path, crs: CRS | None, scene: Grid) -> None:
    """Warn where labels have another CRS than the scene, or one of both has none."""
    if not scene.crs:
        if crs:
            warn(
                f"{path}: the labels have a CRS and the scene has none: they are taken to lie on "
                "the scene's own grid"
            )
    elif not crs:
        warn(f"{path}: the labels have no CRS: they are taken to lie on the scene's own grid")
    elif not transformable(crs, scene.crs):
        warn(
            f"{path}: the labels' CRS and the scene's have no place on Earth in common: the labels "
            "are compared with the scene pixel by pixel"
        )
    elif crs != scene.crs:
        warn(f"{path}: the labels have another CRS than the scene: they are reprojected")


def say_grid(path: Path, labels: Affine, scene: Affine) -> None:
    """Warn where pixels of labels do not lie on those of the scene."""
    inner = ~scene @ labels
    shift = (inner.c, inner.f)
    if not (
        np.allclose((inner.a, inner.b, inner.d, inner.e), (1, 0, 0, 1), rtol=0, atol=_ALIKE)
        and np.allclose(shift, np.round(shift), rtol=0, atol=_OFF)
    ):
        warn(
            f"{path}: the labels lie on another grid than the scene: each pixel takes the nearest "
            "label"
        )


def say_left_out(path: Path, names: Iterable[str]) -> None:
    """Warn of classes that the legend lacks."""
    if names := list(names):
        warn(f"{path}: classes of the labels that the legend lacks: {_listed(names)}")
