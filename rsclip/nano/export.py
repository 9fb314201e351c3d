"""Write and read the nano model in open_clip's own form."""

import json
from pathlib import Path
from typing import Any

import torch
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from safetensors.torch import load_file, save_file

from rsclip.nano.model import NanoShape, build
from rsclip.nano.words import Vocabulary

FAR_BELOW = 0.5
"""A word is far when its cosine with every known word is below this.

Words of a class that were never paired with pixels have 0.85 or more where the teacher knows them,
95% of other words 0.35 or less.
"""

WORD_TEMPLATE = "{}"

GSD_RANGE = (0.3, 10.0)
"""Pixel sizes in metres at which it reads best. Finer real crops are of one stretch of coast only;
of coarser ones there are only drawn ones, and real pixels of 30 m are read better at 10 m."""

VERSION = "3"
"""1 had seen drawings only, 2 no labels of its own. Other weights are another version."""

LOGIT_SCALE = 30
"""Found by `python -m rsclip.nano.calibrate` for the shipped weights."""


def config(shape: NanoShape) -> dict[str, Any]:
    """open_clip_config.json."""
    return {
        "model_cfg": shape.model_cfg(),
        "preprocess_cfg": {
            "mean": list(OPENAI_DATASET_MEAN),
            "std": list(OPENAI_DATASET_STD),
            "interpolation": "bicubic",
            "resize_mode": "shortest",
        },
        "version": VERSION,
        "gsd_range": list(GSD_RANGE),
        "logit_scale": LOGIT_SCALE,
    }


def vocabulary_json(vocabulary: Vocabulary) -> dict[str, Any]:
    """The known words a class and the distance threshold; read by `rsclip.words.vocabulary`."""
    return {
        "threshold": FAR_BELOW,
        "template": WORD_TEMPLATE,
        "classes": {words.name: list(words.trained) for words in vocabulary.classes},
    }


def export(model: Any, shape: NanoShape, vocabulary: Vocabulary, folder: Path) -> int:
    """Write config, fp16 weights and vocabulary; returns their size in bytes.

    The weights come last, so that a folder that has them is whole.
    """
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        "open_clip_config.json": config(shape),
        "vocabulary.json": vocabulary_json(vocabulary),
    }
    for name, content in texts.items():
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    weights = {
        name: tensor.detach().to(torch.float16).contiguous()
        for name, tensor in model.state_dict().items()
        if name != "attn_mask"
    }
    part = folder / "open_clip_model.safetensors.part"
    save_file(weights, part, metadata={"format": "pt"})
    part.chmod(0o644)  # safetensors writes for the owner alone; the file goes into a wheel
    part.replace(folder / "open_clip_model.safetensors")
    names = [*texts, "open_clip_model.safetensors"]
    return sum((folder / name).stat().st_size for name in names)


def load_nano(folder: Path) -> tuple[Any, NanoShape]:
    """A nano model from its exported folder, fp32, and its shape."""
    stored = json.loads((folder / "open_clip_config.json").read_text(encoding="utf-8"))
    shape = NanoShape(layers=stored["model_cfg"]["vision_cfg"]["layers"])
    model = build(shape, 0)
    weights = load_file(folder / "open_clip_model.safetensors")
    model.load_state_dict({name: value.float() for name, value in weights.items()}, strict=False)
    return model, shape
