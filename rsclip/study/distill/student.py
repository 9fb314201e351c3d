"""The student: some of the teacher's blocks, and all else that the teacher has."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from rsclip.errors import OptionError
from rsclip.model import Backbone
from rsclip.model.weights.find import ModelFiles

__all__ = ["SHAPES", "build_student", "kept_blocks", "student_config", "write_weights"]

SHAPES: Mapping[str, float] = {"small": 1 / 2, "tiny": 1 / 4}
"""Shape -> share of the teacher's blocks."""


def kept_blocks(shape: str, depth: int) -> list[int]:
    """Return which of a teacher's blocks a student begins with: evenly spaced, first and last.

    Args:
        shape: One of `SHAPES`, or a number of blocks.
        depth: Blocks of the teacher.

    Raises:
        OptionError: There is no such shape, or it is no smaller than the teacher.
    """
    if shape in SHAPES:
        layers = max(int(depth * SHAPES[shape]), 1)
    elif shape.isdecimal() and int(shape):
        layers = int(shape)
    else:
        raise OptionError(
            f"there is no shape {shape!r}",
            where="--shape",
            remedy=f"Choose {', '.join(SHAPES)} or a number of blocks, such as 4.",
        )
    if layers >= depth:
        raise OptionError(
            f"a student of {layers} blocks is no smaller than its teacher, which has {depth}",
            where="--shape",
            remedy=f"Choose fewer than {depth} blocks."
            if depth > 1
            else "Choose a teacher of several blocks.",
        )
    if layers == 1:
        return [depth - 1]
    return [round(k * (depth - 1) / (layers - 1)) for k in range(layers)]


def build_student(teacher: Backbone, blocks: list[int], name: str) -> Backbone:
    """Return a copy of a teacher with some of its blocks; its image tower can be trained."""
    model = copy.deepcopy(teacher.model)
    transformer: Any = model.visual.transformer
    transformer.resblocks = nn.ModuleList(transformer.resblocks[k] for k in blocks)
    transformer.layers = len(blocks)
    student = Backbone(
        model, teacher.tokenizer, name=name, vocabulary=teacher.vocabulary,
        defaults=teacher.defaults,
    )  # fmt: skip
    model.visual.requires_grad_(True)
    return student


def student_config(files: ModelFiles, layers: int, licence: str) -> dict[str, Any]:
    """Return the content of the student's open_clip_config.json; the licence is the teacher's."""
    config = copy.deepcopy(dict(files.architecture.config))
    config["vision_cfg"]["layers"] = layers
    defaults = files.architecture.defaults
    own = {"gsd_range": defaults.gsd_range, "logit_scale": defaults.logit_scale}
    return {
        "model_cfg": config,
        "preprocess_cfg": dict(files.architecture.preprocess),
        "licence": licence,
        "source": f"distilled from {files.name} by rsclip",
        **{key: value for key, value in own.items() if value is not None},
    }


def write_weights(student: Backbone, files: ModelFiles, path: Path) -> None:
    """Write the student's weights, in half precision where all of the teacher's are."""
    types = {each.dtype for each in files.read().values() if each.is_floating_point()}
    dtype = torch.float16 if types == {torch.float16} else torch.float32
    state = {
        name: value.detach().cpu().to(dtype).contiguous()
        for name, value in student.model.state_dict().items()
        if name != "attn_mask"
    }
    save_file(state, path, metadata={"format": "pt"})
    path.chmod(0o644)  # safetensors writes for the owner alone
