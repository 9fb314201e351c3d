"""What planning needs to know of a model before its weights are read."""

from dataclasses import dataclass

from rsclip.types import Shape

__all__ = ["ModelOutline"]


@dataclass(frozen=True, slots=True)
class ModelOutline:
    """As much of a model as planning needs.

    Attributes:
        patch: Side of a patch in pixels.
        window: (height, width) in pixels that the model was trained on.
        width: Channels of the image tower.
        parameters: Number of weights, roughly.
        gsd_range: Smallest and largest ground sampling distance in metres that the model was
            trained on, or None where the model does not say.
    """

    patch: int
    window: Shape
    width: int
    parameters: int
    gsd_range: tuple[float, float] | None = None
