"""Whether a model was trained on pixels of the size that it is given."""

from rsclip.errors import warn
from rsclip.geo.grid import pixel_size_m
from rsclip.scene.scene import Scene

__all__ = ["warn_of_pixel_size"]


def warn_of_pixel_size(scene: Scene, gsd_range: tuple[float, float] | None) -> None:
    """Warn where the working pixels are outside the sizes that the model was trained at.

    Args:
        scene: An open scene.
        gsd_range: Smallest and largest size in metres, or None where the model does not say.
    """
    size = pixel_size_m(scene.crs, scene.working_transform, scene.working_shape)
    if gsd_range is None or size is None:
        return
    low, high = gsd_range
    finest, coarsest = min(size), max(size)
    # A hair beyond an end is rounding.
    if coarsest < low * 0.99:
        nearest = low
    elif finest > high * 1.01:
        nearest = high
    else:
        return
    warn(
        f"{scene.source}: pixels of {coarsest:.3g} m, but the model was trained on {low:g} to "
        f"{high:g} m: expect a poorer map, or work at --gsd={nearest:g}"
    )
