"""Text features on disk: the same prompts and the same weights are encoded once.

A file a feature, <cache>/text/<key>.npy; the key is a SHA-256 over everything that the feature
depends on. A file that is damaged is encoded anew; a folder that is not writable only costs time.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rsclip.errors import warn
from rsclip.files import cache_folder, new_file

__all__ = ["TextCache"]

_VERSION = 2


class TextCache:
    """The features of one model.

    Args:
        identity: What tells the model and the way it encodes from any other: the hash of its
            weights, its text tower's architecture, its tokenizer, the kind of device.
        dim: Size of a feature.
    """

    def __init__(self, identity: Sequence[str], dim: int) -> None:
        self._identity = [str(_VERSION), torch.__version__, *identity]
        self._dim = dim
        folder = cache_folder()
        self._folder = folder / "text" if folder else None

    def get(self, prompts: Sequence[str]) -> Tensor | None:
        """Return the feature of a set of prompts, float32 (D,) on the CPU, or None."""
        if self._folder is None:
            return None
        try:
            feature = np.load(self._path(prompts), allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        whole = feature.shape == (self._dim,) and feature.dtype == np.float32
        return torch.from_numpy(feature) if whole and np.isfinite(feature).all() else None

    def put(self, prompts: Sequence[str], feature: Tensor) -> None:
        """Keep the feature of a set of prompts."""
        if self._folder is None:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            target = self._path(prompts)
            with (
                new_file(target, synced=False, shared=True) as draft,
                draft.open("wb") as file,
            ):
                np.save(file, feature.detach().cpu().numpy())
        except OSError as error:
            warn(
                f"text features are not kept: {self._folder} is not writable "
                f"({error.strerror or error}); set RSCLIP_CACHE to another folder, or to off"
            )
            self._folder = None

    def _path(self, prompts: Sequence[str]) -> Path:
        assert self._folder is not None
        text = json.dumps([self._identity, list(prompts)])
        return self._folder / f"{hashlib.sha256(text.encode()).hexdigest()}.npy"
