"""What a run needs to know of a model before its weights are read."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rsclip.errors import ModelError
from rsclip.types import ModelDefaults, Shape

__all__ = ["ModelOutline", "read_defaults"]


@dataclass(frozen=True, slots=True)
class ModelOutline:
    """As much of a model as planning needs.

    Attributes:
        patch: Side of a patch in pixels; of the second ViT's, if there is one.
        window: (height, width) in pixels that the model was trained on.
        width: Channels of the image tower; of the second ViT's, if they are more.
        parameters: Number of weights, roughly, of both models.
        defaults: How the model is used where the user does not say otherwise.
        clip_patch: Side of the CLIP's own patch beside that of a second ViT, or None.
    """

    patch: int
    window: Shape
    width: int
    parameters: int
    defaults: ModelDefaults = ModelDefaults()
    clip_patch: int | None = None

    @property
    def window_unit(self) -> int:
        """Pixels that windows are multiples of."""
        return math.lcm(self.clip_patch or self.patch, self.patch)


def read_defaults(content: Mapping[str, Any], where: object) -> ModelDefaults:
    """Read how a model is used from what a config, a bundle or the registry says of it.

    Args:
        content: It may hold `gsd_range`, `logit_scale` and `version`; other keys are left alone.
        where: The file.

    Raises:
        ModelError: A value is nonsense.
    """
    sizes, scale = content.get("gsd_range"), content.get("logit_scale")
    if sizes is not None:
        pair = isinstance(sizes, list | tuple) and len(sizes) == 2
        if not pair or not all(map(_is_positive, sizes)) or sizes[0] > sizes[1]:
            raise ModelError(
                f"`gsd_range` is {sizes!r}",
                where=where,
                remedy="It is the smallest and the largest pixel size in metres, such as "
                "[0.3, 1.0].",
            )
        sizes = (float(sizes[0]), float(sizes[1]))
    if scale is not None and not _is_positive(scale):
        raise ModelError(
            f"`logit_scale` is {scale!r}",
            where=where,
            remedy="It is the factor from cosine similarity to logits, such as 50.",
        )
    version = content.get("version")
    if version is not None and not (isinstance(version, str) and version.isprintable()):
        raise ModelError(
            f"`version` is {version!r}",
            where=where,
            remedy='It is a line of text, such as "2" (quoted in YAML).',
        )
    return ModelDefaults(sizes, None if scale is None else float(scale), version)


def _is_positive(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value < math.inf
