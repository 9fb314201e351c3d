"""Find a model by name or file, and load it. Nothing here reaches for the network."""

import functools
import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from rsclip.backbone.checks import check_config
from rsclip.backbone.compat import import_open_clip
from rsclip.backbone.files import file_sha256, load_weights, read_weights
from rsclip.backbone.model import Backbone
from rsclip.backbone.names import (
    AUTO,
    CONFIG_NAME,
    DEFAULT,
    NANO,
    ModelName,
    nearest,
    parse_name,
)
from rsclip.errors import ModelError, RsclipWarning
from rsclip.types import Shape

__all__ = ["ModelOutline", "cached_weights", "hub_files", "load_backbone", "model_outline"]

_WEIGHTS_NAMES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")


@dataclass(frozen=True, slots=True)
class _Architecture:
    """What is built before weights go in.

    Attributes:
        config: open_clip's `model_cfg`, with quick_gelu decided.
        preprocess: mean and std, where the model states them.
    """

    config: Mapping[str, Any]
    preprocess: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ModelOutline:
    """As much of a model as planning needs.

    Attributes:
        patch: Side of a patch in pixels.
        window: (height, width) in pixels that the model was trained on.
        width: Channels of the image tower.
        parameters: Number of weights, roughly.
    """

    patch: int
    window: Shape
    width: int
    parameters: int


def load_backbone(name: str | Path, weights: str | Path | None = None) -> Backbone:
    """Load a frozen model onto the CPU.

    Args:
        name: "auto", "nano", ARCH/TAG, a folder in open_clip's hub form, or (with `weights`) an
            architecture or its config file; see `rsclip.backbone.names`.
        weights: A safetensors or torch state-dict file, in place of the named model's own.

    Raises:
        ModelError: The name is unknown, the weights are absent, damaged or do not fit, or the
            model has no plain ViT with a CLS token.
    """
    text = str(name)
    if text == AUTO:
        text = _automatic(weights)
    parsed = parse_name(text)
    architecture = _architecture(parsed)
    check_config(architecture.config, text)
    path = Path(weights) if weights is not None else _own_weights(parsed)
    state = read_weights(path)
    model = _build(architecture, text)
    load_weights(model, state, path, text)
    if parsed.kind == "arch" and parsed.tag is None:
        _warn_of_activation(parsed.arch, architecture)
    source = "embedded" if text == NANO and weights is None else str(path)
    return Backbone(
        model,
        name=text,
        source=source,
        hasher=functools.partial(file_sha256, path.resolve()),
        vocabulary=_vocabulary(parsed) if weights is None else None,
    )


def model_outline(name: str | Path) -> ModelOutline:
    """Return what planning needs of a model, without its weights.

    Raises:
        ModelError: The name is unknown.
    """
    text = str(name)
    parsed = parse_name(_automatic(None) if text == AUTO else text)
    config = _architecture(parsed).config
    check_config(config, text)
    vision, words = config["vision_cfg"], config["text_cfg"]
    size = vision.get("image_size", 224)
    height, width = (size, size) if isinstance(size, int) else size
    # A transformer block of width w has about 12 w^2 weights; the token table is the rest.
    blocks = sum(12 * tower["layers"] * tower["width"] ** 2 for tower in (vision, words))
    table = words.get("vocab_size", 49408) * words["width"]
    return ModelOutline(vision["patch_size"], (height, width), vision["width"], blocks + table)


def cached_weights(arch: str, tag: str) -> Path | None:
    """Return the weights of ARCH/TAG in this machine's hub cache, or None; asks no network."""
    import huggingface_hub

    repository, files = hub_files(arch, tag)
    for one in files:
        found = huggingface_hub.try_to_load_from_cache(repository, one)
        if isinstance(found, str):
            return Path(found)
    return None


def hub_files(arch: str, tag: str) -> tuple[str, list[str]]:
    """Return the hub repository of ARCH/TAG and the files that may hold its weights, best first.

    Both are empty where open_clip knows no repository.

    Raises:
        ModelError: The architecture or the tag is unknown.
    """
    _named_architecture(parse_name(f"{arch}/{tag}"))
    # A name like ORG/NAME/FILE names its file; ORG/NAME/ leaves it to open_clip's convention.
    repository, file = os.path.split(_pretrained(arch, tag).get("hf_hub", ""))
    if not repository:
        return "", []
    files = (str(Path(file).with_suffix(".safetensors")), file) if file else _WEIGHTS_NAMES
    return repository, list(dict.fromkeys(files))


def _automatic(weights: str | Path | None) -> str:
    if weights is not None:
        raise ModelError(
            "weights need their architecture",
            where=weights,
            remedy=f"Name it with --model, such as {DEFAULT}.",
        )
    arch, _, tag = DEFAULT.partition("/")
    if cached_weights(arch, tag) is not None:
        return DEFAULT
    warnings.warn(
        "using nano, the small model that comes with rsclip: trained on synthetic scenes, it knows "
        "land-cover words and little of real imagery.\n"
        f"For a real CLIP: rsclip models fetch {DEFAULT}",
        RsclipWarning,
        stacklevel=3,
    )
    return NANO


def _architecture(name: ModelName) -> _Architecture:
    if name.kind == "arch":
        return _named_architecture(name)
    path = name.path / CONFIG_NAME if name.kind == "folder" else name.path
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"the architecture file cannot be read ({error})", where=path) from error
    if not isinstance(content, dict):
        raise ModelError("the architecture file holds no architecture", where=path)
    config = content.get("model_cfg", content)
    return _Architecture(config, content.get("preprocess_cfg") or {})


def _named_architecture(name: ModelName) -> _Architecture:
    open_clip = import_open_clip()
    tags = open_clip.list_pretrained_tags_by_model(name.arch)
    config = open_clip.get_model_config(name.arch) if name.arch in open_clip.list_models() else None
    if config is None:
        known = [NANO, *("/".join(pair) for pair in open_clip.list_pretrained())]
        hint = nearest(name.text, known if name.tag else [*known, *open_clip.list_models()])
        raise ModelError(
            "unknown model",
            where=name.text,
            remedy=hint or f"Name a model as ARCH/TAG, such as {DEFAULT}, or {NANO}.",
        )
    if name.tag is None:
        return _Architecture(config, {})
    pretrained = _pretrained(name.arch, name.tag)
    if not pretrained:
        raise ModelError(
            f"{name.arch} has no weights named {name.tag}",
            where=name.text,
            remedy=nearest(name.tag, tags) or f"Known: {', '.join(tags) or 'none'}.",
        )
    # open_clip only warns of an activation that is not the weights' own: results would be wrong.
    config["quick_gelu"] = bool(pretrained.get("quick_gelu", False))
    return _Architecture(config, pretrained)


def _pretrained(arch: str, tag: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = import_open_clip().get_pretrained_cfg(arch, tag)
    return found


def _own_weights(name: ModelName) -> Path:
    """Return the weights that belong to a name.

    Raises:
        ModelError: They are not on this machine, or the name has none.
    """
    if name.kind == "folder":
        for file in _WEIGHTS_NAMES:
            if (name.path / file).is_file():
                return name.path / file
        raise ModelError(f"the model folder holds no {_WEIGHTS_NAMES[0]}", where=name.path)
    if name.kind == "config" or name.tag is None:
        tags = import_open_clip().list_pretrained_tags_by_model(name.arch)
        choice = f" or choose pretrained ones: {name.arch}/{tags[0]}" if tags else ""
        raise ModelError(
            "an architecture alone has no weights",
            where=name.text,
            remedy=f"Give them with --weights FILE{choice}.",
        )
    found = cached_weights(name.arch, name.tag)
    if found is None:
        raise _absent(name)
    return found


def _absent(name: ModelName) -> ModelError:
    from huggingface_hub import constants

    assert name.tag is not None
    repository, _ = hub_files(name.arch, name.tag)
    folder = "models--" + repository.replace("/", "--")
    ways = [f"(1) give a local file: --model {name.text} --weights FILE.safetensors"]
    if repository:
        ways.append(
            f"(2) download them: rsclip models fetch {name.text}; or do so on another machine and "
            f"copy the folder {folder} of its hub cache into {constants.HF_HUB_CACHE}"
        )
    ways.append(f"({len(ways) + 1}) use the embedded model: --model {NANO}")
    return ModelError(
        "the weights are not on this machine, and nothing is downloaded",
        where=name.text,
        remedy=f"Either {'; or '.join(ways)}.",
    )


def _warn_of_activation(arch: str, architecture: _Architecture) -> None:
    """Warn where the bare architecture leaves open which activation the weights were trained on."""
    own = bool(architecture.config.get("quick_gelu", False))
    tags = import_open_clip().list_pretrained_tags_by_model(arch)
    others = [tag for tag in tags if bool(_pretrained(arch, tag).get("quick_gelu")) != own]
    if others:
        used, other = ("QuickGELU", "GELU") if own else ("GELU", "QuickGELU")
        warnings.warn(
            f"{arch} is run with {used}; weights trained with {other} ({', '.join(others[:3])} "
            f"and the like) give wrong results so: name them in full, as {arch}/{others[0]}",
            RsclipWarning,
            stacklevel=3,
        )


def _vocabulary(name: ModelName) -> Mapping[str, Any] | None:
    path = name.path / "vocabulary.json"
    if name.kind != "folder" or not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"the vocabulary cannot be read ({error})", where=path) from error
    return cast(Mapping[str, Any], content)


def _build(architecture: _Architecture, where: str) -> Any:
    open_clip = import_open_clip()
    config = {key: value for key, value in architecture.config.items() if key != "custom_text"}
    try:
        model = open_clip.model.CLIP(**config)
    except (TypeError, ValueError, KeyError, AssertionError, RuntimeError) as error:
        raise ModelError(f"not an architecture of open_clip ({error})", where=where) from error
    model.visual.preprocess_cfg = {
        key: architecture.preprocess[key]
        for key in ("mean", "std")
        if architecture.preprocess.get(key) is not None
    }
    return model
