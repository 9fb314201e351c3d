"""Standard output and error that never stop the work."""

import codecs
import contextlib
import io
import os
import sys
from typing import Any, TextIO

__all__ = ["forgiving_streams"]

_HANDLER = "rsclip.escape"


def forgiving_streams() -> None:
    """Make standard output and error escape what they cannot encode, and outlive a full device.

    Escapes are those of JSON (`\\u6c34`), so that `--json` stays JSON in any encoding. Each trouble
    is told once on standard error.
    """
    told: set[str] = set()

    def tell(text: str) -> None:
        if text not in told:
            told.add(text)
            # Past the streams, which may be in the middle of a write just now.
            with contextlib.suppress(OSError):
                os.write(2, f"Warning: {text}\n".encode())

    def escape(error: UnicodeError) -> tuple[str, int]:
        if not isinstance(error, UnicodeEncodeError):
            raise error
        tell(
            "the encoding of this output lacks some characters: they are written as \\u codes. "
            "PYTHONUTF8=1 in the environment makes it UTF-8"
        )
        units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass").hex()
        return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4)), error.end

    codecs.register_error(_HANDLER, escape)
    sys.stdout = _forgiving(sys.stdout, "standard output", tell)
    sys.stderr = _forgiving(sys.stderr, "standard error", tell)


def _forgiving(stream: TextIO, name: str, tell: Any) -> TextIO:
    buffer = getattr(stream, "buffer", None)
    # With PYTHONUNBUFFERED it is the file itself.
    raw = getattr(buffer, "raw", buffer)
    # A service may run without streams; a test or a notebook has streams of its own.
    if not isinstance(raw, io.FileIO):
        return stream
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Raw(raw, name, tell)),
        encoding=stream.encoding,
        errors=_HANDLER,
        line_buffering=raw.isatty() or name == "standard error",
    )


class _Raw(io.RawIOBase):
    """A file whose device may be full: what it does not take is lost, and that is told."""

    def __init__(self, file: io.FileIO, name: str, tell: Any) -> None:
        self._file = file
        self._name = name
        self._tell = tell

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return self._file.isatty()

    def fileno(self) -> int:
        return self._file.fileno()

    def write(self, data: Any) -> int | None:
        try:
            return self._file.write(data)
        except BrokenPipeError:
            raise
        except OSError as error:
            self._tell(
                f"{self._name} cannot be written ({error.strerror}): its text is lost, the outputs "
                "are not"
            )
            return len(data)
