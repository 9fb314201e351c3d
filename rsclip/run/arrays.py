"""Scenes that Python holds: arrays, open datasets and xarray objects, given to a run as files."""

import contextlib
import shutil
import tempfile
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine

from rsclip.errors import OptionError, WriteError
from rsclip.scene.gdal import GDAL_ERRORS, guarded, open_dataset, reason

if TYPE_CHECKING:
    import xarray

__all__ = ["Folder", "SceneLike", "as_file"]

SceneLike: TypeAlias = (
    "str | Path | np.ndarray[Any, Any] | rasterio.io.DatasetReader | xarray.DataArray"
)
"""A file, URL or GDAL virtual path; or what Python holds: see `as_file`."""

_NAME = "array"
_TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64")


class Folder:
    """A temporary folder that lives as long as this object does."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="rsclip-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def as_file(
    scene: Any,
    folder: Path,
    *,
    transform: "Affine | Sequence[float] | None" = None,
    crs: Any = None,
) -> Path:
    """Write what Python holds into a GeoTIFF.

    Args:
        scene: An array (C, H, W) or (H, W), masked or not; an open `rasterio` dataset; or a
            `xarray.DataArray` with rioxarray's metadata.
        folder: Where the file goes.
        transform: Of an array: pixel to CRS coordinates (an `Affine`, or its six numbers).
        crs: Of an array: whatever `rasterio.crs.CRS.from_user_input` takes.

    Raises:
        OptionError: It is something else, its shape or type does not fit, or a dataset or
            DataArray comes with a `transform` or `crs` besides its own.
        SceneError: An open dataset cannot be copied.
        WriteError: The temporary folder takes no file.
    """
    if isinstance(scene, np.ndarray):
        return _write(scene, folder / f"{_NAME}.tif", transform, crs, None)
    if transform is not None or crs is not None:
        raise OptionError(
            "only an array takes transform and crs: anything else has its own",
            where="transform, crs",
            remedy="Leave them out, or give the pixels as an array.",
        )
    if hasattr(scene, "dims") and hasattr(scene, "coords"):
        return _of_xarray(scene, folder)
    if hasattr(scene, "dataset_mask") and hasattr(scene, "window_transform"):
        return _of_dataset(scene, folder)
    raise OptionError(
        f"a scene cannot be a {type(scene).__name__}",
        where="scene",
        remedy="Give a path, an array (C, H, W), an open rasterio dataset or a DataArray.",
    )


def _write(
    array: Any,
    path: Path,
    transform: "Affine | Sequence[float] | None",
    crs: Any,
    nodata: float | None,
) -> Path:
    bands = array[np.newaxis] if array.ndim == 2 else array
    if bands.ndim != 3 or 0 in bands.shape:
        raise OptionError(
            f"an array of shape {array.shape} is no scene",
            where="scene",
            remedy="Give (C, H, W), as rasterio reads it, or (H, W).",
        )
    if bands.shape[2] in (3, 4) and bands.shape[0] > 4:
        raise OptionError(
            f"an array of shape {array.shape} looks like (H, W, C)",
            where="scene",
            remedy="Give (C, H, W), as rasterio reads it: array.transpose(2, 0, 1).",
        )
    if bands.dtype.name not in _TYPES:
        raise OptionError(
            f"pixels cannot be {bands.dtype}",
            where="scene",
            remedy=f"Convert them with array.astype(...) to one of {', '.join(_TYPES)}.",
        )
    if transform is not None and not isinstance(transform, Affine):
        try:
            transform = Affine(*transform)
        except TypeError as error:
            raise OptionError(
                f"{transform!r} does not fit",
                where="transform",
                remedy="Give an Affine, or its six numbers (a, b, c, d, e, f).",
            ) from error
    try:
        place = {} if crs is None else {"crs": rasterio.crs.CRS.from_user_input(crs)}
    except GDAL_ERRORS as error:
        raise OptionError(
            f"{crs!r} does not fit: {reason(error)}", where="crs", remedy='Such as "EPSG:32633".'
        ) from error
    if transform is not None:
        place["transform"] = transform
    count, height, width = bands.shape
    with _writing(path), open_dataset(
        path, "w", driver="GTiff", count=count, height=height, width=width, tiled=True,
        dtype=bands.dtype.name, nodata=nodata, BIGTIFF="IF_SAFER", **place,
    ) as dataset:  # fmt: skip
        dataset.write(np.ma.getdata(bands))
    if np.ma.is_masked(bands):
        _write_masks(bands, path)
    return path


def _writing(path: Path) -> contextlib.AbstractContextManager[None]:
    return guarded(
        path.parent,
        WriteError,
        what="the scene cannot be copied into the temporary folder",
        remedy="Make room there, or name another folder in the environment variable TMPDIR.",
    )


def _write_masks(bands: Any, path: Path) -> None:
    """Write the masks of an array's bands beside its file, where they are read as in any file."""
    masks = np.ma.getmaskarray(bands)
    if (np.ma.getdata(bands)[masks] == bands.fill_value).all():
        # Read with masked=True, a nodata value has made them: it holds where every band has it.
        masks = np.broadcast_to(masks.all(axis=0), masks.shape)
    count, height, width = masks.shape
    with _writing(path), open_dataset(
        f"{path}.msk", "w", driver="GTiff", count=count, height=height, width=width, tiled=True,
        dtype="uint8", compress="deflate", photometric="minisblack",
    ) as dataset:  # fmt: skip
        dataset.write(np.where(masks, 0, 255).astype(np.uint8))
        # So GDAL knows that each band has its own.
        dataset.update_tags(**{f"INTERNAL_MASK_FLAGS_{band}": 0 for band in dataset.indexes})


def _of_xarray(scene: Any, folder: Path) -> Path:
    try:
        import rioxarray  # noqa: F401
    except ImportError as error:
        raise OptionError(
            "a DataArray needs rioxarray",
            where="scene",
            remedy="Install it: pip install 'rsclip[xarray]'.",
        ) from error
    if not hasattr(scene, "rio") or scene.ndim not in (2, 3):
        raise OptionError(
            f"{type(scene).__name__} of dimensions {tuple(scene.dims)} is no scene",
            where="scene",
            remedy="Give a DataArray of bands, y and x: a Dataset by to_array(), one time of many.",
        )
    try:
        rows, columns = scene.rio.y_dim, scene.rio.x_dim
        ordered = scene.transpose(..., rows, columns)
        crs, transform = ordered.rio.crs, ordered.rio.transform()
    except Exception as error:
        # rioxarray's own errors share no base with one another.
        raise OptionError(
            f"the DataArray's place cannot be read: {error}",
            where="scene",
            remedy="Name its dimensions: array.rio.set_spatial_dims(x_dim=..., y_dim=...).",
        ) from error
    try:
        nodata = ordered.rio.nodata
    except (OverflowError, ValueError):
        # No pixel of this type can have it.
        nodata = None
    nodata = None if nodata is None else float(nodata)
    return _write(ordered.to_numpy(), folder / f"{_NAME}.tif", transform, crs, nodata)


def _of_dataset(scene: Any, folder: Path) -> Path:
    if scene.closed or scene.mode != "r":
        raise OptionError(
            "the dataset is closed, or open for writing",
            where=scene.name,
            remedy="Open it for reading, or give its path.",
        )
    if type(scene) is rasterio.io.DatasetReader and Path(scene.name).is_file():
        return Path(scene.name)
    path = folder / f"{Path(scene.name).stem or _NAME}.tif"
    with guarded(scene.name, what="the open dataset cannot be read"):
        rasterio.shutil.copy(scene, path, driver="GTiff", BIGTIFF="IF_SAFER")
    return path
