"""What the tokens of a layer look like: entropy, norm, maximum, channels.

For tokens X of one image (h*w patches, C channels; the CLS token is left out):

    entropy  H = -(1 / log(h w C)) sum p log p,  p = softmax over all entries of X
    norm     the Frobenius norm
    maximum  the largest entry
    profile  the mean of each channel over the patches

Source: Lan et al., ClearCLIP, ECCV 2024, section 3 (H is its equation 5).
"""

import math

import torch
from torch import Tensor

__all__ = ["channel_means", "frobenius_norm", "maximum", "normalised_entropy"]


def normalised_entropy(tokens: Tensor) -> Tensor:
    """Return H of each image, 0 (one entry has all the weight) to 1 (all entries alike).

    Args:
        tokens: float (B, N, C), N * C at least 2.

    Returns:
        float64 (B,), on the CPU where the device has no float64.
    """
    entries = _double(tokens).flatten(1)
    logs = entries.log_softmax(-1)
    # A probability that has underflowed to 0 counts as 0, as its limit does.
    sums: Tensor = torch.special.entr(logs.exp()).sum(-1)
    return sums / math.log(entries.shape[1])


def frobenius_norm(tokens: Tensor) -> Tensor:
    """Return the norm over all entries of each image: float64 (B,) for float (B, N, C)."""
    norms: Tensor = torch.linalg.vector_norm(_double(tokens).flatten(1), dim=-1)
    return norms


def maximum(tokens: Tensor) -> Tensor:
    """Return the largest entry of each image: float64 (B,) for float (B, N, C)."""
    return _double(tokens).flatten(1).amax(-1)


def channel_means(tokens: Tensor) -> Tensor:
    """Return the mean of each channel over the tokens: float64 (B, C) for float (B, N, C)."""
    return _double(tokens).mean(1)


def _double(tokens: Tensor) -> Tensor:
    return (tokens.cpu() if tokens.device.type == "mps" else tokens).double()
