"""`mosaic.vrt`: all masks of a batch as one raster, without a copy of a pixel."""

import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rasterio.crs import CRS
from rasterio.transform import Affine

from rsclip.batch.tasks import Outcome
from rsclip.errors import ReadError, WriteError
from rsclip.files import new_file
from rsclip.outputs.files.disk import write_error
from rsclip.scene.gdal import guarded, open_dataset
from rsclip.scene.scene import gdal_env
from rsclip.version import __version__

__all__ = ["finished", "is_own", "write_mosaics"]

_NAME = "mosaic"
# No tag of a mask: a copy of a mask as VRT has its tags.
_MARK = "RSCLIP_MOSAIC"
_SHOWN = 5
_TYPES = {"uint8": "Byte", "uint16": "UInt16"}


@dataclass(frozen=True, slots=True)
class _Mask:
    """A mask on a north-up grid: where it is, how large, and its colours and names."""

    path: Path
    crs: CRS
    transform: Affine
    width: int
    height: int
    dtype: str
    nodata: int
    colours: tuple[tuple[int, tuple[int, ...]], ...]
    names: str


def finished(root: Path, outcomes: Sequence[Outcome]) -> list[tuple[Outcome, Path]]:
    """Return the scenes whose mask is there, in the order of their names, with its path.

    A scene that failed may have the mask of an earlier, good run.
    """
    there = [
        (outcome, root / outcome.outputs["mask"])
        for outcome in outcomes
        if "mask" in outcome.outputs
    ]
    return sorted((item for item in there if item[1].is_file()), key=lambda item: item[0].task.name)


def write_mosaics(
    root: Path,
    outcomes: Sequence[Outcome],
    note: Callable[[str], None],
    claim: Callable[[Sequence[str]], None],
) -> list[Path]:
    """Write mosaic.vrt over all masks below a folder, or one VRT for each CRS and set of classes.

    The pixel size is the finest of the masks'. Where masks overlap, the later by name lies on top;
    nodata covers nothing.

    Args:
        root: The output folder.
        outcomes: Of the batch.
        note: Called with a message about each mask that cannot take part.
        claim: Called with the files' names before they are written.

    Returns:
        The files.

    Raises:
        WriteError: A file cannot be written, or a mask of an earlier mosaic cannot be read.
    """
    groups: dict[Any, list[_Mask]] = defaultdict(list)
    made: dict[str | None, list[str]] = defaultdict(list)
    unread: list[Path] = []
    with gdal_env():
        for outcome, path in finished(root, outcomes):
            try:
                mask, reason = _read(path)
            except ReadError as error:
                mask, reason = None, error.what
                unread.append(path)
            if mask is None:
                note(f"{outcome.task.name}: not in the mosaic: {reason}")
                continue
            groups[mask.crs.to_wkt(), mask.dtype, mask.colours, mask.names].append(mask)
            made[outcome.settings_hash].append(outcome.task.name)
    if unread and any(map(is_own, root.glob(f"{_NAME}*.vrt"))):
        # The drive may be away for a moment: the earlier mosaic is still good.
        raise WriteError(
            "not written: a mask cannot be read, and the mosaic of an earlier batch stays",
            where=unread[0],
            remedy="Run the batch again, with --overwrite where the mask is damaged.",
        )
    if len(made) > 1:
        *others, _ = sorted(made.values(), key=len)
        odd = ", ".join(name for names in others for name in names[:_SHOWN])
        note(f"the mosaic has masks made with other settings than most: {odd}")
    stems = _stems(list(groups.values()))
    paths = [root / f"{stem}.vrt" for stem in stems]
    claim([path.name for path in paths])
    for path, masks in zip(paths, groups.values(), strict=True):
        try:
            with new_file(path) as draft:
                draft.write_bytes(_vrt(masks, root))
        except OSError as error:
            raise write_error(error, path) from error
    return paths


def is_own(path: Path) -> bool:
    """Say whether a file is a mosaic that a batch wrote."""
    try:
        root = ET.fromstring(path.read_bytes())
    except (OSError, ValueError, LookupError, ET.ParseError):
        return False
    return root.find(f"Metadata/MDI[@key='{_MARK}']") is not None


def _read(path: Path) -> tuple[_Mask | None, str]:
    try:
        with guarded(path, ReadError, what="it cannot be read"), open_dataset(path) as dataset:
            transform = dataset.transform
            if not dataset.crs:
                return None, "it has no CRS"
            if transform.b or transform.d or transform.e >= 0 or transform.a <= 0:
                return None, "its grid is not north-up, which a VRT cannot hold"
            dtype, nodata = dataset.dtypes[0], dataset.nodata
            if dtype not in _TYPES or nodata is None or not nodata.is_integer():
                return None, "its nodata or type is not that of a mask"
            # GDAL fills the colour table with black after the last class.
            colours = tuple(
                (value, colour) for value, colour in dataset.colormap(1).items() if any(colour[:3])
            )
            return _Mask(
                path, dataset.crs, transform, dataset.width, dataset.height, dtype,
                int(nodata), colours, dataset.tags().get("RSCLIP_CLASSES", ""),
            ), ""  # fmt: skip
    except ValueError as error:
        return None, " ".join(str(error).split())


def _stems(groups: Sequence[Sequence[_Mask]]) -> list[str]:
    if len(groups) == 1:
        return [_NAME]
    stems: list[str] = []
    for masks in groups:
        code = masks[0].crs.to_epsg()
        stem = f"{_NAME}_EPSG{code}" if code else f"{_NAME}_custom"
        count = sum(item == stem or item.startswith(f"{stem}_") for item in stems)
        stems.append(f"{stem}_{count + 1}" if count else stem)
    return stems


def _vrt(masks: Sequence[_Mask], root: Path) -> bytes:
    first = masks[0]
    step_x = min(mask.transform.a for mask in masks)
    step_y = min(-mask.transform.e for mask in masks)
    left = min(mask.transform.c for mask in masks)
    top = max(mask.transform.f for mask in masks)
    right = max(mask.transform.c + mask.transform.a * mask.width for mask in masks)
    bottom = min(mask.transform.f + mask.transform.e * mask.height for mask in masks)
    width, height = round((right - left) / step_x), round((top - bottom) / step_y)
    head = {"rasterXSize": str(max(width, 1)), "rasterYSize": str(max(height, 1))}
    tree = ET.Element("VRTDataset", head)
    ET.SubElement(tree, "SRS", {"dataAxisToSRSAxisMapping": "1,2"}).text = first.crs.to_wkt()
    numbers = (left, step_x, 0.0, top, 0.0, -step_y)
    ET.SubElement(tree, "GeoTransform").text = ", ".join(repr(float(item)) for item in numbers)
    mark = ET.SubElement(ET.SubElement(tree, "Metadata"), "MDI", {"key": _MARK})
    mark.text = __version__
    band = ET.SubElement(tree, "VRTRasterBand", {"dataType": _TYPES[first.dtype], "band": "1"})
    ET.SubElement(band, "NoDataValue").text = str(first.nodata)
    ET.SubElement(band, "ColorInterp").text = "Palette"
    _colour_table(band, first)
    for mask in masks:
        source = ET.SubElement(band, "ComplexSource")
        name = ET.SubElement(source, "SourceFilename", {"relativeToVRT": "1"})
        name.text = mask.path.relative_to(root).as_posix()
        ET.SubElement(source, "SourceBand").text = "1"
        size = {"xSize": str(mask.width), "ySize": str(mask.height)}
        # So that GDAL opens a mask only when its pixels are asked for.
        facts = {"RasterXSize": str(mask.width), "RasterYSize": str(mask.height)}
        ET.SubElement(source, "SourceProperties", {**facts, "DataType": _TYPES[mask.dtype]})
        ET.SubElement(source, "SrcRect", {"xOff": "0", "yOff": "0", **size})
        place = {
            "xOff": (mask.transform.c - left) / step_x,
            "yOff": (top - mask.transform.f) / step_y,
            "xSize": mask.width * mask.transform.a / step_x,
            "ySize": mask.height * -mask.transform.e / step_y,
        }
        ET.SubElement(source, "DstRect", {key: _number(value) for key, value in place.items()})
        ET.SubElement(source, "NODATA").text = str(mask.nodata)
    ET.indent(tree)
    text: bytes = ET.tostring(tree, encoding="utf-8")
    return text + b"\n"


def _colour_table(band: ET.Element, mask: _Mask) -> None:
    known = dict(mask.colours)
    table = ET.SubElement(band, "ColorTable")
    for value in range(max(known, default=0) + 1):
        red, green, blue, alpha = known.get(value, (0, 0, 0, 255))
        parts = {"c1": red, "c2": green, "c3": blue, "c4": alpha}
        ET.SubElement(table, "Entry", {key: str(part) for key, part in parts.items()})


def _number(value: float) -> str:
    """Write a pixel position; rounding noise of the sixth decimal would blur the edges."""
    near = round(value)
    return str(near) if abs(value - near) < 1e-6 else repr(value)
