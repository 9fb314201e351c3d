"""The one place that downloads: weights by name, into this machine's caches."""

import fnmatch
import shutil
import zipfile
import zlib
from pathlib import Path
from typing import Any

from rsclip.backbone.architecture import architecture_of
from rsclip.backbone.checks import check_config
from rsclip.backbone.download import Remote, download, first_line, matches_etag, remote_file
from rsclip.backbone.files import file_sha256
from rsclip.backbone.known import is_whole, note_sha256
from rsclip.backbone.names import CONFIG_NAME, ModelName, parse_name
from rsclip.backbone.origin import Origin, cached_weights, origin_of, unpacked_file
from rsclip.errors import ModelError

__all__ = ["fetch_weights"]

_ANSWER_SECONDS = 3
_OFFLINE = (
    "Without network: fetch on another machine and carry the model over in one file (rsclip models "
    "bundle), or give a local file with --weights, or use --model nano."
)


def fetch_weights(name: str) -> Path:
    """Download the weights of a name, unless they are here and whole; return their file.

    Args:
        name: ARCH/TAG, an alias or hf-hub:OWNER/NAME.

    Raises:
        ModelError: The name is unknown or has nothing to download, the model could not be used,
            the hub does not answer, the cache is not writable, or a file does not match its hash.
        RunError: The download broke off; what has come stays for the next try.
    """
    from huggingface_hub import constants

    parsed = parse_name(name)
    origin = origin_of(parsed)
    if parsed.kind != "hub":
        # Gigabytes of a model that cannot serve are not worth fetching.
        check_config(architecture_of(parsed).config, name)
    if not origin.repository and not origin.url:
        raise ModelError(
            "only ARCH/TAG, an alias or hf-hub:OWNER/NAME has weights to download",
            where=name,
            remedy="Such as ViT-B-16/openai; see rsclip models list.",
        )
    found = cached_weights(parsed)
    if found is not None and is_whole(found) and _is_pinned(found, origin):
        return found
    if origin.url:
        return _from_address(parsed, origin)
    if constants.HF_HUB_OFFLINE:
        raise ModelError(
            "the variable HF_HUB_OFFLINE forbids downloads from the hub",
            where=name,
            remedy="Unset it to fetch.",
        )
    if parsed.kind == "hub":
        if _from_hub(name, origin.repository, CONFIG_NAME) is None:
            raise ModelError(
                f"the repository holds no {CONFIG_NAME}: it is not in open_clip's form", where=name
            )
        check_config(architecture_of(parsed).config, name)
    path = _weights_from_hub(parsed, origin)
    if not _is_pinned(path, origin):
        raise _not_pinned(name, origin, path)
    return path


def _weights_from_hub(parsed: ModelName, origin: Origin) -> Path:
    for file in origin.files:
        path = _from_hub(parsed.text, origin.repository, file)
        if path is not None:
            # What the repository says of its weights is checked against what the name means.
            if parsed.kind == "arch":
                _from_hub(parsed.text, origin.repository, CONFIG_NAME)
            return path
    raise ModelError(
        f"the repository {origin.repository} holds none of {', '.join(origin.files)}",
        where=parsed.text,
    )


def _from_hub(name: str, repository: str, file: str) -> Path | None:
    """Fetch one file of a repository into the hub's cache; None where there is no such file."""
    import huggingface_hub
    import huggingface_hub.utils
    from huggingface_hub import constants
    from huggingface_hub.errors import EntryNotFoundError

    url = huggingface_hub.hf_hub_url(repository, file)
    try:
        # Briefly and once: the hub client's own retries go on for most of a minute offline.
        facts = huggingface_hub.get_hf_file_metadata(url, timeout=_ANSWER_SECONDS)
    except EntryNotFoundError:
        return None
    except Exception as error:
        raise _no_answer(name, repository, error) from error
    folder = f"models--{repository.replace('/', '--')}"
    blob = Path(constants.HF_HUB_CACHE) / folder / "blobs" / str(facts.etag)
    if blob.is_file() and not matches_etag(blob, str(facts.etag)):
        blob.unlink()
    if not blob.is_file():
        utils: Any = huggingface_hub.utils
        headers = utils.build_hf_headers()
        headers["Accept-Encoding"] = "identity"
        download(Remote(url, str(facts.etag), facts.size, headers), blob, name)
    try:
        # The bytes are there: this links them into the cache as every other program expects them.
        return Path(huggingface_hub.hf_hub_download(repository, file))
    except OSError as error:
        raise ModelError(
            f"cannot write into {constants.HF_HUB_CACHE} ({first_line(error)})", where=name
        ) from error


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
            f"the hub has no repository {repository}, or not for you",
            where=name,
            remedy="Check the name; for a private one, log in with `hf auth login`.",
        )
    return ModelError(
        f"the model hub does not answer ({first_line(error)})", where=name, remedy=_OFFLINE
    )


def _from_address(parsed: ModelName, origin: Origin) -> Path:
    """Fetch an archive from outside the hub and keep its one file of weights."""
    target = unpacked_file(parsed)
    if target is None:
        raise ModelError(
            "there is no folder to keep the weights in",
            where=parsed.text,
            remedy="Set RSCLIP_CACHE to a folder: it is off.",
        )
    remote = remote_file(origin.url, parsed.text)
    archive = target.with_name(f"{target.stem}-{remote.etag}.download")
    if not archive.is_file():
        download(remote, archive, parsed.text)
    part = target.with_name(f"{target.name}.part")
    try:
        if origin.member:
            _unpack(archive, origin.member, part, parsed.text)
        else:
            archive.replace(part)
        if not _is_pinned(part, origin):
            raise _not_pinned(parsed.text, origin, part)
        # Before the file is in its place: one without its note could not be checked.
        note_sha256(target, part)
        part.replace(target)
    except OSError as error:
        raise ModelError(
            f"the weights cannot be put into their place ({error.strerror or error})",
            where=target,
            remedy="Make room or give rights there, then run it again.",
        ) from error
    except ModelError as error:
        # A full disk keeps what has come; a wrong file is of no use.
        if not isinstance(error.__cause__, OSError):
            archive.unlink(missing_ok=True)
        raise
    finally:
        part.unlink(missing_ok=True)
    archive.unlink(missing_ok=True)
    return target


def _is_pinned(path: Path, origin: Origin) -> bool:
    """Tell whether a file is the one that the registry names by its hash, if it names one."""
    return not origin.sha256 or file_sha256(path.resolve()) == origin.sha256


def _not_pinned(name: str, origin: Origin, path: Path) -> ModelError:
    return ModelError(
        f"what {origin.url or origin.repository} sent has the SHA-256 {file_sha256(path)}, not "
        f"{origin.sha256} as the model registry says; it is not used",
        where=name,
        remedy="Run it again; if it stays so, the server's file has changed, or `sha256` is wrong.",
    )


def _unpack(archive: Path, member: str, part: Path, name: str) -> None:
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
                    f"the archive holds {len(fitting)} files {member}, not one", where=name
                )
            # A damaged member raises here: zip carries a checksum of each.
            with source.open(fitting[0]) as packed, part.open("wb") as file:
                shutil.copyfileobj(packed, file)
    except OSError as error:
        raise ModelError(
            f"the archive cannot be unpacked ({first_line(error)}); it is kept",
            where=part,
            remedy="Make room, then run it again: nothing is fetched twice.",
        ) from error
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ModelError(
            f"the archive is damaged ({first_line(error)}); it is thrown away",
            where=name,
            remedy="Run it again.",
        ) from error
