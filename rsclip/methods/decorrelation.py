"""Class words pulled apart: text features that lean less on what all classes share."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own name)

__all__ = ["decorrelated"]


def decorrelated(text: Tensor, owners: Sequence[int | None], strength: float) -> Tensor:
    """Return text features whose classes are less alike.

    The mean feature of each class's words is a row of T (C x D), of unit length. It becomes the row
    of (T T' + s I)^(-1/2) T, of unit length, with s = (1 - strength) / strength: at 1 the classes
    are orthogonal, the nearest to T that are (Loewdin 1950). Words move with their class.

    Args:
        text: float32 (Q, D), L2-normalised.
        owners: Class of each query; None for one that stays as it is.
        strength: 0 (nothing changes) to 1.

    Returns:
        float32 (Q, D), L2-normalised.
    """
    known = sorted({owner for owner in owners if owner is not None})
    if not strength or len(known) < 2:
        return text
    members = [[at for at, owner in enumerate(owners) if owner == each] for each in known]
    exact = text.double()
    classes = F.normalize(torch.stack([exact[each].mean(dim=0) for each in members]), dim=1)
    values, vectors = torch.linalg.eigh(classes @ classes.T)
    # Equal words have no direction between them to be pulled along.
    roots = (values.clamp(min=1e-6) + (1 - strength) / strength).rsqrt()
    apart = F.normalize(vectors @ (roots[:, None] * (vectors.T @ classes)), dim=1)
    moved = exact.clone()
    for each, before, after in zip(members, classes, apart, strict=True):
        moved[each] += after - before
    return F.normalize(moved, dim=1).to(text.dtype)
