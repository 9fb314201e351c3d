"""How many windows go through a model at once."""

__all__ = ["TOKEN_COPIES", "automatic_batch"]

# Tokens x channels of 4 and 64 windows of ViT-B/16 at 224 pixels: on a CPU larger batches gain
# nothing; a GPU wants many, and still holds them in 4 GB.
_CPU_LOAD = 4 * 197 * 768
_GPU_LOAD = 64 * 197 * 768
_MAX_BATCH = 256
TOKEN_COPIES = 14
"""Of a block: its input, q, k, v, the feed-forward part's four, and theirs."""


def automatic_batch(tokens: int, width: int, *, cpu: bool, pair_matrices: int = 0) -> int:
    """Return the windows per forward pass that suit a model.

    Args:
        tokens: Of one window, CLS included.
        width: Channels of the image tower.
        cpu: The work is on a CPU.
        pair_matrices: The method's.
    """
    load = _CPU_LOAD if cpu else _GPU_LOAD
    own = tokens * (width + pair_matrices * tokens / TOKEN_COPIES)
    return min(max(round(load / own), 1), _MAX_BATCH)
