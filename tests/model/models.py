"""Small CLIPs with seeded weights; they mean nothing, but compute like any other."""

import copy

import torch

from rsclip.model.open_clip_import import import_open_clip
from tests.data.parity.recipe import seeded_weights

open_clip = import_open_clip()

CONFIG = {
    "embed_dim": 12,
    "vision_cfg": {
        "layers": 2,
        "width": 16,
        "head_width": 8,
        "patch_size": 8,
        "image_size": 32,
    },
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 8,
        "heads": 1,
        "layers": 1,
    },
}


def tiny_config(vision=None, text=None, **top):
    config = copy.deepcopy(CONFIG)
    config["vision_cfg"].update(vision or {})
    config["text_cfg"].update(text or {})
    config.update(top)
    return config


def seeded(model, seed=0):
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    weights = seeded_weights(shapes, seed)
    model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return model


def tiny_clip(seed=0, **changes):
    return seeded(open_clip.model.CLIP(**tiny_config(**changes)).eval(), seed)
