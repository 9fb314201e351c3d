"""Images to similarities: backbone, method and text features together, batched, on a device."""

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own name)

from rsclip.adapters.base import Adapter
from rsclip.config import Engine, Precision, Tta
from rsclip.errors import EncodeError, OptionError, first_line, is_memory_error, warn
from rsclip.methods import Method, first_block, get_method, parse_options
from rsclip.methods.batch_size import automatic_batch, free_memory
from rsclip.methods.device import parse_device
from rsclip.methods.flips import mean_of_views
from rsclip.model import Backbone, SecondVit, Trunk
from rsclip.types import FloatArray, Shape

__all__ = [
    "Segmenter",
    "place",
]


def place(backbone: Backbone, device: str | torch.device, precision: Precision) -> torch.device:
    """Move a backbone to a device in place, with the arithmetic of its image tower; return it.

    Raises:
        DeviceError: See `parse_device`.
        OptionError: The device cannot compute in that precision.
    """
    found = parse_device(device)
    if precision == "fp16" and found.type == "cpu":
        raise OptionError(
            "fp16 needs a GPU: a CPU has no fast arithmetic of that type",
            where="--precision",
            remedy="Use fp32.",
        )
    backbone.to(found, precision)
    return found


class _Reading(NamedTuple):
    """A method as it is asked for, and the first block whose entering tokens it needs."""

    method: Method
    options: Any
    first: int


class Segmenter:
    """Gives the similarity of every patch with every query.

    Args:
        backbone: The model; it is moved to the device in place.
        text: For each of Q queries its prompts, or ready features float (Q, D).
        method: Name of the dense method.
        options: Its options: a mapping, or what `parse_options` returned.
        device: See `parse_device`.
        precision: Arithmetic of the image tower; the weights and all similarities stay float32.
        batch_size: Windows per forward pass. Default: by the model, window and device.
        tta: Mean over flipped ("flips", four views) or flipped and turned ("d4", eight) images.
        others: Further methods, each with its options. Their similarities follow as further
            channels, Q each; the blocks that methods leave alone run once for all.
        adapter: Changes the similarities that `method` gives, not those of `others`.
        second: A second ViT for methods that take an affinity; the similarities then lie on its
            grid.
        engine: What computes the features: PyTorch, or ONNX Runtime on a CPU, in fp32 or int8.
            "auto" is int8 that `use_pytorch` can turn off, and PyTorch where that cannot run.

    Attributes:
        backbone: As given.
        device: The device in use.
        engine: Name and version of what stands in for PyTorch, or None.
        text_features: float32 (Q, D) on the device, L2-normalised.

    Raises:
        InputError: The method, an option, the device, the precision or the text does not fit, or
            a method has no use for the second ViT.
    """

    def __init__(
        self,
        backbone: Backbone,
        text: "Sequence[Sequence[str]] | Tensor | np.ndarray[Any, Any]",
        method: str = "clearclip",
        options: Any = None,
        device: str | torch.device = "auto",
        precision: Precision = "fp32",
        batch_size: int | None = None,
        tta: Tta = "none",
        others: Sequence[tuple[str, Any]] = (),
        adapter: Adapter | None = None,
        second: SecondVit | None = None,
        engine: Engine = "torch",
    ) -> None:
        self._tta: Tta = tta
        self._readings = [_reading(*each, backbone.depth) for each in ((method, options), *others)]
        if second is not None:
            _check_affinity([each.method for each in self._readings], second, backbone)
        self.device = place(backbone, device, precision)
        self._second = None if second is None else second.to(self.device)
        self._adapter = None if adapter is None else adapter.to(self.device)
        self._precision = precision
        self.backbone = backbone
        self._batch_size = batch_size
        # Asked once: with what earlier batches left behind, later ones would be smaller.
        self._free = free_memory(self.device)
        self._memory_limit: int | None = None
        self.engine: str | None = None
        if engine != "torch":
            self.engine = self._export_to(backbone, precision, engine)
        self.text_features = self._ready(text)

    def _export_to(self, backbone: Backbone, precision: Precision, engine: Engine) -> str | None:
        """Let ONNX Runtime compute the features; return its version."""
        from rsclip.methods.onnx_engine import on_onnx, onnx_version

        try:
            version = onnx_version(f"--engine={engine}")
            if self.device.type != "cpu" or precision != "fp32":
                raise OptionError(
                    f"ONNX Runtime runs fp32 models on the CPU, not {precision} on {self.device}",
                    where=f"--engine={engine}",
                    remedy="Use --device=cpu and --precision=fp32, or --engine=torch.",
                )
        except OptionError as error:
            if engine != "auto":
                raise
            warn(f"PyTorch runs the encoder ({error})")
            return None
        int8 = engine != "onnx"
        self._in_pytorch = self._readings
        self._in_onnx = self._readings = [
            each._replace(
                method=on_onnx(each.method, backbone, int8=int8, at_once=self._batch_size)
            )
            for each in self._readings
        ]
        if not any(each.method.fixed_graph for each in self._readings):
            return None
        return version + {"onnx-int8": ", int8", "auto": ", int8 or PyTorch"}.get(engine, "")

    def use_pytorch(self, yes: bool) -> None:
        """Let PyTorch compute the features from here on, or again what stands in for it."""
        self._readings = self._in_pytorch if yes else self._in_onnx

    @property
    def patch(self) -> int:
        """Side of a cell of the similarities in pixels: a patch, of the second ViT if any."""
        return self.backbone.patch if self._second is None else self._second.patch

    @property
    def window_unit(self) -> int:
        """Pixels that windows are multiples of."""
        return math.lcm(self.backbone.patch, self.patch)

    @property
    def window(self) -> Shape:
        """(height, width) in pixels that the model was trained on."""
        return self.backbone.image_shape

    @property
    def queries(self) -> int:
        """Number of channels: queries Q, times the methods."""
        return len(self.text_features) * len(self._readings)

    @property
    def batch_size(self) -> int:
        """Windows per forward pass, for windows of the model's own size."""
        return self._batch_size or self._automatic_batch(self.window)

    def similarities(self, images: FloatArray) -> FloatArray:
        """Encode images and compare their patches with the queries.

        Args:
            images: float32 (B, 3, H, W) in 0..1, RGB; H and W multiples of the patch. Any B: more
                than fits a forward pass is split.

        Returns:
            float32 (B, Q, H / patch, W / patch), cosine in -1..1; channels of other methods follow.

        Raises:
            OptionError: The images' shape does not fit.
            EncodeError: The device's memory does not hold one image, or the result is not finite.
        """
        if images.ndim != 4 or images.shape[1] != 3:
            raise OptionError(
                f"images of shape {images.shape}", where="images", remedy="It is (B, 3, H, W)."
            )
        tensor = torch.from_numpy(np.ascontiguousarray(images, np.float32))
        self.backbone.grid(tensor)
        if not len(tensor):
            cells = (side // self.patch for side in images.shape[2:])
            return np.empty((0, self.queries, *cells), np.float32)
        # Another segmenter may have moved a shared backbone meanwhile.
        self.backbone.to(self.device, self._precision)
        result = np.concatenate(list(self._in_batches(tensor)))
        if not np.isfinite(result).all():
            raise EncodeError(
                "the encoder gave values that are not finite",
                remedy="Use --precision=bf16 or fp32: fp16 overflows in some models."
                if self._precision == "fp16"
                else "The model's weights or the image hold NaN or infinity.",
            )
        return result

    @torch.inference_mode()
    def patches(self, images: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return features and similarities of the first method; no batch is split, none turned.

        Args:
            images: As `similarities` takes them, `batch_size` at most.

        Returns:
            Unit features float32 (B, h, w, D), and similarities float32 (B, h, w, Q).

        Raises:
            OptionError: The images' shape does not fit.
        """
        backbone = self.backbone.to(self.device, self._precision)
        method, options, first = self._readings[0]
        normalised = backbone.normalise(torch.from_numpy(images).to(self.device))
        trunk = Trunk(backbone, normalised, first=first, exact_positions=method.exact_positions)
        features, similarities = method.patches(trunk, self.text_features, options)
        similarities = similarities.permute(0, 2, 3, 1)
        if self._adapter is not None:
            similarities = self._adapter(features, similarities)
        return features.cpu().numpy(), similarities.cpu().numpy()

    def _in_batches(self, images: Tensor) -> Iterator[FloatArray]:
        """Yield similarities batch by batch, halving the batch when memory runs out."""
        height, width = images.shape[-2:]
        limit = self._batch_size or self._automatic_batch((height, width))
        if self._memory_limit is not None:
            limit = min(limit, self._memory_limit)
        start = 0
        while start < len(images):
            batch = images[start : start + limit]
            try:
                yield mean_of_views(self._encode, batch, self._tta)
            except (RuntimeError, MemoryError) as error:
                if not is_memory_error(error):
                    raise EncodeError(f"the encoder failed ({first_line(error)})") from error
                if len(batch) == 1:
                    raise self._out_of_memory(error, height, width) from error
                if self._memory_limit is None:
                    _warn_of_memory(self.device)
                limit = self._memory_limit = len(batch) // 2
            else:
                start += len(batch)
                continue
            # Only here, with the failed pass out of scope, can its memory be given back.
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    @torch.inference_mode()
    def _encode(self, images: Tensor) -> FloatArray:
        backbone = self.backbone
        images = images.to(self.device)
        normalised = backbone.normalise(images)
        affinity = None
        if self._second is not None:
            affinity = functools.cache(functools.partial(self._second.features, images))
        # On the grid it was trained on, a model has its positions without resizing: one trunk for
        # all. Elsewhere methods that resize them otherwise have their own.
        grid = backbone.grid(normalised)
        resized = grid != tuple(side // backbone.patch for side in backbone.image_shape)
        trunks: dict[bool, Trunk] = {}
        found = []
        for index, reading in enumerate(self._readings):
            exact = resized and reading.method.exact_positions
            if exact not in trunks:
                # Tokens are kept from the first block that any method of this trunk asks for.
                first = min(
                    each.first
                    for each in self._readings
                    if (resized and each.method.exact_positions) == exact
                )
                trunks[exact] = Trunk(
                    backbone, normalised, first=first, exact_positions=exact, affinity=affinity
                )
            of_method = reading.method.similarities(
                trunks[exact],
                self.text_features,
                reading.options,
                None if index else self._adapter,
            )
            found.append(of_method.cpu().numpy())
        return found[0] if len(found) == 1 else np.concatenate(found, axis=1)

    def _automatic_batch(self, shape: Shape) -> int:
        patch = min(self.patch, self.backbone.patch)
        tokens = 1 + (shape[0] // patch) * (shape[1] // patch)
        width = self.backbone.width
        batch = automatic_batch(
            tokens,
            width if self._second is None else max(width, self._second.width),
            free=self._free,
            pair_matrices=max(each.method.pair_matrices for each in self._readings),
        )
        if self.engine is None or not all(each.method.fixed_graph for each in self._readings):
            return batch
        # ONNX Runtime gives each thread a window of its own.
        return max(batch, torch.get_num_threads())

    def _ready(self, text: "Sequence[Sequence[str]] | Tensor | np.ndarray[Any, Any]") -> Tensor:
        if not isinstance(text, Tensor | np.ndarray):
            return self.backbone.text_features(text)
        features = torch.as_tensor(text).to(self.device, torch.float32)
        if features.ndim != 2 or features.shape[1] != self.backbone.dim or not len(features):
            raise OptionError(
                f"text features of shape {tuple(features.shape)}",
                where="queries",
                remedy=f"The model takes (Q, {self.backbone.dim}).",
            )
        if not (features.isfinite().all() and features.norm(dim=-1).all()):
            raise OptionError("text features hold NaN, infinity or a row of zeros", where="queries")
        return F.normalize(features, dim=-1)

    def _out_of_memory(self, error: BaseException, height: int, width: int) -> EncodeError:
        return EncodeError(
            f"one window of {height} x {width} pixels does not fit the memory of {self.device} "
            f"({first_line(error)})",
            remedy="Use a smaller --window or model, or --device=cpu."
            if self.device.type != "cpu"
            else "Use a smaller --window or model.",
        )


def _reading(name: str, options: Any, depth: int) -> _Reading:
    method = get_method(name)
    if options is None or isinstance(options, Mapping):
        options = parse_options(name, options)
    return _Reading(method, options, first_block(name, options, depth))


def _check_affinity(methods: Sequence[Method], second: SecondVit, backbone: Backbone) -> None:
    """Refuse a second ViT that a method would not use, or that would give it another grid."""
    without = [method.name for method in methods if not method.takes_affinity]
    if without and (len(without) == len(methods) or second.patch != backbone.patch):
        raise OptionError(
            f"{without[0]} takes no affinity of another model",
            where="--affinity",
            remedy="Use it with --method=proxyclip; methods on another grid run apart."
            if len(without) < len(methods)
            else "Use it with --method=proxyclip.",
        )


def _warn_of_memory(device: torch.device) -> None:
    warn(f"a whole batch does not fit the memory of {device}: the run goes on with smaller ones")
