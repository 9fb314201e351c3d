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


def note_sha256(path: Path, content: Path) -> None:
    """Write beside a file the hash that it shall have.

    Args:
        path: Where the file will be.
        content: Where its bytes are until then.

    Raises:
        OSError: The note cannot be written.
    """
    _note(path).write_text(f"{file_sha256(content)}\n", encoding="ascii")


def verified_sha256(path: Path, name: str, pinned: str = "") -> str | None:
    """Return the hash of a fetched file, once its bytes agree with it; None if nobody knows it.

    Args:
        path: The file.
        name: The model, for messages.
        pinned: The hash that the model registry states, or "".

    Raises:
        ModelError: The file is not what was fetched, or not what the registry states.
    """
    known = known_sha256(path)
    if pinned and pinned != (known or file_sha256(path.resolve())):
        raise ModelError(
            "the weights here do not have the SHA-256 that the model registry states",
            where=path,
            remedy=f"Fetch them again: rsclip models fetch {name}.",
        )
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
