"""A frozen CLIP with its patches, blocks, position embeddings and text features accessible."""

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own name)

from rsclip.config import Precision
from rsclip.errors import OptionError
from rsclip.model.checks import check_model
from rsclip.model.open_clip_catalog import tokenizer_facts
from rsclip.model.open_clip_import import import_open_clip
from rsclip.model.outline import ModelOutline
from rsclip.model.text import context_tower, default_tokenizer, prompt_feature, warn_of_cuts
from rsclip.model.text_cache import TextCache
from rsclip.model.weights_hash import tensors_sha256
from rsclip.types import ModelDefaults, Shape

__all__ = ["Backbone", "wrap"]

_DTYPES: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
_KEPT_TEXTS = 4096
_KEPT_GRIDS = 16


def wrap(model: Any, tokenizer: Callable[[list[str]], Tensor] | None = None) -> "Backbone":
    """Make a backbone of an open_clip model.

    Args:
        model: An `open_clip.model.CLIP` with a ViT image tower and a CLS token. It is frozen, set
            to evaluation and cast to float32 in place.
        tokenizer: Maps a list of N prompts to int64 (N, context). Default: CLIP's own.

    Raises:
        ModelError: The model cannot serve; the message says why.
    """
    return Backbone(model, tokenizer)


class Backbone:
    """A frozen CLIP with a ViT image tower.

    Args:
        model: See `wrap`.
        tokenizer: See `wrap`.
        name: What the user calls the model.
        source: Where its weights come from.
        hasher: Gives the SHA-256 of the weights when it is first asked for.

    Attributes:
        name, source: As given.
        patch: Side of a patch in pixels.
        image_shape: (height, width) that the model was trained on, in whole patches.
        depth: Number of blocks of the image tower.
        dim: Size D of the joint embedding space.
        width: Channels of the image tower's tokens.
        mean, std: What images in 0..1 are normalised by, per channel.
        tokenizer: What turns prompts into tokens, or None.
        vocabulary: The words that a small model has learned (`rsclip.words.vocabulary`), or None
            for a model that knows most words a little.
        defaults: How the model is used where the user does not say otherwise.
        limits: What to know of the model before its maps are trusted, or None.

    Raises:
        ModelError: The model cannot serve; the message says why.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Callable[[list[str]], Tensor] | None = None,
        *,
        name: str = "wrapped",
        source: str = "memory",
        hasher: Callable[[], str] | None = None,
        vocabulary: Mapping[str, Any] | None = None,
        text_identity: str = "",
        defaults: ModelDefaults = ModelDefaults(),  # noqa: B008 (frozen)
        limits: str | None = None,
    ) -> None:
        open_clip = import_open_clip()
        check_model(open_clip, model, name)
        self.name = name
        self.vocabulary = vocabulary
        self.defaults = defaults
        self.limits = limits
        self.source = source
        self.model = model.float().eval().requires_grad_(False)
        self.tokenizer = tokenizer or default_tokenizer(open_clip, model)
        self._text_identity = text_identity
        self._visual = model.visual
        self._hasher = hasher or (lambda: tensors_sha256(self.model.state_dict()))
        self.patch = int(self._visual.patch_size[0])
        self._grid: Shape = tuple(self._visual.grid_size)
        self.image_shape: Shape = (self._grid[0] * self.patch, self._grid[1] * self.patch)
        self.depth = len(self._visual.transformer.resblocks)
        self.width = int(self._visual.positional_embedding.shape[1])
        self.dim = int(self._visual.output_dim)
        settings = getattr(self._visual, "preprocess_cfg", None) or {}
        self.mean = _three(settings.get("mean"), open_clip.constants.OPENAI_DATASET_MEAN)
        self.std = _three(settings.get("std"), open_clip.constants.OPENAI_DATASET_STD)
        self.precision: Precision = "fp32"
        self._texts: dict[tuple[str, ...], Tensor] = {}
        self._positions: dict[tuple[Shape, bool], Tensor] = {}
        self._caches: dict[tuple[str, ...], TextCache] = {}

    @property
    def outline(self) -> ModelOutline:
        """As much as planning needs."""
        count = sum(each.numel() for each in self.model.parameters())
        return ModelOutline(self.patch, self.image_shape, self.width, count, self.defaults)

    def __repr__(self) -> str:
        """Name, shape and place."""
        height, width = self.image_shape
        return (
            f"<Backbone {self.name}: patch {self.patch}, {height} x {width} pixels, "
            f"{self.depth} blocks, {self.device}, {self.precision}>"
        )

    @functools.cached_property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights file, or of the tensors sorted by name for a wrapped model."""
        return self._hasher()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return cast(torch.device, self._visual.class_embedding.device)

    @property
    def dtype(self) -> torch.dtype:
        """The type that the image tower's products are computed in; weights stay float32."""
        return _DTYPES[self.precision]

    @property
    def blocks(self) -> list[nn.Module]:
        """The image tower's residual attention blocks, first to last; each maps (B, N, C)."""
        return list(self._visual.transformer.resblocks)

    def facts(self) -> dict[str, Any]:
        """Return what a record says of the model: plain values, ready for JSON."""
        block = self._visual.transformer.resblocks[0]
        return {
            "name": self.name,
            "source": self.source,
            "weights_sha256": self.weights_sha256,
            "patch": self.patch,
            "image_shape": list(self.image_shape),
            "activation": type(block.mlp.gelu).__name__,
            # Weights have the same shapes whatever these are.
            "heads": block.attn.num_heads,
            "text_tower": self._text_identity[:16] or None,
            "mean": list(self.mean),
            "std": list(self.std),
            "precision": self.precision,
        }

    def to(self, device: str | torch.device, precision: Precision | None = None) -> Self:
        """Move the model in place and choose the arithmetic of its image tower; return self."""
        device = torch.device(device)
        # "cuda" names the current CUDA device: a model on cuda:0 is there already.
        if device.type != self.device.type or device.index not in (None, self.device.index):
            self.model.to(device)
            self._positions.clear()
            self._texts.clear()
        if precision is not None:
            self.precision = precision
        return self

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context that the image tower runs in, for the chosen precision."""
        if self.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=self.dtype)

    def text_features(self, prompt_sets: Sequence[Sequence[str]]) -> Tensor:
        """Encode sets of prompts, one feature a set, always in float32.

        Args:
            prompt_sets: For each of Q queries, its prompts (every template filled).

        Returns:
            float32 (Q, D) on the model's device: per set, the mean of the L2-normalised
            embeddings, L2-normalised (as `open_clip.build_zero_shot_classifier` does).

        Raises:
            ModelError: The model has no tokenizer.
            OptionError: No set, or an empty one.
        """
        if not prompt_sets or not all(prompt_sets):
            raise OptionError("every query needs at least one prompt", where="queries")
        if len(self._texts) + len(prompt_sets) > _KEPT_TEXTS:
            self._texts.clear()
        features = []
        with torch.inference_mode():
            for prompts in map(tuple, prompt_sets):
                if prompts not in self._texts:
                    warn_of_cuts(self.model, self.tokenizer, prompts)
                    self._texts[prompts] = self._text_feature(prompts)
                features.append(self._texts[prompts])
        return torch.stack(features)

    def context_tower(
        self, words: Sequence[str], context: str
    ) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """Return what encodes words behind a changed context; see `rsclip.model.text`."""
        return context_tower(self.model, self.tokenizer, context, words)

    def _text_feature(self, prompts: tuple[str, ...]) -> Tensor:
        if not self._text_identity or self.tokenizer is None:
            return prompt_feature(self.model, self.tokenizer, prompts)
        # Another device may round otherwise: its features are its own.
        merges = tokenizer_facts()["merges_sha256"]
        key = (self.weights_sha256, self._text_identity, merges, self.device.type)
        cache = self._caches.setdefault(key, TextCache(key, self.dim))
        kept = cache.get(prompts)
        if kept is not None:
            return kept.to(self.device)
        feature = prompt_feature(self.model, self.tokenizer, prompts)
        cache.put(prompts, feature)
        return feature

    def normalise(self, images: Tensor) -> Tensor:
        """Return (images - mean) / std for float images (B, 3, H, W) in 0..1."""
        mean, std = (
            torch.tensor(values, dtype=torch.float32, device=images.device).view(3, 1, 1)
            for values in (self.mean, self.std)
        )
        return (images - mean) / std

    def grid(self, images: Tensor) -> Shape:
        """Return the (rows, columns) of patches of images (B, 3, H, W).

        Raises:
            OptionError: The size is not a multiple of the patch.
        """
        # While a graph is traced, sizes are tensors.
        height, width = map(int, images.shape[-2:])
        if height % self.patch or width % self.patch or not height or not width:
            near = [max(round(side / self.patch), 1) * self.patch for side in (height, width)]
            raise OptionError(
                f"{height} x {width} pixels are not whole patches of {self.patch}",
                where="images",
                remedy=f"The nearest size is {near[0]} x {near[1]}.",
            )
        return height // self.patch, width // self.patch

    def positions(self, grid: Shape, *, exact: bool = False) -> Tensor:
        """Return the position embedding (1 + h*w, C) for a grid of h x w patches, CLS first.

        A grid other than the trained one is reached bicubically.

        Args:
            grid: (h, w).
            exact: To the exact size, antialiased, as GEM does; otherwise by the scale factor
                (grid + 0.1) / trained grid, as the other methods' reference code does.
        """
        trained = cast(Tensor, self._visual.positional_embedding)
        if grid == self._grid:
            return trained
        if (grid, exact) not in self._positions:
            if len(self._positions) >= _KEPT_GRIDS:
                self._positions.clear()
            plane = trained[1:].T.reshape(1, -1, *self._grid)
            if exact:
                # Rows, then columns: both at once torch 2.13 gives wrong values for one column.
                for size in ((grid[0], plane.shape[3]), grid):
                    plane = F.interpolate(plane, size=size, mode="bicubic", antialias=True)
            else:
                factors = [(new + 0.1) / old for new, old in zip(grid, self._grid, strict=True)]
                plane = F.interpolate(plane, scale_factor=factors, mode="bicubic")
            self._positions[grid, exact] = torch.cat([trained[:1], plane[0].flatten(1).T])
        return self._positions[grid, exact]

    def embed(self, images: Tensor, positions: Tensor | None = None) -> Tensor:
        """Return the tokens that enter the first block.

        Args:
            images: float (B, 3, H, W), normalised by mean and std; H and W multiples of the patch.
            positions: (1 + h*w, C) in place of `positions(grid)`, for methods that resize
                otherwise.

        Returns:
            float32 (B, 1 + h*w, C) after ln_pre; CLS first, patches row-major.

        Raises:
            OptionError: The size is not a multiple of the patch.
        """
        rows, cols = grid = self.grid(images)
        # A product per patch is what the strided convolution means; unlike it, the product is
        # never rounded to TF32 and its algorithm is not chosen by the batch.
        patches = images.reshape(-1, 3, rows, self.patch, cols, self.patch)
        patches = patches.permute(0, 2, 4, 1, 3, 5).flatten(1, 2).flatten(2)
        tokens = F.linear(patches, self._visual.conv1.weight.flatten(1)).float()
        cls = self._visual.class_embedding.expand(images.shape[0], 1, -1)
        x = torch.cat([cls, tokens], dim=1)
        x = x + (self.positions(grid) if positions is None else positions)
        return cast(Tensor, self._visual.ln_pre(x))

    def head(self, tokens: Tensor) -> Tensor:
        """Return LN_post and projection of tokens (..., C): float32 (..., D)."""
        x = self._visual.ln_post(tokens.float())
        if self._visual.proj is not None:
            x = x @ self._visual.proj
        if (bias := getattr(self._visual, "proj_bias", None)) is not None:
            x = x + bias
        return cast(Tensor, x.float())


def _three(values: Any, default: Sequence[float]) -> tuple[float, float, float]:
    values = default if values is None else values
    if isinstance(values, int | float):
        values = [values] * 3
    red, green, blue = (float(value) for value in values)
    return red, green, blue
