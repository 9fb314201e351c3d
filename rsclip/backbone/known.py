"""What a fetched file must be: its SHA-256, from the hub cache's own names or a note beside it."""

import re
from pathlib import Path

from rsclip.backbone.files import file_sha256
from rsclip.errors import ModelError

__all__ = ["is_whole", "known_sha256", "note_sha256", "verified_sha256"]

_HASH = re.compile(r"[0-9a-f]{64}")


def known_sha256(path: Path) -> str | None:
    """Return the hash that a file of weights had when it was fetched; None if nobody knows."""
    blob = path.resolve()
    if _HASH.fullmatch(blob.name):
        return blob.name
    try:
        noted = _note(blob).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return noted if _HASH.fullmatch(noted) else None


def note_sha256(path: Path) -> str:
    """Write a file's hash beside it, and return it.

    Raises:
        OSError: The note cannot be written.
    """
    digest = file_sha256(path)
    _note(path).write_text(f"{digest}\n", encoding="ascii")
    return digest


def verified_sha256(path: Path, name: str) -> str | None:
    """Return the hash of a fetched file, once its bytes agree with it; None if nobody knows it.

    Raises:
        ModelError: The file is not what was fetched.
    """
    known = known_sha256(path)
    if known is not None and file_sha256(path.resolve()) != known:
        raise ModelError(
            "the weights in the cache are damaged: their SHA-256 is not that of what was fetched",
            where=path.resolve(),
            remedy=f"Fetch them again: rsclip models fetch {name}.",
        )
    return known


def is_whole(path: Path) -> bool:
    """Tell whether a fetched file is what it was; true where nobody knows."""
    known = known_sha256(path)
    return known is None or file_sha256(path.resolve()) == known


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")
