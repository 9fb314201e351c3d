"""The hash by which weights are known, whatever file they came in."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["tensors_sha256"]


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 over tensors (name, type, shape, bytes), sorted by name."""
    import torch

    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        # Not every type of torch (bfloat16) is one of numpy: its bytes are.
        flat = value.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
