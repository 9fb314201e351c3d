"""Where the weights of a named model come from, and whether they are on this machine.

Nothing here reaches for the network.
"""

import json
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsclip.errors import ModelError
from rsclip.fields import nearest
from rsclip.files import cache_folder, is_forbidden
from rsclip.model.open_clip_catalog import open_clip_catalog
from rsclip.model.weights.files import file_sha256
from rsclip.model.weights.names import CONFIG_NAME, ModelName
from rsclip.model.weights.registry import licence_of

__all__ = [
    "WEIGHTS_NAMES",
    "Origin",
    "cached_file",
    "cached_weights",
    "is_whole",
    "known_sha256",
    "note_sha256",
    "origin_of",
    "pretrained",
    "unpacked_file",
    "verified_sha256",
]

VIT_WEIGHTS = "model.safetensors"
WEIGHTS_NAMES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where weights come from.

    Attributes:
        repository: On the hub, as OWNER/NAME, or "".
        files: Files of it that may hold the weights, best first.
        url: An address outside the hub, or "".
        member: Which file of the archive at `url` holds the weights (a glob), or "".
        sha256: Of that file, or "".
        licence, source: For people; "" if unknown.
    """

    repository: str = ""
    files: tuple[str, ...] = ()
    url: str = ""
    member: str = ""
    sha256: str = ""
    licence: str = ""
    source: str = ""


def origin_of(name: ModelName) -> Origin:
    """Return where the weights of a name come from; an empty one where nothing is to be fetched.

    Raises:
        ModelError: open_clip has no weights with this tag.
    """
    if name.kind == "hub":
        return Origin(name.repository, WEIGHTS_NAMES, licence="see the repository")
    if name.kind == "folder":
        return _of_folder(name.path)
    if name.checkpoint is not None:
        known = name.checkpoint
        files = (known.file,) if known.file else ()
        return Origin(
            known.repository, files, known.url, known.member, known.sha256,
            known.licence, known.source,
        )  # fmt: skip
    if name.vit is not None:
        vit = name.vit
        return Origin(vit.repository, (VIT_WEIGHTS,), "", "", vit.sha256, vit.licence, vit.source)
    if name.kind != "arch" or name.tag is None:
        return Origin()
    settings = pretrained(name.arch, name.tag)
    if not settings:
        tags = open_clip_catalog().list_pretrained_tags_by_model(name.arch)
        raise ModelError(
            f"{name.arch} has no weights named {name.tag}"
            if name.tag
            else "there is no tag after the slash",
            where=name.text,
            remedy=nearest(name.tag, tags, 3) or f"Known: {', '.join(tags) or 'none'}.",
        )
    licence, source = licence_of(name.tag)
    # A name like ORG/NAME/FILE names its file; ORG/NAME/ leaves it to open_clip's convention.
    repository, file = os.path.split(settings.get("hf_hub", ""))
    if not repository:
        return Origin(licence=licence, source=source)
    named = (str(Path(file).with_suffix(".safetensors")), file) if file else WEIGHTS_NAMES
    return Origin(repository, tuple(dict.fromkeys(named)), licence=licence, source=source)


def _of_folder(folder: Path) -> Origin:
    """Return what a folder's config says of its licence and source, where it says both."""
    try:
        content = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
        return Origin(licence=str(content["licence"]), source=str(content["source"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return Origin()


def pretrained(arch: str, tag: str) -> Mapping[str, Any]:
    """Return open_clip's settings of pretrained weights; empty if it knows none."""
    found: Mapping[str, Any] = open_clip_catalog().get_pretrained_cfg(arch, tag)
    return found


def cached_file(repository: str, file: str) -> Path | None:
    """Return a file of a repository in this machine's hub cache, or None."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE, f"models--{repository.replace('/', '--')}")
    # To look further, huggingface_hub imports all that it downloads with.
    if is_forbidden(folder) or not folder.is_dir():
        return None
    import huggingface_hub

    found = huggingface_hub.try_to_load_from_cache(repository, file)
    return Path(found) if isinstance(found, str) else None


def cached_weights(name: ModelName) -> Path | None:
    """Return the weights of a name that were fetched to this machine, or None.

    Raises:
        ModelError: open_clip has no weights with this tag.
    """
    origin = origin_of(name)
    if origin.url:
        path = unpacked_file(name)
        return path if path is not None and path.is_file() else None
    found = (cached_file(origin.repository, file) for file in origin.files)
    path = next((item for item in found if item is not None), None)
    # A repository of its own without its architecture is of no use.
    whole = name.kind != "hub" or cached_file(name.repository, CONFIG_NAME) is not None
    return path if whole else None


def unpacked_file(name: ModelName) -> Path | None:
    """Return where the weights of an address outside the hub are kept; None without a cache."""
    folder = cache_folder()
    assert name.checkpoint is not None
    return folder / "models" / f"{name.checkpoint.name}.pt" if folder else None


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
    """Write the expected hash of a file beside it.

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
            remedy=f"Fetch them again: `rsclip models fetch {shlex.quote(name)}`.",
        )
    if known is not None and file_sha256(path.resolve()) != known:
        raise ModelError(
            "the weights in the cache are damaged: their SHA-256 is not that of what was fetched",
            where=path.resolve(),
            remedy=f"Fetch them again: `rsclip models fetch {shlex.quote(name)}`.",
        )
    return known


def is_whole(path: Path, pinned: str = "") -> bool:
    """Tell whether a file has the hash that was noted or pinned; true if there is none."""
    wanted = {known_sha256(path), pinned} - {None, ""}
    return not wanted or wanted == {file_sha256(path.resolve())}


def _note(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")
