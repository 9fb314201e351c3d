"""A model in one file: weights, architecture, preprocessing and tokenizer, with their hashes.

A bundle is a safetensors file; what it says of itself is JSON in the header:

    rsclip_bundle         version of this form
    rsclip_facts          name, model_cfg, preprocess_cfg, tokenizer, weights_sha256, licence, ...
    rsclip_facts_sha256   SHA-256 of rsclip_facts
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rsclip.errors import ModelError, OutputError
from rsclip.files import new_file
from rsclip.model.open_clip_catalog import tokenizer_facts
from rsclip.model.weights.architecture import Architecture, checked
from rsclip.model.weights_hash import tensors_sha256
from rsclip.words.vocabulary import checked_vocabulary

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Bundle", "read_bundle", "read_vit_bundle", "verify_tensors", "write_bundle"]

_VERSION = "1"
_KEY = "rsclip_bundle"
_FACTS = "rsclip_facts"
_DIGEST = "rsclip_facts_sha256"
_CLIP_KEYS = ("model_cfg", "preprocess_cfg", "tokenizer")
_WORDS = ("name", "timm", "weights_sha256", "licence", "source", "repository", "file_sha256")


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a bundle says of itself.

    Attributes:
        name: The model as it was named when it was bundled.
        architecture: What to build.
        weights_sha256: Hash over the tensors, see `weights_hash.tensors_sha256`.
        vocabulary: The words that a small model has learned, or None.
        facts: Everything, licence and source included.
    """

    name: str
    architecture: Architecture
    weights_sha256: str
    vocabulary: Mapping[str, Any] | None
    facts: Mapping[str, Any]


def write_bundle(
    path: Path, weights: Mapping[str, Tensor], facts: Mapping[str, Any], *, overwrite: bool = False
) -> None:
    """Write weights and facts into one file, whole or not at all.

    Args:
        path: The file.
        weights: The state dict, in the types that it is to be kept in.
        facts: name, model_cfg, preprocess_cfg and whatever else is to be known, ready for JSON;
            of a second ViT name and `timm`, its name there.
        overwrite: Replace a file that exists.

    Raises:
        OutputError: The file exists or cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    if path.exists() and not overwrite:
        raise OutputError("the file exists", where=path, remedy="Use --overwrite to replace it.")
    whole = {**facts, "weights_sha256": tensors_sha256(weights), "tokenizer": tokenizer_facts()}
    text = json.dumps(whole, ensure_ascii=False)
    header = {
        "format": "pt",
        _KEY: _VERSION,
        _FACTS: text,
        _DIGEST: hashlib.sha256(text.encode()).hexdigest(),
    }
    try:
        with new_file(path) as part:
            part.touch()
            mode = part.stat().st_mode
            save_file({key: value.contiguous() for key, value in weights.items()}, part, header)
            # safetensors leaves a file for its owner only; this one is made to be passed on.
            part.chmod(mode)
    except (OSError, SafetensorError) as error:
        raise OutputError(
            f"the bundle cannot be written: {getattr(error, 'strerror', None) or error}",
            where=path,
            remedy="Make room on the disk, or choose another file with -o.",
        ) from error


def read_bundle(path: Path) -> Bundle | None:
    """Read what a bundle says of itself; None for any other file.

    Raises:
        ModelError: It is of another version, its description does not match its hash, its
            tokenizer is not the one installed here, or it holds a second ViT.
    """
    facts = _checked_facts(path)
    if facts is None:
        return None
    if "timm" in facts:
        raise ModelError(
            f"the bundle holds {facts['name']}, a self-supervised ViT, which reads no words",
            where=path,
            remedy="Give it beside a CLIP: --method=proxyclip --affinity=FILE.",
        )
    ours = tokenizer_facts()
    if facts["tokenizer"] != ours:
        raise ModelError(
            "the bundle was made for another tokenizer than the installed open_clip has",
            where=path,
            remedy="Install the open_clip of the machine that made it, or bundle it anew.",
        )
    vocabulary = facts.get("vocabulary")
    return Bundle(
        facts["name"],
        checked(facts["model_cfg"], facts, path),
        facts["weights_sha256"],
        None if vocabulary is None else checked_vocabulary(vocabulary, path),
        facts,
    )


def read_vit_bundle(path: Path) -> Mapping[str, Any] | None:
    """Read what a bundle of a second ViT says of itself; None for any other file.

    Raises:
        ModelError: It is of another version, or its description does not match its hash.
    """
    facts = _checked_facts(path)
    return facts if facts is not None and "timm" in facts else None


def _checked_facts(path: Path) -> Mapping[str, Any] | None:
    header = _header(path)
    if header is None or _KEY not in header:
        return None
    if header[_KEY] != _VERSION:
        raise ModelError(
            f"the bundle has version {header[_KEY]}, and this rsclip reads version {_VERSION}",
            where=path,
            remedy="Update rsclip here, or bundle the model anew with this version.",
        )
    text = header.get(_FACTS, "")
    if hashlib.sha256(text.encode()).hexdigest() != header.get(_DIGEST):
        raise _mismatch("description", path)
    return _facts(text, path)


def _facts(text: str, path: Path) -> Mapping[str, Any]:
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError):
        facts = None
    if (
        not isinstance(facts, dict)
        or any(key not in facts for key in ("name", "weights_sha256"))
        or not ("timm" in facts or all(key in facts for key in _CLIP_KEYS))
        or not all(isinstance(facts.get(key, ""), str) for key in _WORDS)
    ):
        raise ModelError(
            "the bundle's description of itself is incomplete",
            where=path,
            remedy="Bundle the model anew with `rsclip models bundle NAME -o FILE`.",
        )
    return cast(Mapping[str, Any], facts)


def verify_tensors(sha256: str, weights: Mapping[str, Tensor], path: Path) -> None:
    """Refuse tensors that differ from what was bundled.

    Raises:
        ModelError: Their hash differs.
    """
    if tensors_sha256(weights) != sha256:
        raise _mismatch("weights", path)


def _mismatch(part: str, path: Path) -> ModelError:
    match = "does not match its" if part == "description" else "do not match their"
    return ModelError(
        f"the bundle's {part} {match} hash: the file is damaged or was changed",
        where=path,
        remedy="Copy it again, or bundle the model anew.",
    )


def _header(path: Path) -> dict[str, str] | None:
    """Return the text entries of a safetensors header, or None for another or a broken file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError):
        # The reading of the weights says what is wrong with it.
        return None
