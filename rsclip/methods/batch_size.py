"""How many windows go through a model at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

__all__ = ["TOKEN_COPIES", "automatic_batch", "free_memory"]

# Tokens x channels of 4 windows of ViT-B/16 at 224 pixels: larger batches gain nothing on a CPU.
_CPU_LOAD = 4 * 197 * 768
# Of 64 of them: a GPU wants many, and these fit 4 GB with the model. With 8 and 16 GB two and four
# times as many go together, with less by halves: in steps, so that what other programs take does
# not easily change the batch, which a resumed run must have again.
_GPU_LOAD, _GPU_BYTES, _MOST_STEPS = 64 * 197 * 768, 4 * 2**30, 2
_MAX_BATCH = 256
TOKEN_COPIES = 14
"""Of a block: its input, q, k, v, the feed-forward part's four, and theirs."""


def automatic_batch(
    tokens: int, width: int, *, free: int | None = None, pair_matrices: int = 0
) -> int:
    """Return the windows per forward pass that suit a model.

    Args:
        tokens: Of one window, CLS included.
        width: Channels of the image tower.
        free: What `free_memory` says of the device, in bytes.
        pair_matrices: The method's.
    """
    load: float = _CPU_LOAD
    if free is not None:
        load = _GPU_LOAD * 2 ** min(math.floor(math.log2(max(free, 1) / _GPU_BYTES)), _MOST_STEPS)
    own = tokens * (width + pair_matrices * tokens / TOKEN_COPIES)
    return min(max(round(load / own), 1), _MAX_BATCH)


def free_memory(device: torch.device) -> int | None:
    """Return a GPU's free bytes, as far as it tells; None for a CPU, whose batches are small."""
    import torch

    if device.type == "cpu":
        return None
    if device.type != "cuda":
        return _GPU_BYTES
    # What torch keeps for itself from earlier work is free too.
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + kept
