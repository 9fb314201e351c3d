"""`<stem>_preview.png`: the image, the classes over it, legend, scale and north in one picture."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from rsclip.errors import ReadError, RsclipError, SceneError
from rsclip.outputs.files.disk import write_error
from rsclip.outputs.pictures.layout import MAX_SIDE, Ground, draw_layout, fit_panel
from rsclip.outputs.pictures.panels import EMPTY, class_entries, image_panel, mask_panel
from rsclip.outputs.records.record import warnings_of
from rsclip.scene.gdal import guarded, open_dataset
from rsclip.scene.scene import Scene, gdal_env
from rsclip.scene.stretch import Radiometry, fit
from rsclip.words.legend import UNCLASSIFIED, Legend

if TYPE_CHECKING:
    import PIL.Image

__all__ = ["MAX_SIDE", "render_preview", "write_preview"]

# Wider scenes have their panels one above the other.
_WIDE = 1.8
_HEIGHT_BESIDE, _HEIGHT_ABOVE = 1160, 520
_OVERLAY = 0.5


def write_preview(path: str | Path, picture: Image.Image) -> None:
    """Write a picture as PNG.

    Raises:
        WriteError: The file cannot be written.
    """
    try:
        picture.save(path, "PNG", optimize=True)
    except OSError as error:
        raise write_error(error, path) from error


def render_preview(
    mask: str | Path,
    legend: Legend,
    title: str,
    shares: Mapping[str, float],
    scene: Scene | None = None,
    radiometry: Radiometry | None = None,
    warnings: Sequence[str] = (),
) -> Image.Image:
    """Draw a scene's preview, at most `MAX_SIDE` pixels a side.

    Args:
        mask: The finished mask; gives the grid.
        legend: Names and colours.
        title: Above the picture.
        shares: Class name -> share (0 to 1) of the valid pixels; the largest come first.
        scene: The open scene; without it the classes stand alone.
        radiometry: The scene's stretch.
        warnings: Of the run; they stand in a banner.

    Raises:
        ReadError: The scene or the mask cannot be read.
    """
    with guarded(mask, ReadError), open_dataset(mask) as dataset:
        ground = Ground.of(dataset)
        wide = ground.extent[1] > _WIDE * ground.extent[0]
        height = _HEIGHT_ABOVE if wide else _HEIGHT_BESIDE
        panel = fit_panel(ground, 1 if wide else 2, height)
        colours, labels = mask_panel(dataset, legend, panel)
    covered = labels != legend.nodata
    if scene is None or radiometry is None:
        classes = np.where(covered[..., None], colours, EMPTY).astype(np.uint8)
        panels = [("classes", classes)]
    else:
        image = image_panel(scene, radiometry, panel)
        mixed = np.rint(image * (1 - _OVERLAY) + colours * _OVERLAY).astype(np.uint8)
        # Where no class was found the image itself is to be seen.
        classified = covered & (labels != UNCLASSIFIED)
        overlay = np.where(classified[..., None], mixed, image)
        panels = [("image", image), ("classes over the image", overlay)]
    columns = 1 if wide else len(panels)
    return draw_layout(title, panels, columns, ground, class_entries(legend, shares), warnings)


def draw_preview(
    record: Mapping[str, Any], mask: str | Path, *, scene_needed: bool = True
) -> "PIL.Image.Image":
    """Draw the preview of a finished run from its record.

    Args:
        record: The run record, as written.
        mask: Path of the mask; a scene that was named relatively is looked for from its folder
            too.
        scene_needed: Fail without the scene; else the classes stand alone.

    Raises:
        InputError: The scene cannot be opened any more, or the record is damaged.
        ReadError: Its pixels cannot be read.
        OSError: The mask cannot be read.
    """
    legend = Legend.from_dict(record["classes"])
    shares = {item["name"]: item["share"] for item in record["results"]}
    about = record["scene"]
    source = str(about["source"])
    beside = Path(mask).parent / source
    if not Path(source).exists() and beside.exists():
        source = str(beside)
    with gdal_env(), contextlib.ExitStack() as stack:
        scene = radiometry = None
        try:
            scene = stack.enter_context(
                Scene.open(
                    source,
                    bidx=record["settings"].get("bidx"),
                    nodata=record["settings"].get("nodata"),
                    gsd=record["settings"].get("gsd"),
                    resample_output=record["settings"].get("resample_output", "scene"),
                )
            )
            if scene.shape != tuple(about["shape"]):
                raise SceneError(
                    "it is no longer the scene that the mask was made from",
                    where=source,
                    remedy="Run again.",
                )
            radiometry = fit(scene, record["settings"].get("stretch"))
        except RsclipError:
            if scene_needed:
                raise
            scene = None
        title = Scene.stem_of(str(about["source"]))
        return render_preview(mask, legend, title, shares, scene, radiometry, warnings_of(record))
