"""How much memory a run takes, and how a limit is kept."""

from rsclip.config import SegmentConfig
from rsclip.errors import OptionError
from rsclip.labelling.guidance import Guidance
from rsclip.labelling.windows import Grid
from rsclip.methods import get_method
from rsclip.methods.batch_size import TOKEN_COPIES, automatic_batch
from rsclip.model import ModelOutline
from rsclip.run.memory_limit import parse_size, room_for_block
from rsclip.scene.scene import GDAL_CACHE_MB

__all__ = ["batch_within", "estimate_memory_mb"]

# Interpreter, torch, open_clip, GDAL and geopandas once they have worked, as measured with nano.
_BASE_MB = 570
_FLOAT_BYTES = 4
_WEIGHT_COPIES = 2  # while loading: the file's tensors and the model's
_ENGINE_COPIES = 2  # ONNX Runtime's own weights, beside the file's content they are read from
_IMAGE_COPIES = 5  # three batches wait in queues, one is cut, one is normalised
_OPEN_COPIES = 4  # similarities held at once: open rows, finished rows, two waiting
# What is made from the finished mask, over what the windows took: as measured with nano.
_POLYGONS_MB = 60
_PREVIEW_MB = 40
_PROBABILITIES_MB = 30
_FILES_OPEN = 2  # of a scene: one to cut windows from, one for what its labels are drawn with
_LARGE_STRIP = 2**26
_SPARE = 1.05  # allocators keep some of what is given back


def estimate_memory_mb(
    grid: Grid,
    model: ModelOutline,
    queries: int,
    config: SegmentConfig,
    batch_size: int | None = None,
    *,
    held_bytes: int = 0,
) -> int:
    """Estimate the peak memory of a run on the CPU in MB: it grows with the scene's width only.

    Polygons of tens of thousands of corners take more than is in it: the largest is held whole.

    Args:
        grid: The scene's windows.
        model: For its number of weights and its width.
        queries: Number of class words, times the methods.
        config: Method, refinement, outputs.
        batch_size: Windows per forward pass. Default: the configuration's, or as a run would
            choose it.
        held_bytes: Of the scene's file, in memory while it is open: `Scene.held_bytes`.
    """
    tokens, rows = _tokens(grid, model), grid.window_cells[0]
    batch = batch_size or config.batch_size or _own_batch(grid, model, config)
    parts = [
        (_WEIGHT_COPIES + _ENGINE_COPIES * (config.engine != "torch")) * model.parameters,
        _OPEN_COPIES * queries * rows * grid.cells[1],
        batch * _IMAGE_COPIES * 3 * grid.window[0] * grid.window[1],
        batch * TOKEN_COPIES * tokens * model.width,
        batch * get_method(config.method).pair_matrices * tokens**2,
    ]
    guidance = Guidance.of(config, room_for_block(config.max_memory))
    if guidance:
        parts.append(guidance.block_floats(grid.shape[1], queries))
        held_rows = guidance.held_rows(grid.shape[1], queries, grid.patch)
        parts.append(_OPEN_COPIES * queries * held_rows * grid.cells[1])
    fixed = _BASE_MB + GDAL_CACHE_MB
    fixed += _POLYGONS_MB * (config.vector_format != "none")
    fixed += _PREVIEW_MB * config.preview
    fixed += _PROBABILITIES_MB * config.probabilities
    held = sum(parts) * _FLOAT_BYTES + _FILES_OPEN * held_bytes
    return round(_SPARE * (fixed + held / 2**20))


def batch_within(
    limit: str,
    grid: Grid,
    model: ModelOutline,
    queries: int,
    config: SegmentConfig,
    *,
    held_bytes: int = 0,
) -> int:
    """Return the largest batch, up to the one wanted, whose estimate keeps a limit.

    Blocks of refinement become smaller too (`room_for_block`); all else is worked on in
    blocks of fixed size.

    Args:
        limit: As `parse_size` reads it.
        grid: Windows of the widest scene.
        model: The model's outline.
        queries: Number of class words, times the methods.
        config: Method, refinement, outputs, and the batch wanted.
        held_bytes: The most that a scene's file takes while it is open.

    Raises:
        OptionError: The limit is no size, or too small for one window at a time.
    """
    allowed = parse_size(limit) / 2**20
    batch = config.batch_size or _own_batch(grid, model, config)

    def needed(size: int) -> int:
        return estimate_memory_mb(grid, model, queries, config, size, held_bytes=held_bytes)

    while batch > 1 and needed(batch) > allowed:
        batch -= 1
    if needed(batch) > allowed:
        strips = held_bytes > _LARGE_STRIP
        raise OptionError(
            f"about {needed(batch)} MB are needed even with one window at a time"
            + (", since a scene's file is cut into huge strips" if strips else ""),
            where=f"--max-memory={limit}",
            remedy="Write it anew in tiles: "
            "`gdal_translate -co TILED=YES -co COMPRESS=DEFLATE SCENE NEW`."
            if strips
            else "Allow more, or take a smaller model, a smaller --window or fewer classes.",
        )
    return batch


def _own_batch(grid: Grid, model: ModelOutline, config: SegmentConfig) -> int:
    method = get_method(config.method)
    batch = automatic_batch(_tokens(grid, model), model.width, pair_matrices=method.pair_matrices)
    if config.engine == "torch" or not method.fixed_graph:
        return batch
    # Imported here because `rsclip info` needs none.
    import torch

    return max(batch, torch.get_num_threads())


def _tokens(grid: Grid, model: ModelOutline) -> int:
    """Return the tokens of a window, CLS included, in the model that has more of them."""
    patch = min(model.patch, model.clip_patch or model.patch)
    return 1 + (grid.window[0] // patch) * (grid.window[1] // patch)
