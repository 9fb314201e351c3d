"""The architecture of a model: from a name, a config file, or the shapes of its tensors."""

import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from rsclip.errors import ModelError
from rsclip.fields import nearest
from rsclip.files import read_text
from rsclip.model.checks import check_config
from rsclip.model.open_clip_catalog import open_clip_catalog
from rsclip.model.outline import read_defaults
from rsclip.model.weights.blip import BLIP_CONFIG, open_clip_form
from rsclip.model.weights.names import CONFIG_NAME, DEFAULT, NANO, ModelName
from rsclip.model.weights.origin import cached_file, origin_of, pretrained
from rsclip.model.weights.registry import checkpoints
from rsclip.types import ModelDefaults

__all__ = [
    "Architecture",
    "absent",
    "activation",
    "architecture_of",
    "check_against",
    "checked",
    "differences",
    "is_open_activation",
    "read_json",
    "refuse_open_activation",
]


# QuickGELU or not, mean, std.
_Settings: TypeAlias = tuple[bool, tuple[float, ...], tuple[float, ...]]


@dataclass(frozen=True, slots=True)
class Architecture:
    """What is built before weights go in.

    Attributes:
        config: open_clip's `model_cfg`, with quick_gelu decided.
        preprocess: mean and std, where the model states them.
        defaults: How the model is used where the user does not say otherwise.
        blip: The folder of a BLIP, whose text tower and tokenizer are its own; None for a CLIP.
    """

    config: Mapping[str, Any]
    preprocess: Mapping[str, Any]
    defaults: ModelDefaults = ModelDefaults()
    blip: Path | None = None

    @property
    def text_identity(self) -> str:
        """SHA-256 of all that the text features depend on besides weights and tokenizer."""
        keys = ("embed_dim", "quick_gelu", "text_cfg")
        parts = {key: self.config.get(key) for key in keys}
        # The same activation, written or left out.
        parts["quick_gelu"] = bool(parts["quick_gelu"])
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def architecture_of(name: ModelName) -> Architecture:
    """Return the architecture that a name stands for.

    Raises:
        ModelError: The name is unknown, its file is broken, or it is not on this machine.
    """
    if name.kind == "arch":
        return _named(name)
    if name.vit is not None:
        raise ModelError(
            "this is a self-supervised ViT, which reads no words",
            where=name.text,
            remedy=f"Give it beside a CLIP: --method=proxyclip --affinity={name.vit.name}.",
        )
    if name.checkpoint is not None:
        config = _known_config(name)
        config["quick_gelu"] = name.checkpoint.quick_gelu
        return Architecture(config, {}, name.checkpoint.defaults)
    if name.kind == "hub":
        path = cached_file(name.repository, CONFIG_NAME)
        if path is None:
            raise absent(name)
        return _read(path)
    if name.kind == "blip":
        return _blip(name.path)
    return _read(name.path / CONFIG_NAME if name.kind == "folder" else name.path)


def _blip(folder: Path) -> Architecture:
    path, pictures = folder / BLIP_CONFIG, folder / "preprocessor_config.json"
    content = read_json(path, "model's config")
    stated = read_json(pictures, "preprocessor's config") if pictures.is_file() else {}
    preprocess = {key: stated.get(f"image_{key}") for key in ("mean", "std")}
    found = checked(open_clip_form(content, path), {"preprocess_cfg": preprocess}, pictures)
    return replace(found, blip=folder)


def activation(config: Mapping[str, Any]) -> str:
    """Return the name of an architecture's activation."""
    return "QuickGELU" if config.get("quick_gelu") else "GELU"


def refuse_open_activation(arch: str, where: object) -> None:
    """Refuse a bare architecture whose weights exist with several activations or statistics.

    No file of weights says which it was trained with, and the wrong one gives wrong maps quietly.

    Raises:
        ModelError: The architecture has weights of several kinds.
    """
    own, kinds = _kinds(arch)
    if len({own, *kinds}) < 2:
        return
    ways = [
        f"{name} ({'QuickGELU' if quick else 'GELU'}, mean {mean[0]:.3g})"
        for (quick, mean, _), name in kinds.items()
    ]
    raise ModelError(
        f"weights of {arch} differ in activation, mean or std, and a file of weights does not say "
        "which it was trained with: the wrong choice gives wrong maps",
        where=where,
        remedy=f"Name the model that they were trained from with --model: {' or '.join(ways)}.",
    )


def is_open_activation(arch: str) -> bool:
    """Tell whether weights of an architecture exist with either activation."""
    own, kinds = _kinds(arch)
    return len({quick for quick, *_ in (own, *kinds)}) > 1


def _kinds(arch: str) -> tuple[_Settings, dict[_Settings, str]]:
    """Return the settings of an architecture, and of each kind of its weights with a name."""
    open_clip = open_clip_catalog()
    kinds: dict[_Settings, str] = {}
    for tag in open_clip.list_pretrained_tags_by_model(arch):
        settings = pretrained(arch, tag)
        kinds.setdefault(_settings(settings, settings), f"{arch}/{tag}")
    return _settings(open_clip.get_model_config(arch) or {}, {}), kinds


def check_against(architecture: Architecture, config_file: Path, name: str) -> None:
    """Refuse weights whose own config states another activation, mean or std.

    Args:
        architecture: What the name stands for.
        config_file: The open_clip_config.json that came with them.
        name: The model, for the message.

    Raises:
        ModelError: They differ.
    """
    stated = _read(config_file)
    if found := differences(architecture, stated, shapes=False):
        raise ModelError(
            f"{name} stands for other settings than the config beside the weights states: "
            f"{'; '.join(found)}",
            where=config_file,
            remedy="If the config is right, name its folder: "
            f"--model={shlex.quote(str(config_file.parent))}.",
        )


def differences(ours: Architecture, theirs: Architecture, *, shapes: bool = True) -> list[str]:
    """Return in which ways two architectures differ, as readable clauses.

    Args:
        ours: What the user named.
        theirs: What the file states; a mean or std that it leaves out is not compared.
        shapes: Compare the towers too.
    """
    found = []
    mine, other = activation(ours.config), activation(theirs.config)
    if mine != other:
        found.append(f"activation {mine}, the file's {other}")
    import_ = open_clip_catalog()
    for key, default in (
        ("mean", import_.OPENAI_DATASET_MEAN),
        ("std", import_.OPENAI_DATASET_STD),
    ):
        if theirs.preprocess.get(key) is None:
            continue
        own, its = (
            _rounded(value if value is not None else default)
            for value in (ours.preprocess.get(key), theirs.preprocess[key])
        )
        if own != its:
            found.append(f"{key} {list(own)}, the file's {list(its)}")
    if shapes:
        for part in ("vision_cfg", "text_cfg"):
            mine_part, other_part = ours.config[part], theirs.config[part]
            for key in ("layers", "width", "patch_size", "image_size", "context_length"):
                if key in mine_part and mine_part[key] != other_part.get(key, mine_part[key]):
                    found.append(
                        f"{part.split('_')[0]} {key} {mine_part[key]}, the file's {other_part[key]}"
                    )
    return found


def absent(name: ModelName) -> ModelError:
    """Return the error for weights that are not here, with the ways out."""
    origin, text = origin_of(name), shlex.quote(name.text)
    ways = []
    if origin.repository or origin.url:
        ways.append(
            f"fetch them here (`rsclip models fetch {text}`), or on a machine with network, "
            f"and carry them over in one file (`rsclip models bundle {text} -o FILE`, then "
            "--weights=FILE)"
        )
    local = "" if name.kind == "hub" else f"--model={text} "
    ways.append(f"give a local file ({local}--weights=FILE)")
    ways.append(f"use the embedded model (--model={NANO})")
    numbered = "; or ".join(f"({number}) {way}" for number, way in enumerate(ways, 1))
    return ModelError(
        "the weights are not on this machine, and nothing is downloaded",
        where=name.text,
        remedy=f"Either {numbered}.",
    )


def _named(name: ModelName) -> Architecture:
    config = _known_config(name)
    if name.tag is None:
        return Architecture(config, {})
    origin_of(name)  # refuses a tag that is unknown
    settings = pretrained(name.arch, name.tag)
    # open_clip only warns of an activation that is not the weights' own: results would be wrong.
    config["quick_gelu"] = bool(settings.get("quick_gelu", False))
    return Architecture(config, settings)


def _known_config(name: ModelName) -> dict[str, Any]:
    open_clip = open_clip_catalog()
    config: dict[str, Any] | None = None
    if name.arch in open_clip.list_models():
        config = open_clip.get_model_config(name.arch)
    if config is not None:
        return config
    usable = [arch for arch in open_clip.list_models() if _is_usable(arch)]
    pairs = [(arch, tag) for arch, tag in open_clip.list_pretrained() if arch in usable]
    known = [NANO, *checkpoints(), *("/".join(pair) for pair in pairs)]
    if name.checkpoint is not None:
        raise ModelError(
            f"the model registry is broken: unknown architecture {name.arch}", where=name.text
        )
    known += [] if name.tag else usable
    raise ModelError(
        "unknown model",
        where=name.text,
        remedy=nearest(name.text, known, 3)
        or f"Name a model as ARCH/TAG, such as {DEFAULT}, or {NANO}.",
    )


def _is_usable(arch: str) -> bool:
    try:
        check_config(open_clip_catalog().get_model_config(arch) or {}, arch)
    except ModelError:
        return False
    return True


def read_json(path: Path, what: str) -> Any:
    """Return the content of a JSON file of a model; `what` names it in messages.

    Raises:
        ModelError: It is missing, or no JSON.
    """
    try:
        return json.loads(read_text(path, what, ModelError))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"the {what} cannot be read ({error})", where=path) from error


def _read(path: Path) -> Architecture:
    content = read_json(path, "architecture file")
    if not isinstance(content, dict):
        raise ModelError("this file does not describe an architecture", where=path)
    return checked(content.get("model_cfg", content), content, path)


def checked(config: Any, content: Mapping[str, Any], where: object) -> Architecture:
    """Return an architecture of what a file says, once its parts are of the right kinds.

    Args:
        config: open_clip's `model_cfg`.
        content: What else the file says: `preprocess_cfg` and the model's defaults.
        where: The file.

    Raises:
        ModelError: A part is missing or nonsense.
    """
    towers = ("vision_cfg", "text_cfg")
    if not isinstance(config, dict) or not all(isinstance(config.get(k), dict) for k in towers):
        raise ModelError(
            "this file does not describe an architecture",
            where=where,
            remedy="Such a file has `vision_cfg` and `text_cfg`, as open_clip writes them.",
        )
    preprocess = content.get("preprocess_cfg")
    if not isinstance(preprocess, dict | None):
        raise ModelError("`preprocess_cfg` is not a mapping", where=where)
    preprocess = preprocess or {}
    for key, least in (("mean", 0.0), ("std", 1e-6)):
        values = preprocess.get(key)
        if values is None:
            continue
        fits = isinstance(values, list | tuple) and len(values) == 3
        if not fits or not all(_is_share(value, least) for value in values):
            raise ModelError(
                f"`{key}` is {values!r}",
                where=where,
                remedy="It is three numbers for pixels from 0 to 1, such as 0.48, 0.46, 0.41.",
            )
    return Architecture(config, preprocess, read_defaults(content, where))


def _is_share(value: Any, least: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= 1


def _settings(config: Mapping[str, Any], preprocess: Mapping[str, Any]) -> _Settings:
    open_clip = open_clip_catalog()
    return (
        bool(config.get("quick_gelu", False)),
        _rounded(preprocess.get("mean") or open_clip.OPENAI_DATASET_MEAN),
        _rounded(preprocess.get("std") or open_clip.OPENAI_DATASET_STD),
    )


def _rounded(values: Any) -> tuple[float, ...]:
    parts = [values] * 3 if isinstance(values, int | float) else values
    return tuple(round(float(value), 6) for value in parts)
