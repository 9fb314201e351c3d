"""Import open_clip where torchvision's operators do not load.

open_clip imports torchvision, whose default Linux wheel is built for CUDA: beside a CPU-only torch
its operators stay unloaded, and the import ends in "operator torchvision::nms does not exist".
rsclip calls none of these operators, so that their schemas alone are enough.
"""

import importlib
import re
import threading
from typing import Any

from rsclip.errors import ModelError

__all__ = ["import_open_clip"]

_MISSING = re.compile(r"operator torchvision::\w+ does not exist")
_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_OPERATORS = ("nms", "qnms")
# A torch.library.Library takes its schemas away with it when it is collected.
_libraries: list[Any] = []
_lock = threading.Lock()


def import_open_clip() -> Any:
    """Import open_clip, with torchvision's missing operator schemas registered if need be.

    Returns:
        The module open_clip.

    Raises:
        ModelError: torchvision does not load beside this torch even so.
    """
    with _lock:
        try:
            return importlib.import_module("open_clip")
        except RuntimeError as error:
            if not _MISSING.search(str(error)) or _libraries:
                raise
        _register_operators()
        try:
            return importlib.import_module("open_clip")
        except RuntimeError as error:
            raise ModelError(
                f"torchvision does not load beside this torch ({error})",
                remedy="Install the torchvision release that belongs to the installed torch.",
            ) from error


def _register_operators() -> None:
    import torch

    untyped: Any = torch.library.Library
    library = untyped("torchvision", "FRAGMENT")
    _libraries.append(library)
    for name in _OPERATORS:
        if not hasattr(torch.ops.torchvision, name):
            library.define(name + _SIGNATURE)
