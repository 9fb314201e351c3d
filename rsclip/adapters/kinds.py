"""The kinds of adapters by name; each is one file."""

from rsclip.adapters.base import Adapter
from rsclip.adapters.bias import Bias
from rsclip.adapters.clip_adapter import ClipAdapter
from rsclip.adapters.coop import Coop
from rsclip.adapters.labclip import Labclip
from rsclip.adapters.linear import Linear
from rsclip.adapters.prototype import Prototype

__all__ = ["KINDS", "TRIED"]

KINDS: dict[str, type[Adapter]] = {
    kind.kind: kind for kind in (Bias, Prototype, Linear, ClipAdapter, Labclip, Coop)
}
"""Every kind by name."""

TRIED = ("linear", "bias")
"""The kinds that are tried where none is asked for, fitted in seconds; the first comes first where
several are better than the model as it is."""
