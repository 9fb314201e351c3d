"""Why an output could not be written: a full disk by name."""

import errno
import shutil
from pathlib import Path

from rsclip.errors import WriteError

__all__ = ["HIDDEN_PREFIX", "write_error"]

HIDDEN_PREFIX = ".rsclip-"
"""Begin of the names of folders that hold work in progress."""

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FULL_TEXTS = (
    "no space left",
    "disk full",
    "disk is full",
    "disk quota exceeded",
    "not enough space",
)
# Less free space than this is a full disk, whatever the library said.
_NOTHING_FREE = 1 << 16


def write_error(error: BaseException, path: str | Path, *, needed: int | None = None) -> WriteError:
    """Say why an output cannot be written; a full disk by name.

    Args:
        error: What Python or GDAL raised.
        path: The output.
        needed: Bytes that the outputs still need, roughly.
    """
    path = Path(path)
    folder = next((item for item in (path, *path.parents) if item.is_dir()), Path())
    hidden = next((item for item in path.parents if item.name.startswith(HIDDEN_PREFIX)), None)
    if hidden is not None:
        # Users know the final name only, and nothing of partial work.
        path = hidden.parent / path.name if path.parent == hidden else hidden.parent
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        free = None
    reasons = [*_chain(error)]
    full = any(getattr(item, "errno", None) in _FULL for item in reasons) or any(
        text in str(item).lower() for item in reasons for text in _FULL_TEXTS
    )
    # GDAL often reports a full disk as a directory or a block it could not write, and may have
    # removed the file by then.
    full = full or (free is not None and free < max(needed or 0, _NOTHING_FREE))
    if full:
        room = "" if free is None else f"{_size(free)} are free"
        need = f", about {_size(needed)} more are needed" if needed else ""
        return WriteError(
            f"the disk is full ({room}{need})" if room else "the disk is full",
            where=path,
            remedy="Make room, or choose another disk (-o). No output was left behind.",
        )
    if any(isinstance(item, PermissionError) for item in reasons):
        remedy = "Is it open in another program, or its folder read-only?"
    else:
        remedy = "Check the disk and its folder. No output was left behind."
    reason = " ".join(str(reasons[-1]).split()) or type(error).__name__
    return WriteError(f"cannot be written: {reason}", where=path, remedy=remedy)


def _chain(error: BaseException) -> list[BaseException]:
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        if cause in chain:
            break
        chain.append(cause)
    return chain


def _size(count: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count / 1e3:.0f} kB"
