"""Local outlier factor of the patches of each image: pure torch, no loop over images.

With D the squared Euclidean distances, N_k(p) the k nearest other patches of p and d_k(p) the
distance to the last of them:

    reach(p, o) = max(D(p, o), d_k(p))
    density(p)  = 1 / mean of reach(p, o) over N_k(p)
    factor(p)   = mean of density over N_k(p) / density(p)

The maximum takes the point's own d_k, as SC-CLIP's published computation does (Breunig et al., LOF,
SIGMOD 2000, take the neighbour's).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rsclip.methods.torch_on_use import F, torch
from rsclip.types import Shape

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["mend", "outlier_factor", "outliers"]

_TINY = 1e-10


def outliers(patches: Tensor, neighbours: int, share: float) -> Tensor:
    """Return which patches of each image are anomalous: bool (B, N).

    Args:
        patches: float32 (B, N, C).
        neighbours: How many nearest patches count; all others where there are fewer.
        share: 0..1: patches above the (1 - share) quantile of their image are anomalous.
    """
    factor = outlier_factor(patches, neighbours)
    return factor > factor.quantile(1 - share, dim=-1, keepdim=True)


def outlier_factor(patches: Tensor, neighbours: int) -> Tensor:
    """Return the local outlier factor of each patch within its image: float32 (B, N)."""
    count = patches.shape[1]
    neighbours = min(neighbours, count - 1)
    if neighbours < 1:
        return torch.ones(patches.shape[:2], device=patches.device)
    # Differences of large squares lose digits: the closer to the origin, the fewer.
    centred = patches - patches.mean(dim=1, keepdim=True)
    square = centred.square().sum(dim=-1)
    distance = square[:, :, None] + square[:, None] - 2 * centred @ centred.mT
    distance = distance.clamp(min=0)
    distance.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    near = distance.topk(neighbours, dim=-1, largest=False)
    reach = near.values.maximum(near.values[..., -1:])
    density = 1 / (reach.mean(dim=-1) + _TINY)
    of_near = density[:, None].expand(-1, count, -1).gather(-1, near.indices)
    return of_near.mean(dim=-1) / density


def mend(patches: Tensor, anomalous: Tensor, grid: Shape) -> Tensor:
    """Replace anomalous patches by the mean of their sound neighbours on the grid.

    Args:
        patches: (B, h*w, C), row-major.
        anomalous: bool (B, h*w).
        grid: (h, w).

    Returns:
        (B, h*w, C); a patch whose eight neighbours are all anomalous stays as it is.
    """
    sound = (~anomalous).to(patches.dtype)[..., None]
    channels = torch.cat([patches * sound, sound], dim=-1).mT
    channels = channels.reshape(*channels.shape[:2], *grid)
    # The patch itself adds nothing to its own sum where it is anomalous, and only there it is used.
    sums = F.avg_pool2d(channels, 3, stride=1, padding=1, divisor_override=1).flatten(2).mT
    total, number = sums[..., :-1], sums[..., -1:]
    use = anomalous[..., None] & (number > 0)
    return torch.where(use, total / number.clamp(min=1), patches)
