"""Checkpoints by alias, and licences by tag: configs/models.yaml."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

from rsclip.errors import ModelError
from rsclip.files import config_path, parse_yaml, read_text
from rsclip.model.outline import read_defaults
from rsclip.types import ModelDefaults

__all__ = ["Checkpoint", "Vit", "checkpoints", "licence_of", "read_registry", "vits"]

_OWN_FILE = "RSCLIP_MODELS"
# A name becomes part of a file's name in the cache.
_NAME = re.compile(r"\w[\w.-]*")
_TAKEN = ("auto", "nano")
_FORMS = {
    "repository": re.compile(r"\w[\w.-]*/\w[\w.-]*"),
    # Inside the repository, and inside its folder in the cache.
    "file": re.compile(r"(?!\.)[^/\\]+(/(?!\.)[^/\\]+)*"),
    "url": re.compile(r"https?://\S+"),
    "sha256": re.compile(r"[0-9a-f]{64}"),
}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Weights in open_clip's form that open_clip has no tag for.

    Attributes:
        name: The alias.
        arch: open_clip's name of the architecture.
        quick_gelu: Whether the weights were trained with QuickGELU.
        licence, source: For people.
        repository, file: Where they are on the hub, or
        url, member: an address outside it, and which file of the archive (a glob) holds them.
        sha256: Of that file, where it is known.
        defaults: How it is used where the user does not say otherwise.
    """

    name: str
    arch: str
    quick_gelu: bool
    licence: str
    source: str
    repository: str = ""
    file: str = ""
    url: str = ""
    member: str = ""
    sha256: str = ""
    defaults: ModelDefaults = ModelDefaults()


@dataclass(frozen=True, slots=True)
class Vit:
    """A self-supervised ViT in timm's form, which `--affinity` takes.

    Attributes:
        name: What the user calls it.
        timm: timm's name of it.
        patch: Side of a patch in pixels.
        width: Channels of its tokens.
        image: Side of the images that it was trained on, in pixels.
        registers: It has register tokens.
        rotary: Its positions are rotary, none learned.
        repository: Where its weights are on the hub, as model.safetensors.
        licence, source: For people.
        sha256: Of that file, where it is known.
    """

    name: str
    timm: str
    patch: int
    width: int
    image: int
    repository: str
    licence: str = ""
    source: str = ""
    registers: bool = False
    rotary: bool = False
    sha256: str = ""

    @property
    def parameters(self) -> int:
        """Number of weights, roughly: twelve blocks of 12 width^2."""
        return 144 * self.width**2

    @property
    def stem(self) -> tuple[int, ...]:
        """Shape of the first layer's weights."""
        return self.width, 3, self.patch, self.patch

    @property
    def signs(self) -> tuple[bool, bool]:
        """Whether it has register tokens, and learned positions."""
        return self.registers, not self.rotary


@dataclass(frozen=True, slots=True)
class Registry:
    """What a registry file says: checkpoints by alias, (licence, source) by tag prefix, ViTs."""

    models: Mapping[str, Checkpoint]
    licences: Mapping[str, tuple[str, str]]
    vits: Mapping[str, Vit]


def checkpoints() -> Mapping[str, Checkpoint]:
    """Return the known checkpoints by alias: bundled, and from the file RSCLIP_MODELS.

    Raises:
        ModelError: A registry file is broken.
    """
    return {name: found for each in _registries() for name, found in each.models.items()}


def vits() -> Mapping[str, Vit]:
    """Return the known second ViTs by name; errors as `checkpoints`."""
    return {name: found for each in _registries() for name, found in each.vits.items()}


def licence_of(tag: str) -> tuple[str, str]:
    """Return (licence, source) of open_clip's weights with a tag; ("", "") if unknown.

    The longest beginning that fits decides; of equal ones, that of one's own registry.
    """
    licences = {
        _folded(key): value for each in _registries() for key, value in each.licences.items()
    }
    fitting = [key for key in licences if _folded(tag).startswith(key)]
    return licences[max(fitting, key=len)] if fitting else ("", "")


def _registries() -> list[Registry]:
    """Return the bundled registry, and the user's own where there is one, which wins."""
    own = os.environ.get(_OWN_FILE)
    return [
        read_registry(path) for path in (config_path("models.yaml"), *([Path(own)] if own else []))
    ]


def _folded(tag: str) -> str:
    """Return a tag as open_clip compares it."""
    return tag.lower().replace("-", "_")


@cache
def read_registry(path: Path) -> Registry:
    """Read a registry file.

    Raises:
        ModelError: It is missing, not YAML, or an entry is wrong.
    """
    content = parse_yaml(read_text(path, "model registry", ModelError), path, ModelError)
    if not isinstance(content, Mapping) or not set(content) <= {"models", "licences", "vits"}:
        remedy = "It is a mapping with `models`, `licences` and `vits`; see configs/models.yaml."
        raise _broken("it is of another form", path, remedy)
    models = {
        str(name).lower(): _checkpoint(str(name).lower(), entry, path)
        for name, entry in _mapping(content.get("models"), "models", path).items()
    }
    licences = {
        str(name): _licence(entry, f"{path}, {name}")
        for name, entry in _mapping(content.get("licences"), "licences", path).items()
    }
    second = {
        str(name).lower(): _vit(str(name).lower(), entry, path)
        for name, entry in _mapping(content.get("vits"), "vits", path).items()
    }
    return Registry(models, licences, second)


def _broken(what: str, where: object, remedy: str | None = None) -> ModelError:
    return ModelError(f"the model registry is broken: {what}", where=where, remedy=remedy)


def _mapping(value: Any, key: str, path: Path) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping | None):
        raise _broken(f"`{key}` is not a mapping", path)
    return value or {}


def _licence(entry: Any, where: str) -> tuple[str, str]:
    keys = ("licence", "source")
    fits = isinstance(entry, Mapping) and set(entry) <= set(keys)
    if not fits or not all(isinstance(value, str) for value in entry.values()):
        raise _broken(
            "a licence is a mapping of words", where, "Its keys are `licence` and `source`."
        )
    return entry.get("licence", ""), entry.get("source", "")


def _checkpoint(name: str, entry: Any, path: Path) -> Checkpoint:
    where = f"{path}, {name}"
    if not isinstance(entry, Mapping):
        raise _broken("a model's entry is not a mapping", where)
    stated = [item.name for item in fields(ModelDefaults)]
    own = [item.name for item in fields(Checkpoint) if item.name not in ("name", "defaults")]
    known = [*own, *stated]
    words = {key: value for key, value in entry.items() if key not in stated}
    for key, value in words.items():
        if key not in known:
            raise _broken(f"unknown key `{key}`", where, f"Known: {', '.join(known)}.")
        if not _fits(key, value):
            raise _broken(f"`{key}` cannot be {value!r}", where)
    if not _NAME.fullmatch(name) or name in _TAKEN:
        raise _broken(
            "this is not a name for a model",
            where,
            "A name has letters, digits, dots, dashes and underscores, and is neither "
            f"{' nor '.join(_TAKEN)}.",
        )
    missing = [key for key in ("arch", "quick_gelu") if key not in entry]
    if missing or not (("repository" in entry and "file" in entry) or "url" in entry):
        lacking = ", ".join(missing) or "repository and file, or url"
        raise _broken(f"the entry lacks {lacking}", where)
    words = {"licence": "", "source": "", **words}
    return Checkpoint(name, defaults=read_defaults(entry, where), **words)


def _vit(name: str, entry: Any, path: Path) -> Vit:
    where = f"{path}, {name}"
    types = {key: kind for key, kind in get_type_hints(Vit).items() if key != "name"}
    if not isinstance(entry, Mapping) or not set(entry) <= set(types):
        raise _broken("an entry of `vits` has other keys", where, f"Known: {', '.join(types)}.")
    for key, value in entry.items():
        if type(value) is not types[key] or not (types[key] is not str or _fits(key, value)):
            raise _broken(f"`{key}` cannot be {value!r}", where)
    try:
        return Vit(name, **entry)
    except TypeError as error:
        raise _broken("the entry lacks timm, patch, width, image or repository", where) from error


def _fits(key: str, value: Any) -> bool:
    """Tell whether a value is of its key's kind and form."""
    if key == "quick_gelu" or not isinstance(value, str):
        return key == "quick_gelu" and isinstance(value, bool)
    return not value or key not in _FORMS or _FORMS[key].fullmatch(value) is not None
