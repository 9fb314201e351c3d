"""libtiff's own words on standard error, which GDAL lets through on a full disk."""

import contextlib
import ctypes
import functools

import rasterio._base

__all__ = ["hush"]


@functools.cache
def hush() -> None:
    """Keep libtiff from printing `_tiffWriteProc: No space left on device.` past GDAL.

    It prints so only where it does not know which file it is at; errors of files go to GDAL, and
    stay. Where rasterio's libtiff cannot be reached (Windows, GDAL's own copy) nothing changes.
    """
    with contextlib.suppress(OSError, AttributeError):
        # Symbols are looked for in the libraries that rasterio's module is linked with too.
        linked = ctypes.CDLL(rasterio._base.__file__)
        set_handler = linked.TIFFSetErrorHandler
        set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
        set_handler(None)
