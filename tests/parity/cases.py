"""The parity cases: numbers of the papers' own implementations on seeded weights."""

import functools
import json
from pathlib import Path

import numpy as np

from rsclip.model import wrap
from tests.model.models import open_clip, seeded

FOLDER = Path(__file__).parent.parent / "data" / "parity"

# How the cases call an attention, and how we do.
ATTENTION = {
    "vanilla": "qk",
    "MaskCLIP": "identity",
    "SCLIP": "qq+kk",
    "ClearCLIP": "qq",
    "SegEarth": "qq+kk+vv",
    "NACLIP": "kk+gaussian",
}


@functools.cache
def load_case(name):
    """Return (settings, arrays, backbone) of a case."""
    case = json.loads((FOLDER / f"{name}.json").read_text())
    with np.load(FOLDER / f"{name}.npz") as file:
        arrays = dict(file)
    model = open_clip.model.CLIP(quick_gelu=case["quick_gelu"], **case["config"])
    return case, arrays, wrap(seeded(model, case["weights_seed"]))


# How the cases call SC-CLIP's settings, and how we do.
SCCLIP = {
    "pre_adjust_idx": "pre_layer",
    "post_adjust_idx": "post_layer",
    "multi_start_idx": "multi_start",
    "multi_end_idx": "multi_end",
    "res_cls": "cls_weight",
    "beta": "beta",
    "n_neighbors": "neighbours",
    "contamination": "contamination",
}
