"""Fetch one file of the model hub into the hub's own cache, where other programs find it too."""

import os
import re
import shutil
from pathlib import Path
from typing import Any

from rsclip.errors import ModelError, first_line
from rsclip.files import new_file
from rsclip.model.weights.download import (
    Progress,
    Remote,
    answer_seconds,
    download,
    matches_etag,
    refused,
    writable,
)

__all__ = ["commit_of", "hub_file", "hub_folder", "known_absent", "note_absent"]

_SNAPSHOTS = "snapshots"
_ABSENT = ".no_exist"
_OFFLINE = (
    "Without network: fetch on another machine and carry the model over in one file (`rsclip "
    "models bundle NAME -o FILE`), or give a local file with --weights, or use --model=nano."
)
_SLOW = f"A slow server is waited for longer with HF_HUB_ETAG_TIMEOUT=9. {_OFFLINE}"
# Both become part of a path.
_ETAG = re.compile(r"[\w-]+")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def hub_file(
    name: str,
    repository: str,
    file: str,
    *,
    revision: str = "main",
    progress: Progress | None = None,
) -> Path | None:
    """Fetch one file of a repository unless it is here and whole; None where there is no such file.

    Args:
        name: The model, for messages.
        repository: OWNER/NAME.
        file: Path inside the repository.
        revision: Branch or commit.
        progress: Called with the bytes that are here and the size.

    Raises:
        ModelError: The hub does not answer or refuses, the server is not a model hub, the cache
            is not writable, or the file does not match its hash.
        RunError: The download broke off; what has come stays for the next try.
    """
    import huggingface_hub
    import huggingface_hub.utils
    from huggingface_hub.errors import EntryNotFoundError

    url = huggingface_hub.hf_hub_url(repository, file, revision=revision)
    try:
        # Briefly and once: the hub client's own retries go on for most of a minute offline.
        facts = huggingface_hub.get_hf_file_metadata(url, timeout=answer_seconds())
    except EntryNotFoundError:
        return None
    except Exception as error:
        raise _no_answer(name, repository, error) from error
    etag, commit = str(facts.etag or ""), str(facts.commit_hash or "")
    if not _ETAG.fullmatch(etag) or not _COMMIT.fullmatch(commit):
        raise ModelError(
            "the server that answers is not a model hub: it does not name the file's hash and "
            "commit (is it a proxy or a login page?)",
            where=name,
            remedy=f"Look at {url}. {_OFFLINE}",
        )
    folder = hub_folder(repository)
    blob = folder / "blobs" / etag
    with writable(folder, name):
        if blob.is_file() and not matches_etag(blob, etag):
            blob.unlink()
    if not blob.is_file():
        utils: Any = huggingface_hub.utils
        headers = utils.build_hf_headers()
        headers["Accept-Encoding"] = "identity"
        download(Remote(url, etag, facts.size, headers), blob, name, progress)
    with writable(folder, name):
        return _link(folder, blob, commit, file, revision)


def commit_of(path: Path) -> str:
    """Return the commit that a file in the hub's cache belongs to."""
    parts = path.parts
    return parts[len(parts) - 1 - parts[::-1].index(_SNAPSHOTS) + 1]


def known_absent(repository: str, commit: str, file: str) -> bool:
    """Tell whether the cache notes that a commit has no such file."""
    return (hub_folder(repository) / _ABSENT / commit / file).is_file()


def note_absent(name: str, repository: str, commit: str, file: str) -> None:
    """Note in the cache, as the hub's own client does, that a commit has no such file.

    Raises:
        ModelError: The cache is not writable.
    """
    note = hub_folder(repository) / _ABSENT / commit / file
    with writable(hub_folder(repository), name):
        note.parent.mkdir(parents=True, exist_ok=True)
        note.touch()


def hub_folder(repository: str) -> Path:
    """Return where a repository lies in this machine's hub cache; it need not be there."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"


def _link(folder: Path, blob: Path, commit: str, file: str, revision: str) -> Path:
    """Put a file into its commit's folder, and name the commit for a branch; return the file."""
    pointer = folder / _SNAPSHOTS / commit / file
    pointer.parent.mkdir(parents=True, exist_ok=True)
    with new_file(pointer, synced=False, shared=True) as draft:
        draft.unlink(missing_ok=True)
        try:
            draft.symlink_to(os.path.relpath(blob, pointer.parent))
        except OSError:
            # A file system without links keeps two copies, as the hub's own client does.
            shutil.copyfile(blob, draft)
    if revision != commit and not _COMMIT.fullmatch(revision):
        reference = folder / "refs" / revision
        reference.parent.mkdir(parents=True, exist_ok=True)
        with new_file(reference, synced=False, shared=True) as draft:
            draft.write_text(commit, encoding="ascii")
    return pointer


def _no_answer(name: str, repository: str, error: Exception) -> ModelError:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    if isinstance(error, GatedRepoError):
        return ModelError(
            f"the repository {repository} asks for its terms to be accepted",
            where=name,
            remedy="Accept them on its page, and log in with `hf auth login`.",
        )
    if isinstance(error, RepositoryNotFoundError):
        return ModelError(
            f"the hub has no repository {repository}, or you may not read it",
            where=name,
            remedy="Check the name; for a private one, log in with `hf auth login`.",
        )
    remedy = "Log in with `hf auth login`, or look at the proxy if there is one."
    if (problem := refused(error, name, "the model hub", remedy)) is not None:
        return problem
    slow = "timeout" in type(error).__name__.lower()
    return ModelError(
        f"the model hub does not answer ({first_line(error)})",
        where=name,
        remedy=_SLOW if slow else _OFFLINE,
    )
