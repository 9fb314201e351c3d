"""Find a model by name or file, without torch where its name or a header says what it is.

Nothing here reaches for the network.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsclip.errors import ModelError, warn
from rsclip.files import expand, is_forbidden
from rsclip.model.checks import check_config
from rsclip.model.open_clip_catalog import open_clip_catalog
from rsclip.model.outline import ModelOutline
from rsclip.model.weights.architecture import (
    Architecture,
    absent,
    architecture_of,
    check_against,
    differences,
    read_json,
    refuse_open_activation,
)
from rsclip.model.weights.blip import BLIP_CONFIG, BLIP_WEIGHTS
from rsclip.model.weights.bundle import Bundle, read_bundle, verify_tensors
from rsclip.model.weights.files import read_weights
from rsclip.model.weights.hub import hub_folder
from rsclip.model.weights.identify import identify
from rsclip.model.weights.names import AUTO, CONFIG_NAME, DEFAULT, NANO, ModelName, parse_name
from rsclip.model.weights.origin import (
    WEIGHTS_NAMES,
    cached_weights,
    origin_of,
)
from rsclip.words.vocabulary import checked_vocabulary

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["ModelFiles", "find_model", "model_outline", "paths_behind"]

_WEIGHTS_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model found on this machine, its weights not loaded yet.

    Attributes:
        name: What it is called.
        architecture: What to build.
        weights: The file of weights.
        bundle: What the file says of itself, for a bundle.
        vocabulary: The words that a small model has learned, or None.
        pinned: SHA-256 that the model registry states of the file, or "".
    """

    name: str
    architecture: Architecture
    weights: Path
    bundle: Bundle | None = None
    vocabulary: Mapping[str, Any] | None = None
    pinned: str = ""

    def read(self) -> dict[str, Tensor]:
        """Read the weights, in the types of the file; a bundle's are checked against their hash.

        Raises:
            ModelError: The file is damaged.
        """
        tensors = read_weights(self.weights)
        if self.bundle is not None:
            verify_tensors(self.bundle.weights_sha256, tensors, self.weights)
        return tensors


def find_model(name: str | Path, weights: str | Path | None = None) -> ModelFiles:
    """Find a model's architecture and weights; arguments and errors as `load.load_backbone`.

    Raises:
        ModelError: As `load_backbone`, except for what only the tensors show.
    """
    text = str(name)
    files = _of_file(text, Path(weights)) if weights is not None else _of_name(_automatic(text))
    check_config(files.architecture.config, files.name)
    return files


def model_outline(name: str | Path, weights: str | Path | None = None) -> ModelOutline:
    """Return what planning needs of a model, without its weights where its name says enough.

    Raises:
        ModelError: The name is unknown, or the file does not say what it is.
    """
    text = str(name)
    if weights is not None:
        architecture = find_model(text, weights).architecture
    else:
        text = _automatic(text)
        architecture = architecture_of(parse_name(text))
    config = architecture.config
    check_config(config, text)
    vision, words = config["vision_cfg"], config["text_cfg"]
    size = vision.get("image_size", 224)
    height, width = (size, size) if isinstance(size, int) else size
    # A transformer block of width w has about 12 w^2 weights; the token table is the rest.
    blocks = sum(12 * tower["layers"] * tower["width"] ** 2 for tower in (vision, words))
    table = words.get("vocab_size", 49408) * words["width"]
    return ModelOutline(
        vision["patch_size"],
        (height, width),
        vision["width"],
        blocks + table,
        architecture.defaults,
    )


def paths_behind(name: str | Path, source: str) -> list[Path]:
    """Return the paths of which a change may make a name stand for another model.

    Args:
        name: As `load_backbone` took it.
        source: "embedded", or the file of weights that it read.

    Returns:
        Files and folders; some need not exist.
    """
    own = _own_weights(parse_name(NANO)) if source == "embedded" else Path(source)
    beside = (CONFIG_NAME, BLIP_CONFIG, "vocabulary.json", "vocab.txt", "tokenizer.json")
    paths = [own, *(own.parent / file for file in beside), expand(name)]
    folders = [own.parents[2]] if own.parent.parent.name == "snapshots" else []
    if str(name) == AUTO:
        # Once it is fetched, "auto" is another model.
        folders.append(hub_folder(origin_of(parse_name(DEFAULT)).repository))
    for folder in folders:
        snapshots = folder / "snapshots"
        if not is_forbidden(snapshots):
            paths += [folder / "refs" / "main", snapshots, *sorted(snapshots.glob("*"))]
    return paths


def _automatic(text: str) -> str:
    """Return the name that "auto" stands for here; any other as it is."""
    if text != AUTO:
        return text
    return NANO if cached_weights(parse_name(DEFAULT)) is None else DEFAULT


def _of_name(text: str) -> ModelFiles:
    name = parse_name(text)
    architecture = architecture_of(name)
    check_config(architecture.config, text)
    weights = _own_weights(name)
    stated = weights.parent / CONFIG_NAME
    if name.kind in ("arch", "alias") and stated.is_file():
        check_against(architecture, stated, text)
    pinned = name.checkpoint.sha256 if name.checkpoint is not None else ""
    return ModelFiles(
        text, architecture, weights, vocabulary=_vocabulary(weights.parent), pinned=pinned
    )


def _of_file(text: str, path: Path) -> ModelFiles:
    bundle = read_bundle(path) if path.is_file() else None
    if bundle is not None:
        if text != AUTO:
            _check_bundle(bundle, text, path)
        return ModelFiles(bundle.name, bundle.architecture, path, bundle, bundle.vocabulary)
    if text != AUTO:
        name = parse_name(text)
        architecture = architecture_of(name)
        if name.kind == "arch" and name.tag is None:
            refuse_open_activation(name.arch, path)
        stated = _stated(path, name)
        if stated is not None:
            check_against(architecture, stated, text)
        return ModelFiles(text, architecture, path)
    if _stated(path) is not None:
        return ModelFiles(
            str(path.parent),
            architecture_of(parse_name(str(path.parent))),
            path,
            vocabulary=_vocabulary(path.parent),
        )
    shapes = {key: tuple(value.shape) for key, value in read_weights(path).items()}
    return ModelFiles(*identify(shapes, path), path)


def _stated(path: Path, name: ModelName | None = None) -> Path | None:
    """Return the config beside a file of weights if it is that file's own, or None.

    Args:
        path: The weights.
        name: What the user named; its own config is not told to be left aside.
    """
    stated = path.parent / CONFIG_NAME
    if not path.is_file() or not stated.is_file():
        return None
    if path.name in WEIGHTS_NAMES:
        return stated
    others = sorted(
        item.name
        for item in path.parent.iterdir()
        if item.suffix.lower() in _WEIGHTS_SUFFIXES and item.name != path.name
    )
    if not others:
        return stated
    if name is None or name.kind not in ("folder", "config"):
        warn(
            f"{stated} is not used: beside {path.name} lies {others[0]}, and it does not say whose "
            "it is; if it is this file's, name its folder with "
            f"--model={shlex.quote(str(path.parent))}"
        )
    return None


def _check_bundle(bundle: Bundle, text: str, path: Path) -> None:
    named = architecture_of(parse_name(text))
    if found := differences(named, bundle.architecture):
        raise ModelError(
            f"the bundle of {bundle.name} is not {text}: {'; '.join(found)}",
            where=path,
            remedy="Leave out --model: a bundle says itself what it is.",
        )


def _own_weights(name: ModelName) -> Path:
    """Return the weights that belong to a name.

    Raises:
        ModelError: They are not on this machine, or the name has none.
    """
    if name.kind in ("folder", "blip"):
        names = WEIGHTS_NAMES if name.kind == "folder" else BLIP_WEIGHTS
        for file in names:
            if (name.path / file).is_file():
                return name.path / file
        raise ModelError(f"the model folder holds no {names[0]}", where=name.path)
    if name.kind == "config" or (name.kind == "arch" and name.tag is None):
        tags = open_clip_catalog().list_pretrained_tags_by_model(name.arch)
        choice = f" or choose pretrained ones: {name.arch}/{tags[0]}" if tags else ""
        raise ModelError(
            "an architecture alone has no weights",
            where=name.text,
            remedy=f"Give them with --weights=FILE{choice}.",
        )
    found = cached_weights(name)
    if found is None:
        raise absent(name)
    return found


def _vocabulary(folder: Path) -> Mapping[str, Any] | None:
    path = folder / "vocabulary.json"
    return checked_vocabulary(read_json(path, "vocabulary"), path) if path.is_file() else None
