"""Options that change labels: every promise is kept with each of them."""

import pytest

_KINDS = {
    "defaults": {},
    "gsd": {"gsd": 0.9},
    "refined": {"refine": "pamr:2"},
    "upsampled": {"upsample": "jbu:2"},
    "both": {"upsample": "jbu:1", "refine": "pamr:1", "gsd": 0.8},
    "proxyclip": {"method": "proxyclip"},
    "words": {"decorrelate": 0.5, "synonyms": "mean"},
}

KINDS = [pytest.param(options, id=name) for name, options in _KINDS.items()]

CLASSES = "building|house|!shadow, road|street, water|river|!dark roof"
"""With synonyms and negative words."""
