"""What a file that is no weights looks like, told from its first bytes."""

import zipfile
from pathlib import Path

__all__ = ["looks_like"]

_HEAD = 512
# Beginnings of files that people take for weights.
_BEGINNINGS = (
    (b"version https://git-lfs", "a pointer of git LFS: the file itself was not fetched"),
    (b"<", "a web page or XML"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"RIFF", "a picture"),
    (b"II*\0", "a TIFF"),
    (b"MM\0*", "a TIFF"),
    (b"\x89HDF", "HDF5"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x1f\x8b", "gzip: unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it first"),
    (b"GGUF", "GGUF, the form of language models"),
)
_CONTROLS = frozenset(range(32)) - frozenset(b"\t\n\f\r\x1b")


def looks_like(path: Path) -> str | None:
    """Name what a file is in place of weights; None for one that may hold them.

    Args:
        path: A file that is there.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        return "an empty file"
    # Safetensors begin with a length, which may read like anything, and then JSON.
    if head[6:9] == b"\0\0{":
        return None
    for beginning, what in _BEGINNINGS:
        if head.lstrip().startswith(beginning):
            return what
    # Torch's own archives hold a pickle; TorchScript is refused by its own name.
    if head.startswith(b"PK\3\4") and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if not any(name.endswith(".pkl") for name in archive.namelist()):
                return "a zip archive without weights of torch: unpack it first"
    if _is_text(head):
        return "JSON" if head.lstrip()[:1] in (b"{", b"[") else "text"
    return None


def _is_text(head: bytes) -> bool:
    try:
        # The last character may be cut.
        head[: max(len(head) - 3, 1)].decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not _CONTROLS.intersection(head)
