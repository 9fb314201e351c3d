"""How a model is used on a scene where the user does not say: at which pixel and logit scale."""

from rsclip.adapters.fitted_for import Header, read_header
from rsclip.config import DEFAULT_LOGIT_SCALE, SegmentConfig
from rsclip.errors import warn
from rsclip.geo.grid import pixel_size_m
from rsclip.scene.scene import Scene
from rsclip.scene.stretch import stretch_for
from rsclip.scene.working_grid import is_within_reach
from rsclip.types import ModelDefaults

__all__ = ["TOLERANCE", "apply_defaults", "automatic_gsd", "warn_of_pixel_size"]

TOLERANCE = 1.25
"""How many times pixels may be smaller than a model's smallest, or larger than its largest."""
FARTHEST = 6.0
"""How many times pixels are made smaller unasked: what they do not show cannot be won back."""

Range = tuple[float, float] | None
"""Smallest and largest pixel size that a model was trained at; None where it does not say."""


def automatic_gsd(scene: Scene, gsd_range: Range) -> float | None:
    """Return the pixel size in metres to work at, or None for the scene's own pixels."""
    size = scene.pixel_size_m
    nearest = _nearest(size, gsd_range)
    if size is None or nearest is None or not is_within_reach(size, nearest):
        return None
    return None if max(size) > nearest * FARTHEST else nearest


def apply_defaults(scene: Scene, config: SegmentConfig, defaults: ModelDefaults) -> SegmentConfig:
    """Lay the scene's working grid as the model wants it, and return the settings that hold.

    Args:
        scene: An open scene, nothing of it read yet.
        config: What the user asked for: it wins.
        defaults: What the model says of itself.
    """
    scale = config.logit_scale or defaults.logit_scale or DEFAULT_LOGIT_SCALE
    gsd = config.gsd or automatic_gsd(scene, defaults.gsd_range)
    if gsd != config.gsd:
        scene.work_at(gsd)
    return config.replace(gsd=gsd, logit_scale=scale)


def warn_of_pixel_size(scene: Scene, asked: SegmentConfig, gsd_range: Range) -> None:
    """Say that a run works at another pixel size, or at one that was not learned.

    Neither by the model nor by the adapter.

    Args:
        scene: An open scene, its working grid laid.
        asked: What the user asked for.
        gsd_range: Of the model.
    """
    if asked.adapter is not None:
        _warn_of_another_use(scene, asked, read_header(asked.adapter))
    if gsd_range is None:
        return
    trained = f"the model was trained on {gsd_range[0]:g} to {gsd_range[1]:g} m"
    if scene.pixel_size_m is None:
        warn(
            f"{scene.source}: the pixel size in metres is unknown, and {trained}: pixels of "
            "another size give a poorer map"
        )
        return
    own = _metres(max(scene.pixel_size_m))
    chosen = None if asked.gsd else automatic_gsd(scene, gsd_range)
    if chosen is not None:
        warn(
            f"{scene.source}: pixels of {own} m, but {trained}: the run works at {chosen:g} m "
            f"(--gsd={own} keeps the scene's pixels)"
        )
        return
    size = pixel_size_m(scene.crs, scene.working_transform, scene.working_shape)
    nearest = _nearest(size, gsd_range)
    if size is not None and nearest is not None:
        reachable = is_within_reach(scene.pixel_size_m, nearest)
        warn(
            f"{scene.source}: pixels of {_metres(max(size))} m, but {trained}: expect a poorer map"
            + (f", or work at --gsd={nearest:g}" if reachable else "")
        )


def _warn_of_another_use(scene: Scene, asked: SegmentConfig, fitted: Header) -> None:
    """Say that a run's adapter was fitted with another stretch, or at another pixel size."""
    given, learned = (
        stretch_for(text, scene.dtype) for text in (asked.stretch, fitted.settings.get("stretch"))
    )
    if given != learned:
        warn(
            f"{scene.source}: --stretch={given}, but the adapter was fitted with "
            f"--stretch={learned}: what it learned may not hold"
        )
    size = pixel_size_m(scene.crs, scene.working_transform, scene.working_shape)
    nearest = _nearest(size, fitted.pixel_size)
    if size is None or nearest is None:
        return
    own = scene.pixel_size_m
    reachable = own is not None and is_within_reach(own, nearest)
    warn(
        f"{scene.source}: pixels of {_metres(max(size))} m, but the adapter was fitted at "
        f"{_metres(nearest)} m: what it learned may not hold"
        + (f"; work at --gsd={_metres(nearest)}, or fit it again" if reachable else "")
    )


def _nearest(size: tuple[float, float] | None, gsd_range: Range) -> float | None:
    """Return the end of the range that pixels are beyond; None where they are of a fitting size."""
    if size is None or gsd_range is None:
        return None
    low, high = gsd_range
    if max(size) * TOLERANCE < low:
        return low
    return high if min(size) > high * TOLERANCE else None


def _metres(size: float) -> str:
    """Return a size to three digits, "1000" and not "1e+03"."""
    return f"{float(f'{size:.3g}'):g}"
