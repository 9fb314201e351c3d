"""torch, imported once the first tensor is worked on: to list the methods needs none."""

import importlib
from typing import TYPE_CHECKING, Any

__all__ = ["F", "torch"]

if TYPE_CHECKING:
    import torch
    from torch.nn import functional as F  # noqa: N812 (torch's own name)
else:

    class _OnUse:
        """A module that is imported when something of it is asked for."""

        def __init__(self, name: str) -> None:
            self._name = name

        def __getattr__(self, name: str) -> Any:
            return getattr(importlib.import_module(self._name), name)

    torch = _OnUse("torch")
    F = _OnUse("torch.nn.functional")
