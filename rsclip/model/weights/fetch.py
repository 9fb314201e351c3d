"""The one place that downloads: weights by name, into this machine's caches."""

import fnmatch
import shutil
import zipfile
import zlib
from pathlib import Path

from rsclip.errors import ModelError, RunError, first_line, warn
from rsclip.files import new_file
from rsclip.model.checks import check_config
from rsclip.model.weights.architecture import architecture_of
from rsclip.model.weights.download import (
    Progress,
    alone,
    download,
    remote_file,
)
from rsclip.model.weights.files import file_sha256
from rsclip.model.weights.hub import commit_of, hub_file, known_absent, note_absent
from rsclip.model.weights.names import CONFIG_NAME, ModelName, parse_name
from rsclip.model.weights.origin import (
    Origin,
    cached_weights,
    is_whole,
    note_sha256,
    origin_of,
    unpacked_file,
)

__all__ = ["fetch_weights"]


def fetch_weights(name: str, progress: Progress | None = None) -> Path:
    """Download the weights of a name, unless they are here and whole; return their file.

    Args:
        name: ARCH/TAG, an alias or hf-hub:OWNER/NAME.
        progress: Called with the bytes of the weights that are here, and their size or None.

    Raises:
        ModelError: The name is unknown or has nothing to download, the model could not be used,
            the hub does not answer, the cache is not writable, or a file does not match its hash.
        RunError: The download broke off; what has come stays for the next try.
    """
    from huggingface_hub import constants

    parsed = parse_name(name)
    origin = origin_of(parsed)
    if parsed.kind not in ("hub", "vit"):
        # Gigabytes of a model that cannot serve are not worth fetching.
        check_config(architecture_of(parsed).config, name)
    if not origin.repository and not origin.url:
        raise ModelError(
            "this name has no weights to download",
            where=name,
            remedy="Name ARCH/TAG, an alias or hf-hub:OWNER/NAME, such as ViT-B-16/openai; "
            "`rsclip models list` has them all.",
        )
    found = cached_weights(parsed)
    if found is not None and is_whole(found, origin.sha256):
        if parsed.kind == "arch":
            _complete(parsed, origin, found)
        return found
    if constants.HF_HUB_OFFLINE:
        raise _forbidden(name)
    if origin.url:
        return _from_address(parsed, origin, progress)
    if parsed.kind == "hub":
        if hub_file(name, origin.repository, CONFIG_NAME) is None:
            raise ModelError(
                f"the repository holds no {CONFIG_NAME}: it is not in open_clip's form", where=name
            )
        check_config(architecture_of(parsed).config, name)
    path = _weights_from_hub(parsed, origin, progress)
    if not is_whole(path, origin.sha256):
        raise _not_pinned(name, origin, path)
    return path


def _weights_from_hub(parsed: ModelName, origin: Origin, progress: Progress | None) -> Path:
    name, repository = parsed.text, origin.repository
    # What the repository says of its weights is checked against what the name means; first, so
    # that a fetch that breaks off never leaves weights that go unchecked.
    stated = parsed.kind != "arch" or hub_file(name, repository, CONFIG_NAME) is not None
    for file in origin.files:
        path = hub_file(name, repository, file, progress=progress)
        if path is not None:
            if not stated:
                note_absent(name, repository, commit_of(path), CONFIG_NAME)
            return path
    raise ModelError(
        f"the repository {repository} holds none of {', '.join(origin.files)}", where=name
    )


def _complete(parsed: ModelName, origin: Origin, weights: Path) -> None:
    """Fetch the config of weights that came without it (by another program, or long ago)."""
    from huggingface_hub import constants

    commit = commit_of(weights)
    if (weights.parent / CONFIG_NAME).is_file() or known_absent(
        origin.repository, commit, CONFIG_NAME
    ):
        return
    try:
        if constants.HF_HUB_OFFLINE:
            raise _forbidden(parsed.text)
        # Of the same commit: a newer one would put other weights in the place of these.
        if hub_file(parsed.text, origin.repository, CONFIG_NAME, revision=commit) is None:
            note_absent(parsed.text, origin.repository, commit, CONFIG_NAME)
    except (ModelError, RunError) as error:
        warn(
            "the weights are here but their repository's config is not, so that activation, mean "
            f"and std are not checked: {error}"
        )


def _forbidden(name: str) -> ModelError:
    return ModelError(
        "the variable HF_HUB_OFFLINE forbids downloads",
        where=name,
        remedy="Unset it to fetch.",
    )


def _from_address(parsed: ModelName, origin: Origin, progress: Progress | None) -> Path:
    """Fetch an archive from outside the hub and keep its one file of weights."""
    target = unpacked_file(parsed)
    if target is None:
        raise ModelError(
            "there is no folder to keep the weights in",
            where=parsed.text,
            remedy="Set RSCLIP_CACHE to a folder: it is off.",
        )
    with alone(target, parsed.text):
        # Another process may have fetched it while this one waited.
        if not (target.is_file() and is_whole(target, origin.sha256)):
            _fetch_archive(parsed, origin, target, progress)
    return target


def _fetch_archive(
    parsed: ModelName, origin: Origin, target: Path, progress: Progress | None
) -> None:
    remote = remote_file(origin.url, parsed.text)
    archive = target.with_name(f"{target.stem}-{remote.etag}.download")
    if not archive.is_file():
        download(remote, archive, parsed.text, progress)
    try:
        with new_file(target) as draft:
            if origin.member:
                _unpack(archive, origin.member, draft, parsed.text)
            else:
                archive.replace(draft)
            if not is_whole(draft, origin.sha256):
                raise _not_pinned(parsed.text, origin, draft)
            # Before the file is in its place: one without its note could not be checked.
            note_sha256(target, draft)
    except OSError as error:
        raise ModelError(
            f"the weights cannot be moved to their place ({error.strerror or error})",
            where=target,
            remedy="Make room or allow writing there, then run it again.",
        ) from error
    except ModelError as error:
        # A full disk keeps what has come; a wrong file is of no use.
        if not isinstance(error.__cause__, OSError):
            archive.unlink(missing_ok=True)
        raise
    archive.unlink(missing_ok=True)


def _not_pinned(name: str, origin: Origin, path: Path) -> ModelError:
    return ModelError(
        f"the file from {origin.url or origin.repository} has the SHA-256 {file_sha256(path)}, not "
        f"{origin.sha256} as the model registry says, and is not used",
        where=name,
        remedy="Run it again; if this repeats, the file has changed there, or `sha256` is wrong.",
    )


def _unpack(archive: Path, member: str, draft: Path, name: str) -> None:
    try:
        with zipfile.ZipFile(archive) as source:
            # macOS puts shadows of files into its archives.
            fitting = [
                item
                for item in source.namelist()
                if fnmatch.fnmatch(item, member) and "__MACOSX" not in item
            ]
            if len(fitting) != 1:
                raise ModelError(
                    f"the archive holds {len(fitting)} files that match {member}, not one",
                    where=name,
                )
            # A damaged member raises here: zip carries a checksum of each.
            with source.open(fitting[0]) as packed, draft.open("wb") as file:
                shutil.copyfileobj(packed, file)
    except OSError as error:
        raise ModelError(
            f"the archive cannot be unpacked ({first_line(error)}); it is kept",
            where=archive,
            remedy="Make room, then run it again: the download is not repeated.",
        ) from error
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ModelError(
            f"the archive is damaged ({first_line(error)}) and was deleted",
            where=name,
            remedy="Run it again.",
        ) from error
