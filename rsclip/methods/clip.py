"""CLIP: the model as it is, every patch read out like the CLS token."""

from rsclip.methods.base import Method
from rsclip.methods.lastblock import LastBlockOptions, last_block_features

__all__ = ["METHOD"]

METHOD = Method(
    name="clip",
    summary="The model unchanged: q-k attention, residual and FFN kept.",
    citation="Radford et al., Learning Transferable Visual Models From Natural Language "
    "Supervision, ICML 2021",
    options=LastBlockOptions(attention="qk", residual=True, ffn=True),
    features=last_block_features,
)
