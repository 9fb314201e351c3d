"""What rsclip would do with a scene: bands, valid pixels, stretch, windows, memory."""

from pathlib import Path
from typing import Any

from rsclip.config import SegmentConfig
from rsclip.labelling.windows import plan_grid
from rsclip.methods import parse_options
from rsclip.methods.device import check_device
from rsclip.model import model_outline
from rsclip.run.memory import estimate_memory_mb
from rsclip.run.scenes_and_classes import open_scene
from rsclip.run.working_pixel_size import apply_defaults, warn_of_pixel_size
from rsclip.scene.scene import gdal_env
from rsclip.scene.stretch import fit

__all__ = ["describe_scene"]


def describe_scene(
    source: str | Path, config: SegmentConfig, *, queries: int = 20
) -> dict[str, Any]:
    """Describe a scene as `rsclip segment` would read it.

    Args:
        source: A file, URL or GDAL virtual path.
        config: Settings: model, bands, stretch, nodata, gsd, window and stride are used.
        queries: Class words that the memory estimate assumes.

    Returns:
        Plain values, ready for JSON. The valid share is that of the decimated sample that the
        stretch is taken from.

    Raises:
        InputError: The model is unknown, or the scene cannot be opened or used.
        ReadError: The sample cannot be read.
    """
    parse_options(config.method, config.method_option)
    check_device(config.device)
    with gdal_env(), open_scene(source, config) as scene:
        model = model_outline(config.model, config.weights)
        settings = apply_defaults(scene, config, model.defaults)
        warn_of_pixel_size(scene, config, model.defaults.gsd_range)
        grid = plan_grid(scene.working_shape, model, config)
        radiometry = fit(scene, config.stretch)
        return {
            "scene": scene.source,
            "shape": scene.shape,
            "bands": scene.band_count,
            "dtype": scene.dtype,
            "crs": scene.crs.to_string() if scene.crs else None,
            "transform": tuple(scene.transform)[:6],
            "pixel_size_m": scene.pixel_size_m,
            "valid_share": radiometry.valid_share,
            "valid_source": scene.valid_source,
            "chosen_bands": scene.bands,
            "palette": scene.has_palette,
            "stretch": radiometry.describe(),
            "gsd": settings.gsd,
            "working_shape": scene.working_shape,
            "window": grid.window,
            "stride": grid.stride,
            "tiles": len(grid),
            "memory_mb": estimate_memory_mb(
                grid, model, queries, config, held_bytes=scene.held_bytes
            ),
        }
