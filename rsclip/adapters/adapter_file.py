"""An adapter's tensors in a safetensors file, and what they are for in its header."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rsclip.adapters.base import Adapter
from rsclip.adapters.fitted_for import KEY, VERSION, Header, damaged
from rsclip.adapters.kinds import KINDS

__all__ = ["NONE", "read_adapter", "write_adapter"]

NONE = "none"
"""Kind of a file that changes nothing: the model was better without."""


def write_adapter(path: Path, adapter: Adapter | None, facts: Mapping[str, Any]) -> None:
    """Write an adapter.

    Args:
        path: A new file.
        adapter: The adapter; None where the model is to be used as it is.
        facts: The fields of `Header`, ready for JSON.

    Raises:
        OSError, SafetensorError: It cannot be written.
    """
    from safetensors.torch import save_file

    tensors = {"nothing": torch.zeros(1)} if adapter is None else adapter.tensors
    kind = NONE if adapter is None else adapter.kind
    text = json.dumps({"version": VERSION, "kind": kind, **facts}, ensure_ascii=False)
    path.touch()
    mode = path.stat().st_mode
    plain = {name: each.detach().cpu().contiguous() for name, each in tensors.items()}
    # One key only: safetensors writes several in an order of chance.
    save_file(plain, path, {KEY: text})
    # safetensors leaves a file for its owner only.
    path.chmod(mode)


def read_adapter(header: Header, queries: int, features: int) -> Adapter | None:
    """Return the adapter of a file; None where its kind is "none".

    Args:
        header: Of the file.
        queries: Number of the model's queries Q.
        features: Size D of its features.

    Raises:
        AdapterError: Its kind is unknown, or its tensors are damaged or do not fit.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if header.kind == NONE:
        return None
    kind = KINDS.get(header.kind)
    if kind is None:
        raise damaged(header.path, f"unknown kind {header.kind!r}")
    try:
        tensors = load_file(header.path)
    except (SafetensorError, OSError, ValueError) as error:
        raise damaged(header.path, str(error)) from error
    sizes = {"Q": queries, "C": len(header.legend.classes), "D": features}
    for name, shape in {**kind.common, **kind.shapes}.items():
        if name not in tensors:
            raise damaged(header.path, f"no tensor {name!r}")
        _check(header, name, tensors[name], shape, sizes)
    index = tensors["class_index"]
    if index.min() < 0 or index.max() >= sizes["C"]:
        raise damaged(header.path, "'class_index' names no class")
    if tensors["logit_scale"] <= 0:
        raise damaged(header.path, "'logit_scale' is not above 0")
    adapter = kind(tensors)
    # Numbers that are each finite may overflow together, which no user should meet as a bad model.
    some = torch.full((1, features), features**-0.5)
    if not adapter(some, torch.ones(1, queries)).isfinite().all():
        raise damaged(header.path, "its tensors give NaN or infinity")
    return adapter


def _check(
    header: Header, name: str, tensor: Tensor, shape: tuple[str, ...], sizes: dict[str, int]
) -> None:
    wanted = torch.int64 if name == "class_index" else torch.float32
    # The first tensor decides on sizes that nothing else says.
    fits = len(tensor.shape) == len(shape) and all(
        sizes.setdefault(size, own) == own for size, own in zip(shape, tensor.shape, strict=True)
    )
    if not fits or tensor.dtype != wanted:
        raise damaged(header.path, f"{name!r} is {tensor.dtype} of shape {tuple(tensor.shape)}")
    if not tensor.isfinite().all():
        raise damaged(header.path, f"{name!r} holds NaN or infinity")
