"""The kinds of adapters by name; each is one file."""

from rsclip.adapters.base import Adapter
from rsclip.adapters.bias import Bias
from rsclip.adapters.linear import Linear
from rsclip.adapters.prototype import Prototype

__all__ = ["KINDS"]

KINDS: dict[str, type[Adapter]] = {kind.kind: kind for kind in (Bias, Prototype, Linear)}
"""Every kind by name."""
