"""Damage that GDAL decodes all the same: JPEG data cut short or spoilt, of which it only warns."""

import contextlib
import logging
import re
import threading
from collections.abc import Iterator

from rasterio.errors import RasterioIOError

__all__ = ["refusing_damage"]

# libjpeg's words for pixels that it made up. "Extraneous bytes" between whole parts do no harm.
_DAMAGE = re.compile(r"JPEG.*(premature end|corrupt jpeg data(?!: \d+ extraneous bytes))", re.I)


class _Ear(logging.Handler):
    """Keeps the warnings of GDAL's that tell of damage, for the thread they arose in."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.heard = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        said = getattr(self.heard, "texts", None)
        if said is not None and _DAMAGE.search(text := record.getMessage()):
            said.append(text)


_ear = _Ear()
# rasterio hands GDAL's warnings to this logger.
logging.getLogger("rasterio._err").addHandler(_ear)


@contextlib.contextmanager
def refusing_damage() -> Iterator[None]:
    """Raise where what is read inside was decoded from damaged data.

    Raises:
        RasterioIOError: With GDAL's words. The blocks are in GDAL's cache by then: only a file
            opened anew warns again.
    """
    texts: list[str] = []
    _ear.heard.texts = texts
    try:
        yield
    finally:
        _ear.heard.texts = None
    if texts:
        raise RasterioIOError(texts[0].rpartition(":")[2].strip() or texts[0])
