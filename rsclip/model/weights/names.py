"""What a user may write as a model's name; no torch here.

auto        the default model where its weights are at hand, else nano
nano        the embedded model
FOLDER      open_clip's hub form: open_clip_config.json beside the weights; or a BLIP in the form
            of transformers: config.json, model.safetensors and vocab.txt
hf-hub:O/N  the same on the hub, in the cache after `rsclip models fetch`
ARCH/TAG    pretrained weights as open_clip names them, such as ViT-B-16/openai
ALIAS       a checkpoint of configs/models.yaml, such as remoteclip-b32; or a second ViT, such as
            dinov2-vits14, which `--affinity` takes and `--model` does not
ARCH        an architecture of open_clip, for weights from a file
FILE.json   an architecture's config file, for weights from a file
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rsclip.errors import ModelError
from rsclip.files import data_path
from rsclip.model.weights.blip import BLIP_CONFIG
from rsclip.model.weights.registry import Checkpoint, Vit, checkpoints, vits

__all__ = ["AUTO", "CONFIG_NAME", "DEFAULT", "HUB", "NANO", "ModelName", "parse_name"]

AUTO = "auto"
NANO = "nano"
HUB = "hf-hub:"
DEFAULT = "ViT-B-16/openai"
CONFIG_NAME = "open_clip_config.json"


@dataclass(frozen=True, slots=True)
class ModelName:
    """A parsed name.

    Attributes:
        text: The name as it was written.
        kind: Where the architecture comes from.
        arch: Architecture, for kinds "arch" and "alias".
        tag: Pretrained tag, if one was named.
        path: Folder or config file, for kinds "folder", "blip" and "config".
        repository: Owner and name, for kind "hub".
        checkpoint: What the registry says, for kind "alias".
        vit: What the registry says, for kind "vit".
    """

    text: str
    kind: Literal["arch", "folder", "blip", "config", "hub", "alias", "vit"]
    arch: str = ""
    tag: str | None = None
    path: Path = Path()
    repository: str = ""
    checkpoint: Checkpoint | None = None
    vit: Vit | None = None


def parse_name(text: str) -> ModelName:
    """Tell what a name means; whether architecture and tag exist is for open_clip to say.

    Raises:
        ModelError: A config file or a model folder is not there, or a hub name is incomplete.
    """
    if text == NANO:
        return _folder(text, data_path(NANO))
    if text.startswith(HUB):
        repository = text.removeprefix(HUB)
        if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
            raise ModelError(
                "this is not the name of a repository on the hub",
                where=text,
                remedy=f"Write {HUB}OWNER/NAME.",
            )
        return ModelName(text, "hub", repository=repository)
    if text.endswith(".json"):
        path = Path(text)
        if not path.is_file():
            raise ModelError("there is no such architecture file", where=text)
        return ModelName(text, "config", path=path)
    if Path(text).is_dir() and (Path(text) / CONFIG_NAME).is_file():
        return _folder(text, Path(text))
    if _is_blip(Path(text) / BLIP_CONFIG):
        return ModelName(text, "blip", path=Path(text))
    if found := checkpoints().get(text.lower()):
        return ModelName(text, "alias", arch=found.arch, checkpoint=found)
    if second := vits().get(text.lower()):
        return ModelName(text, "vit", vit=second)
    arch, slash, tag = text.partition("/")
    # A path that is not there would otherwise be reported as an unknown architecture.
    if text.startswith((".", "~", "/")) or "\\" in text or "/" in tag or not arch:
        raise ModelError(
            f"there is no such model folder (a model folder holds {CONFIG_NAME})",
            where=text,
            remedy="Name a folder that exists, or a model as ARCH/TAG.",
        )
    return ModelName(text, "arch", arch=arch, tag=tag if slash else None)


def _is_blip(path: Path) -> bool:
    """Tell whether a file is the config of a BLIP in transformers' form."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.get("model_type") == "blip"


def _folder(text: str, path: Path) -> ModelName:
    if not (path / CONFIG_NAME).is_file():
        raise ModelError(
            "the embedded model is not part of this installation",
            where=text,
            remedy="Install rsclip from its wheel, or name another model with --model.",
        )
    return ModelName(text, "folder", path=path)
