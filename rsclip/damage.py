"""Damage that GDAL decodes all the same: JPEG data cut short or spoilt, of which it only warns."""

import contextlib
import logging
import re
import threading
from collections.abc import Iterator
from typing import Any

import rasterio._err
from rasterio.errors import RasterioIOError

__all__ = ["refusing_damage"]

# libjpeg's words for pixels that it made up. "Extraneous bytes" between whole parts do no harm.
_DAMAGE = re.compile(r"JPEG.*(premature end|corrupt jpeg data(?!: \d+ extraneous bytes))", re.I)
_heard = threading.local()


class _Ear(logging.LoggerAdapter[logging.Logger]):
    """Hears GDAL's warnings that tell of damage, in the thread they arise in, and passes all on."""

    def log(self, level: int, msg: object, *args: object, **options: Any) -> None:
        texts = getattr(_heard, "texts", None)
        if texts is not None:
            text = " ".join(map(str, (msg, *args)))
            if _DAMAGE.search(text):
                texts.append(text)
        options["stacklevel"] = options.get("stacklevel", 1) + 1
        self.logger.log(level, msg, *args, **options)


# rasterio hands GDAL's warnings to this logger and to nobody else. A handler would hear them only
# as long as no program has turned that logger down or off.
rasterio._err.log = _Ear(rasterio._err.log, {})


@contextlib.contextmanager
def refusing_damage() -> Iterator[None]:
    """Raise where what is read inside was decoded from damaged data.

    Raises:
        RasterioIOError: With GDAL's words. The blocks are in GDAL's cache by then: only a file
            opened anew warns again.
    """
    texts: list[str] = []
    _heard.texts = texts
    try:
        yield
    finally:
        _heard.texts = None
    if texts:
        raise RasterioIOError(texts[0].rpartition(":")[2].strip() or texts[0])
