"""Download one file over HTTP: resumed, checked by its hash, whole or not there.

huggingface_hub no longer keeps what an interrupted process has fetched; here the part stays and the
next try goes on from it.
"""

import contextlib
import errno
import hashlib
import logging
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from rsclip.errors import ModelError, RunError, first_line

__all__ = [
    "Progress",
    "Remote",
    "alone",
    "answer_seconds",
    "download",
    "matches_etag",
    "refused",
    "remote_file",
    "writable",
]

_ANSWER_SECONDS = 3.0
_LONGEST_ANSWER = 9.0
_TIMEOUT = "HF_HUB_ETAG_TIMEOUT"
_CHUNK = 1 << 20
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

Progress: TypeAlias = Callable[[int, int | None], None]
"""Called with the bytes that are here, and the size of the whole or None."""


@dataclass(frozen=True, slots=True)
class Remote:
    """A file as its server describes it.

    Attributes:
        url: Its address.
        etag: Its tag: SHA-256 for large files of the hub, a git blob's SHA-1 for small ones.
        size: In bytes, or None where the server does not say.
        headers: What to send with the request.
    """

    url: str
    etag: str
    size: int | None
    headers: Mapping[str, str] | None = None


def answer_seconds() -> float:
    """Return how long a server may take to answer: 3 s, or HF_HUB_ETAG_TIMEOUT up to 9.

    Without network an answer is promised within ten.
    """
    from huggingface_hub import constants

    if _TIMEOUT not in os.environ:
        return _ANSWER_SECONDS
    return min(float(constants.HF_HUB_ETAG_TIMEOUT), _LONGEST_ANSWER)


def _status_of(error: BaseException) -> int | None:
    """Return the HTTP status that an error was raised for, or None where no answer came."""
    response = getattr(error, "response", None)
    status = getattr(error, "code", None) if response is None else response.status_code
    return status if isinstance(status, int) else None


def remote_file(url: str, name: str) -> Remote:
    """Ask a server outside the hub for a file's size and tag, once and briefly.

    Raises:
        ModelError: It does not answer, is busy or refuses.
    """
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=answer_seconds()) as answer:
            size = answer.headers.get("Content-Length")
            etag = (answer.headers.get("ETag") or "").strip('"')
    except (OSError, ValueError) as error:
        if (problem := _refused(error, name, url)) is not None:
            raise problem from error
        raise ModelError(
            f"the server does not answer ({first_line(error)})", where=name, remedy=f"Look at {url}"
        ) from error
    return Remote(url, re.sub(r"\W", "", etag) or "file", int(size) if size else None)


def download(remote: Remote, target: Path, name: str, progress: Progress | None = None) -> None:
    """Fetch a file, or the rest of it, and put it in its place when it is whole.

    Args:
        remote: What to fetch.
        target: Where it goes; the part grows beside it.
        name: The model, for messages.
        progress: Told of every piece that comes.

    Raises:
        ModelError: The folder is not writable or full, the server is busy or refuses, or the file
            does not match its hash.
        RunError: The download broke off; the part stays for the next try.
    """
    import huggingface_hub.file_download

    # Typed as private, but the hub's documented building block.
    http_get: Any = huggingface_hub.file_download.http_get
    part = target.with_name(f"{target.name}.rsclip-part")
    with _quietly(), alone(target, name):
        # Another process may have fetched it while this one waited.
        if not (target.is_file() and matches_etag(target, remote.etag)):
            _fetch_part(remote, part, http_get, name, progress)
            part.replace(target)


@contextlib.contextmanager
def alone(target: Path, name: str) -> Iterator[None]:
    """Let one process at a time fetch a file; the others wait.

    Args:
        target: The file; its folder is made.
        name: The model, for messages.

    Raises:
        ModelError: The folder is not writable or full.
    """
    import huggingface_hub.utils

    utils: Any = huggingface_hub.utils
    with writable(target.parent, name):
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = target.with_name(f"{target.name}.rsclip-lock")
        with utils.WeakFileLock(lock):
            try:
                yield
            except ModelError:
                # No other process needs to wait for a server that refuses.
                lock.unlink(missing_ok=True)
                raise
        # Processes that wait find the file; after an interrupted download the lock stays for them.
        lock.unlink(missing_ok=True)


def _fetch_part(
    remote: Remote, part: Path, http_get: Any, name: str, progress: Progress | None
) -> None:
    with part.open("ab") as file:
        done = file.tell()
        if remote.size is not None and done > remote.size:
            file.truncate(0)
            done = 0
        try:
            http_get(
                remote.url,
                file if progress is None else _Counted(file, remote.size, progress),
                resume_size=done,
                headers=remote.headers,
                expected_size=remote.size,
                displayed_filename=name,
            )
        # Whatever the transport raises: each release of the hub's client has its own.
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _NO_ROOM:
                raise
            # An address that ran out in the middle is no refusal: the part is there.
            problem = _refused(error, name, remote.url) if file.tell() == done else None
            if problem is not None:
                raise problem from error
            raise RunError(
                f"the download broke off ({first_line(error)})",
                where=name,
                remedy="Run it again: it goes on where it stopped.",
            ) from error
    if not matches_etag(part, remote.etag):
        part.unlink()
        raise ModelError(
            f"the download from {remote.url} does not match its hash {remote.etag} and was deleted",
            where=name,
            remedy="Run it again; if this repeats, a proxy may be changing downloads.",
        )


def matches_etag(path: Path, etag: str) -> bool:
    """Tell whether a file is what its tag says; true for a tag that is no hash of the content."""
    if re.fullmatch(r"[0-9a-f]{64}", etag):
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == etag
    if re.fullmatch(r"[0-9a-f]{40}", etag):
        digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest() == etag
    return True


def refused(error: Exception, name: str, who: str, remedy: str) -> ModelError | None:
    """Return the error for a server that answers but refuses; None for another error.

    Args:
        error: What the request raised.
        name: The model.
        who: The server, in words.
        remedy: For one that refuses.
    """
    status = _status_of(error)
    if status is not None and (status == 429 or status >= 500):
        return ModelError(
            f"{who} answers {status}: it is busy", where=name, remedy="Try again later."
        )
    if status in (401, 403):
        return ModelError(f"{who} refuses access ({status})", where=name, remedy=remedy)
    return None


def _refused(error: Exception, name: str, url: str) -> ModelError | None:
    return refused(error, name, "the server", f"Look at {url}, and at the proxy if there is one.")


class _Counted:
    """A file that tells how much it holds after each piece."""

    def __init__(self, file: BinaryIO, total: int | None, progress: Progress) -> None:
        self._file, self._total, self._progress = file, total, progress

    def write(self, data: bytes) -> int:
        count = self._file.write(data)
        self._progress(self._file.tell(), self._total)
        return count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Silence the hub client's log of retries: rsclip reports how they end."""
    logger = logging.getLogger("huggingface_hub")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextlib.contextmanager
def writable(folder: Path, name: str) -> Iterator[None]:
    """Turn errors of the file system into one message that names the folder.

    Raises:
        ModelError: Something in the block raised an OSError.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in _NO_ROOM
        way = "set HF_HUB_CACHE (weights of the hub) or RSCLIP_CACHE (others) to another folder"
        raise ModelError(
            f"cannot write into {folder} ({error.strerror or error})",
            where=name,
            remedy=f"Make room there and run it again: it goes on where it stopped; or {way}."
            if full
            else f"Allow writing there, or {way}.",
        ) from error
