"""How much memory a run takes, and how a limit is kept."""

import re

from rsclip.backbone import ModelOutline
from rsclip.errors import OptionError
from rsclip.labelling import block_of
from rsclip.refinement import parse_dilations
from rsclip.scene import GDAL_CACHE_MB
from rsclip.segmenter import TOKEN_COPIES, automatic_batch
from rsclip.tiling import Grid

__all__ = ["batch_within", "estimate_memory_mb", "parse_size"]

# Interpreter, torch, open_clip, GDAL and geopandas once they have worked, as measured with nano.
_BASE_MB = 570
_FLOAT_BYTES = 4
_WEIGHT_COPIES = 2  # while loading: the file's tensors and the model's
_IMAGE_COPIES = 5  # three batches wait in queues, one is cut, one is normalised
_OPEN_COPIES = 4  # similarities held at once: open rows, finished rows, two waiting
_REFINED_COPIES = 2  # of every pixel's affinities to its neighbours: as they are, and normalised
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def estimate_memory_mb(
    grid: Grid,
    model: ModelOutline,
    queries: int,
    batch_size: int | None = None,
    refine: str | None = None,
    pair_matrices: int = 0,
) -> int:
    """Estimate the peak memory of a run on the CPU in MB: it grows with the scene's width only.

    Polygons are not in it: they take as much as the largest of them.

    Args:
        grid: The scene's windows.
        model: For its number of weights and its width.
        queries: Number of class words.
        batch_size: Windows per forward pass. Default: as a run would choose it.
        refine: As in `SegmentConfig`.
        pair_matrices: The method's.
    """
    weights = _WEIGHT_COPIES * model.parameters * _FLOAT_BYTES
    rows, cols = grid.window_cells
    open_rows = _OPEN_COPIES * queries * rows * grid.cells[1] * _FLOAT_BYTES
    tokens = 1 + rows * cols
    batch = batch_size or automatic_batch(
        tokens, model.width, cpu=True, pair_matrices=pair_matrices
    )
    images = batch * _IMAGE_COPIES * 3 * grid.window[0] * grid.window[1] * _FLOAT_BYTES
    activations = batch * TOKEN_COPIES * tokens * model.width * _FLOAT_BYTES
    activations += batch * pair_matrices * tokens**2 * _FLOAT_BYTES
    refined = 0
    if refine is not None:
        height, width, depth = block_of(grid.shape[1], parse_dilations(refine))
        held_rows = -(-height // grid.patch)
        refined = _REFINED_COPIES * height * width * depth * _FLOAT_BYTES
        refined += _OPEN_COPIES * queries * held_rows * grid.cells[1] * _FLOAT_BYTES
    parts = weights + open_rows + images + activations + refined
    return round(_BASE_MB + GDAL_CACHE_MB + parts / 2**20)


def batch_within(
    limit: str,
    grid: Grid,
    model: ModelOutline,
    queries: int,
    batch_size: int | None,
    refine: str | None = None,
    pair_matrices: int = 0,
) -> int:
    """Return the largest batch, up to the one wanted, whose estimate keeps a limit.

    Args:
        limit: As `parse_size` reads it.
        grid: Windows of the widest scene.
        model: The model's outline.
        queries: Number of class words.
        batch_size: The batch wanted. Default: as a run would choose it.
        refine: As in `SegmentConfig`.
        pair_matrices: The method's.

    Raises:
        OptionError: The limit is no size, or too small for one window at a time.
    """
    allowed = parse_size(limit) / 2**20
    rows, cols = grid.window_cells
    batch = batch_size or automatic_batch(
        1 + rows * cols, model.width, cpu=True, pair_matrices=pair_matrices
    )

    def needs(batch: int) -> int:
        return estimate_memory_mb(grid, model, queries, batch, refine, pair_matrices)

    while batch > 1 and needs(batch) > allowed:
        batch -= 1
    needed = needs(batch)
    if needed > allowed:
        raise OptionError(
            f"about {needed} MB are needed even with one window at a time",
            where=f"--max-memory {limit}",
            remedy="Allow more, or take a smaller model, a smaller --window or fewer classes.",
        )
    return batch


def parse_size(text: str) -> int:
    """Return the bytes that "2G", "1500M" or "2.5GB" stands for.

    Raises:
        OptionError: It is no size.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:I?B)?\s*", text.upper())
    if match is None or not float(match[1]):
        raise OptionError(
            f"{text!r} is no size", where="--max-memory", remedy="Examples: 2G, 1500M."
        )
    return int(float(match[1]) * _UNITS[match[2]])
