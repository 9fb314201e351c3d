"""What rsclip would do with a scene: bands, valid pixels, stretch, windows, memory."""

from pathlib import Path
from typing import Any

from rsclip.backbone import ModelOutline, model_outline
from rsclip.config import SegmentConfig
from rsclip.pipeline import plan_grid
from rsclip.radiometry import fit
from rsclip.scene import GDAL_CACHE_MB, Scene, gdal_env
from rsclip.segmenter import automatic_batch
from rsclip.types import Shape

__all__ = ["describe_scene", "estimate_memory_mb"]

# Interpreter, torch, open_clip and GDAL, as tests/benchmarks/memory.py measures them.
_BASE_MB = 480
_FLOAT_BYTES = 4
_WEIGHT_COPIES = 2  # while loading: the file's tensors and the model's
_IMAGE_COPIES = 5  # three batches wait in queues, one is cut, one is normalised
_TOKEN_COPIES = 14  # of a block: its input, q, k, v, the feed-forward part's four, and theirs
_OPEN_COPIES = 4  # similarities held at once: open rows, finished rows, two waiting


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
    with gdal_env(), Scene.open(source, bidx=config.bidx, nodata=config.nodata,
                                gsd=config.gsd) as scene:  # fmt: skip
        model = model_outline(config.model, config.weights)
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
            "stretch": radiometry.describe(),
            "working_shape": scene.working_shape,
            "window": grid.window,
            "stride": grid.stride,
            "tiles": len(grid),
            "memory_mb": estimate_memory_mb(
                grid.window, grid.cells[1], grid.patch, model, queries, config.batch_size
            ),
        }


def estimate_memory_mb(
    window: Shape,
    columns: int,
    patch: int,
    model: ModelOutline,
    queries: int,
    batch_size: int | None = None,
) -> int:
    """Estimate the peak memory of a run on the CPU in MB: it grows with the scene's width only.

    Args:
        window: (height, width) in pixels.
        columns: Patches across the padded scene.
        patch: Side of a patch in pixels.
        model: For its number of weights and its width.
        queries: Number of class words.
        batch_size: Windows per forward pass. Default: as a run would choose it.
    """
    weights = _WEIGHT_COPIES * model.parameters * _FLOAT_BYTES
    rows = window[0] // patch
    open_rows = _OPEN_COPIES * queries * rows * columns * _FLOAT_BYTES
    tokens = 1 + rows * (window[1] // patch)
    batch = batch_size or automatic_batch(tokens, model.width, cpu=True)
    images = batch * _IMAGE_COPIES * 3 * window[0] * window[1] * _FLOAT_BYTES
    activations = batch * _TOKEN_COPIES * tokens * model.width * _FLOAT_BYTES
    return round(_BASE_MB + GDAL_CACHE_MB + (weights + open_rows + images + activations) / 2**20)
