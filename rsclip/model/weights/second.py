"""Second ViTs by name or file, in timm's form. Nothing here reaches for the network."""

import contextlib
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsclip.errors import ModelError, is_memory_error, out_of_memory
from rsclip.fields import nearest
from rsclip.model.open_clip_import import import_open_clip
from rsclip.model.weights.bundle import read_bundle, read_vit_bundle, verify_tensors
from rsclip.model.weights.files import as_float, file_sha256, load_weights, read_weights
from rsclip.model.weights.names import AUTO, ModelName, parse_name
from rsclip.model.weights.origin import cached_weights, verified_sha256
from rsclip.model.weights.registry import Vit, vits

if TYPE_CHECKING:
    from torch import Tensor

    from rsclip.model.second_vit import SecondVit

__all__ = [
    "find_second_vit",
    "load_second_vit",
    "read_second_vit",
    "second_vit_of",
    "vit_weights",
]

_WHERE = "--affinity"
_STEM = "patch_embed.proj.weight"
_SUFFIXES = (".safetensors", ".pt", ".pth", ".bin", ".ckpt")


def find_second_vit(name: str) -> tuple[Vit, Path]:
    """Return what a name or a file stands for, and the file of its weights.

    Args:
        name: A name of the model registry, such as dinov2-vits14, or a file in timm's form: a
            bundle, safetensors or a state dict.

    Raises:
        ModelError: There is none of that name, it is a CLIP, its weights are not here, or the file
            is no such model.
    """
    known = vits()
    if name.lower() in known:
        row = known[name.lower()]
        path = vit_weights(row)
        if path is None:
            fetch = f"`rsclip models fetch {shlex.quote(row.name)}`"
            raise ModelError(
                f"the weights of {row.name} are not on this machine, and nothing is downloaded",
                where=_WHERE,
                remedy=f"Either (1) fetch them here ({fetch}); or (2) give a file in timm's form "
                f"({_WHERE}=FILE.safetensors); or (3) use {_WHERE}=self.",
            )
        return row, path
    path = Path(name).expanduser()
    if path.is_file():
        return _of_file(path), path
    if path.suffix.lower() in _SUFFIXES or ("/" in name and path.parent.is_dir()):
        raise ModelError(f"there is no such file of weights: {name}", where=_WHERE, remedy=_names())
    try:
        parse_name(name)
    except ModelError:
        pass
    else:
        hint = nearest(name, known) or _names()
        raise ModelError(
            f"{name!r} is no self-supervised ViT (a CLIP is given by --model)",
            where=_WHERE,
            remedy=hint,
        )
    raise ModelError(f"there is no model {name!r}", where=_WHERE, remedy=_names())


def vit_weights(row: Vit) -> Path | None:
    """Return the weights of a second ViT that were fetched to this machine, or None."""
    return cached_weights(ModelName(row.name, "vit", vit=row))


def second_vit_of(name: str, weights: str | Path | None) -> Vit | None:
    """Return the second ViT that a name or a file of weights stands for; None for a CLIP.

    Raises:
        ModelError: The file is damaged, or of a ViT that rsclip does not know.
    """
    named = vits().get(name.lower())
    if weights is None:
        return named
    path = Path(weights)
    if (named is None and name != AUTO) or not path.is_file():
        return None
    if read_vit_bundle(path) is None:
        with contextlib.suppress(ModelError):
            if read_bundle(path) is not None:
                return None
        if _STEM not in read_weights(path):
            return None
    return _of_file(path)


def load_second_vit(name: str) -> "SecondVit":
    """Load a second ViT onto the CPU; arguments and errors as `find_second_vit`.

    Raises:
        ModelError: The weights are damaged or do not fit, besides.
        RunError: The memory does not suffice.
    """
    from rsclip.model.second_vit import SecondVit

    row, path = find_second_vit(name)
    digest = verified_sha256(path, row.name, row.sha256)
    try:
        tensors = read_second_vit(path)
        model = _build(row)
        load_weights(model, as_float(tensors), path, row.timm)
    except (MemoryError, RuntimeError) as error:
        if not is_memory_error(error):
            raise
        raise out_of_memory(row.name, "to load the model", "Choose a smaller one.") from error
    model = model.float().eval().requires_grad_(False)
    digest = digest or file_sha256(path.resolve())
    return SecondVit(row.name, model, row.patch, row.width, str(path), digest)


def read_second_vit(path: Path) -> "dict[str, Tensor]":
    """Read the weights, in the types of the file; a bundle's are checked against their hash.

    Raises:
        ModelError: The file is damaged.
    """
    tensors = read_weights(path)
    if (facts := read_vit_bundle(path)) is not None:
        verify_tensors(facts["weights_sha256"], tensors, path)
    # Checkpoints of DINO's authors carry it; it was for training only.
    tensors.pop("mask_token", None)
    return tensors


def _build(row: Vit) -> Any:
    # timm imports torchvision, which needs the same care as in open_clip.
    import_open_clip()
    import timm

    return timm.create_model(row.timm, pretrained=False, num_classes=0, dynamic_img_size=True)


def _of_file(path: Path) -> Vit:
    """Tell which of the known ViTs a file holds.

    Raises:
        ModelError: It holds none of them.
    """
    facts = read_vit_bundle(path)
    if facts is not None:
        return _known(lambda row: row.timm == facts["timm"], path, f"a bundle of {facts['timm']}")
    tensors = read_weights(path)
    shapes = {key: tuple(value.shape) for key, value in tensors.items()}
    if "visual.conv1.weight" in shapes or "token_embedding.weight" in shapes:
        raise ModelError(
            "these are the weights of a CLIP, and an affinity is a self-supervised ViT",
            where=path,
            remedy=f"Give the CLIP to --model and --weights. {_names()}",
        )
    stem = shapes.get(_STEM, ())
    return _known(lambda row: stem == row.stem and _signs(shapes) == row.signs, path, _told(shapes))


def _known(fits: Any, path: Path, what: str) -> Vit:
    found = next((row for row in vits().values() if fits(row)), None)
    if found is None:
        raise ModelError(
            f"no second ViT that rsclip knows fits the file ({what})", where=path, remedy=_names()
        )
    return found


def _signs(shapes: Mapping[str, Any]) -> tuple[bool, bool]:
    """Tell by which a family is known: register tokens, and learned positions."""
    return "reg_token" in shapes, "pos_embed" in shapes


def _told(shapes: Mapping[str, Any]) -> str:
    return f"{_STEM} {shapes[_STEM]}" if _STEM in shapes else f"without {_STEM}"


def _names() -> str:
    return f"Give {', '.join(vits())}, a file of one of them in timm's form, or self."
