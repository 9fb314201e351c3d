"""GDAL as the rest of rsclip meets it: its errors, its warnings of spoilt data, its PROJ data.

The only module that knows rasterio's private parts.
"""

import contextlib
import ctypes
import functools
import logging
import os
import re
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import rasterio
import rasterio._base
import rasterio._err
import rasterio.env
from rasterio._err import CPLE_BaseError
from rasterio.crs import CRS
from rasterio.errors import NotGeoreferencedWarning, RasterioError, RasterioIOError

from rsclip.errors import RsclipError, SceneError

__all__ = [
    "GDAL_ERRORS",
    "guarded",
    "open_dataset",
    "quiet_libtiff",
    "reason",
    "refusing_spoilt_data",
]

# Errors of pyproj and pyogrio are RuntimeErrors. Damaged or foreign files raise the last two:
# numbers that are out of range, a C function that failed without an exception set.
GDAL_ERRORS = (
    RasterioError,
    CPLE_BaseError,
    OSError,
    ValueError,
    RuntimeError,
    OverflowError,
    SystemError,
)

# Filters of warnings belong to all threads: one opens at a time.
_open_lock = threading.Lock()


def open_dataset(source: object, mode: str = "r", **options: Any) -> Any:
    """Open a raster with rasterio, without its warning of one that has no georeference.

    Raises:
        One of GDAL_ERRORS: It cannot be opened.
    """
    with _open_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        return rasterio.open(source, mode, **options)


@contextlib.contextmanager
def guarded(
    where: object,
    error: type[RsclipError] = SceneError,
    *,
    what: str = "cannot be read",
    remedy: str = "The file may be damaged; `gdalinfo` shows what GDAL makes of it.",
) -> Iterator[None]:
    """Turn whatever rasterio, pyogrio or pyproj raise inside into one error of rsclip's.

    Args:
        where: The file concerned.
        error: The class to raise.
        what: What went wrong, one clause; the reason follows it.
        remedy: What the user can do about it.

    Raises:
        RsclipError: Of the class `error`, or as it was raised inside.
    """
    try:
        yield
    except RsclipError:
        raise
    except GDAL_ERRORS as raised:
        raise error(f"{what}: {reason(raised)}", where=where, remedy=remedy) from raised


def reason(error: BaseException) -> str:
    """Return GDAL's own words; rasterio often says only that there are some."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, UnicodeDecodeError):
        return "text in it is not UTF-8"
    text = getattr(error, "errmsg", None) or str(error)
    return " ".join(text.split()).rstrip(".") or type(error).__name__


# libjpeg's words for pixels that it made up. "Extraneous bytes" between whole parts do no harm.
_SPOILT = re.compile(r"JPEG.*(premature end|corrupt jpeg data(?!: \d+ extraneous bytes))", re.I)
_noted = threading.local()


class _WarningFilter(logging.LoggerAdapter[logging.Logger]):
    """Notes GDAL's warnings of spoilt data, in the thread they arise in, and passes all on."""

    def log(self, level: int, msg: object, *args: object, **options: Any) -> None:
        texts = getattr(_noted, "texts", None)
        if texts is not None:
            text = " ".join(map(str, (msg, *args)))
            if _SPOILT.search(text):
                texts.append(text)
        options["stacklevel"] = options.get("stacklevel", 1) + 1
        self.logger.log(level, msg, *args, **options)


# rasterio hands GDAL's warnings to this logger and to nobody else. A handler would miss them as
# soon as a program turned that logger down or off.
rasterio._err.log = _WarningFilter(rasterio._err.log, {})


@contextlib.contextmanager
def refusing_spoilt_data() -> Iterator[None]:
    """Raise where what is read inside was decoded from spoilt data.

    Raises:
        RasterioIOError: With GDAL's words. The blocks are in GDAL's cache by then: only a file
            opened anew warns again.
    """
    texts: list[str] = []
    _noted.texts = texts
    try:
        yield
    finally:
        _noted.texts = None
    if texts:
        raise RasterioIOError(texts[0].rpartition(":")[2].strip() or texts[0])


@contextlib.contextmanager
def quiet_libtiff() -> Iterator[None]:
    """Keep libtiff from printing `_tiffWriteProc: No space left on device.` past GDAL inside.

    It prints so only where it does not know which file it is at; errors of files go to GDAL, and
    stay. Where rasterio's libtiff cannot be reached (Windows, GDAL's own copy) nothing changes.
    """
    set_handler = _libtiff_error_handler()
    if set_handler is None:
        yield
        return
    former = set_handler(None)
    try:
        yield
    finally:
        set_handler(former)


@functools.cache
def _libtiff_error_handler() -> Any:
    with contextlib.suppress(OSError, AttributeError):
        # Symbols are looked for in the libraries that rasterio's module is linked with too.
        set_handler = ctypes.CDLL(rasterio._base.__file__).TIFFSetErrorHandler
        set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
        return set_handler
    return None


def _prefer_own_proj_data() -> None:
    """Let the wheel's proj.db win where the environment names one that this PROJ cannot read.

    Raises:
        SceneError: There is no other one.
    """
    names = [name for name in ("PROJ_DATA", "PROJ_LIB") if os.environ.get(name)]
    if not names or _resolves():
        return
    # Only wheels bring their own.
    own = Path(rasterio.__file__).parent / "proj_data"
    if own.is_dir():
        # pyogrio has a GDAL of its own, which looks at the environment too.
        for name in names:
            del os.environ[name]
        rasterio.env.set_proj_data_search_path(str(own))
    if not _resolves():
        raise SceneError(
            f"PROJ cannot use the data in {os.environ.get(names[0], own)}",
            where=names[0],
            remedy=f"Unset {' and '.join(names)}, or name the folder of this PROJ's own proj.db.",
        )


def _resolves() -> bool:
    try:
        with rasterio.Env():
            return bool(CRS.from_epsg(32631).is_projected)
    except GDAL_ERRORS:
        return False


_prefer_own_proj_data()
