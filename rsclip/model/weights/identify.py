"""Which architecture a file of weights belongs to, told from the shapes of its tensors."""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rsclip.errors import ModelError
from rsclip.model.checks import check_config
from rsclip.model.open_clip_catalog import open_clip_catalog
from rsclip.model.weights.architecture import Architecture, architecture_of, refuse_open_activation
from rsclip.model.weights.names import DEFAULT, parse_name

__all__ = ["identify"]

_NEEDED = (
    "visual.conv1.weight",
    "visual.positional_embedding",
    "visual.class_embedding",
    "visual.proj",
    "token_embedding.weight",
    "positional_embedding",
    "text_projection",
)
# Dimensions of each, as every CLIP with a ViT has them.
_RANKS = dict(zip(_NEEDED, (4, 2, 1, 2, 2, 2, 2), strict=True))
_BLOCK = re.compile(r"(visual\.)?transformer\.resblocks\.(\d+)\.")
_NAME_IT = f"Name its architecture with --model, such as {DEFAULT}."


def identify(shapes: Mapping[str, tuple[int, ...]], path: Path) -> tuple[str, Architecture]:
    """Return open_clip's name and settings of the one architecture that fits.

    Args:
        shapes: Shape of every tensor of a state dict.
        path: The file, for messages.

    Raises:
        ModelError: It is no CLIP with a plain ViT, no known architecture fits, or the one that
            fits leaves open with which activation it was trained.
    """
    facts = _facts(shapes, path)
    fitting = [arch for arch in open_clip_catalog().list_models() if _config_facts(arch) == facts]
    if not fitting:
        told = ", ".join(f"{key} {value}" for key, value in facts.items())
        raise ModelError(
            f"no architecture of open_clip fits the file ({told})",
            where=path,
            remedy="Give its config file: --model=FILE.json (open_clip's form).",
        )
    # The shortest name is the plain one; "-quickgelu" twins have the same shapes.
    arch = min(fitting, key=len)
    refuse_open_activation(arch, path)
    return arch, architecture_of(parse_name(arch))


def _facts(shapes: Mapping[str, tuple[int, ...]], path: Path) -> dict[str, int]:
    missing = [key for key in _NEEDED if key not in shapes]
    if "patch_embed.proj.weight" in shapes and "visual.conv1.weight" not in shapes:
        raise ModelError(
            "weights of a ViT in timm's form, which reads no words",
            where=path,
            remedy="A self-supervised one goes beside a CLIP: --method=proxyclip --affinity=FILE.",
        )
    if missing:
        form = "Hugging Face transformers" if any("vision_model." in key for key in shapes) else ""
        what = f"weights in the form of {form}" if form else "not the weights of a CLIP with a ViT"
        remedy = "Use the open_clip form of the same model." if form else _NAME_IT
        raise ModelError(f"{what} (without {', '.join(missing[:3])})", where=path, remedy=remedy)
    odd = [key for key, rank in _RANKS.items() if len(shapes[key]) != rank or 0 in shapes[key]]
    if odd:
        told = "; ".join(f"{key} is {shapes[key]}" for key in odd[:3])
        raise ModelError(
            f"not the weights of a CLIP with a ViT: {told}",
            where=path,
            remedy=_NAME_IT,
        )
    layers = {True: 0, False: 0}
    for key in shapes:
        if found := _BLOCK.match(key):
            visual = bool(found[1])
            layers[visual] = max(layers[visual], int(found[2]) + 1)
    width, _, patch, _ = shapes["visual.conv1.weight"]
    grid = math.isqrt(shapes["visual.positional_embedding"][0] - 1)
    return {
        "patch": patch,
        "image": grid * patch,
        "width": width,
        "layers": layers[True],
        "dimensions": shapes["visual.proj"][1],
        "text width": shapes["token_embedding.weight"][1],
        "text layers": layers[False],
        "context": shapes["positional_embedding"][0],
        "vocabulary": shapes["token_embedding.weight"][0],
    }


def _config_facts(arch: str) -> dict[str, Any] | None:
    config: dict[str, Any] = open_clip_catalog().get_model_config(arch)
    try:
        check_config(config, arch)
    except ModelError:
        return None
    vision, text = config["vision_cfg"], config["text_cfg"]
    size, patch = vision.get("image_size", 224), vision["patch_size"]
    return {
        "patch": patch,
        "image": size // patch * patch if isinstance(size, int) else size,
        "width": vision["width"],
        "layers": vision["layers"],
        "dimensions": config["embed_dim"],
        "text width": text["width"],
        "text layers": text["layers"],
        "context": text.get("context_length", 77),
        "vocabulary": text.get("vocab_size", 49408),
    }
