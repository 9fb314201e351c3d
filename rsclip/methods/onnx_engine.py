"""A method's image features computed by ONNX Runtime on a CPU (`--engine onnx` and `onnx-int8`).

`rsclip models export` writes the same graph into a file, for programs other than rsclip.

The graph holds the image tower as the method runs it. Words are compared outside of it: other words
need no other graph.

Each thread has a window of its own: threads that share one wait for each other at every layer.

In int8, activations are quantized as they come, by the extremes of one window, and weights by
output channel to 7 bits: a CPU without VNNI adds products in 16 bits, which 8 bits overflow.
"""

import contextlib
import dataclasses
import hashlib
import importlib.util
import io
import json
import mmap
import tempfile
import warnings
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import filelock
import numpy as np
import torch
from torch import Tensor, nn

from rsclip.config import DEFAULT_METHOD
from rsclip.errors import EncodeError, OptionError, OutputError, first_line, warn
from rsclip.files import cache_folder, check_new_file, new_file
from rsclip.methods import METHODS, first_block, get_method, parse_options
from rsclip.methods.base import DenseFeatures, Method
from rsclip.methods.lastblock import LastBlockOptions, attention_output, combine
from rsclip.model import Backbone, Trunk, load_backbone
from rsclip.types import Shape
from rsclip.version import __version__

__all__ = ["export_model", "on_onnx", "onnx_version"]

_OPSET = 17
_WHOLE_BLOCK = LastBlockOptions(residual=True, ffn=True)


def onnx_version(where: str = "--engine=onnx") -> str:
    """Return ONNX Runtime's name and version; `where` is what the message names.

    Raises:
        OptionError: It is not installed.
    """
    missing = [each for each in ("onnx", "onnxruntime") if importlib.util.find_spec(each) is None]
    if missing:
        raise OptionError(
            f"not installed: {', '.join(missing)}",
            where=where,
            remedy='Install it: pip install "rsclip[onnx]".',
        )
    import onnxruntime

    return f"onnxruntime {onnxruntime.__version__}"


def on_onnx(
    method: Method, backbone: Backbone, *, int8: bool = False, at_once: int | None = None
) -> Method:
    """Return a method whose features ONNX Runtime computes; as it is, with a warning, if it cannot.

    Args:
        method: The method.
        backbone: The model, on a CPU and in float32.
        int8: Compute linear layers in 8 bits.
        at_once: Windows that will come at a time. Default: as many as there are threads. Of fewer,
            each has an equal number of threads.
    """
    if not method.fixed_graph:
        warn(f"the method {method.name} is no fixed graph: PyTorch runs it, not ONNX Runtime")
        return method
    return dataclasses.replace(method, features=_OnnxFeatures(method, backbone, int8, at_once))


def export_model(
    name: str,
    output: str | Path,
    weights: str | Path | None = None,
    *,
    method: str = DEFAULT_METHOD,
    options: Mapping[str, Any] | None = None,
    window: int | None = None,
    int8: bool = False,
    overwrite: bool = False,
) -> Path:
    """Write the image tower of a model, as a method runs it, into one ONNX file.

    The graph takes windows (B, 3, H, W) in the model's own normalisation, and gives `tokens`, the
    patches' features; with a method's `bias_lambda`, `cls` too. Metadata `rsclip` of the file is
    JSON that says what it was made of.

    Args:
        name: As `load_backbone` takes it.
        output: The file, best ending in .onnx.
        weights: A file of weights in place of its own.
        method: Name of the dense method.
        options: Its options.
        window: Side of the windows in pixels. Default: the model's own.
        int8: Compute linear layers in 8 bits.
        overwrite: Replace a file that exists.

    Returns:
        The file.

    Raises:
        InputError: The model, the method, an option or the window does not fit, ONNX is not
            installed, or the file exists or cannot be written.
        EncodeError: The model cannot be exported.
    """
    path = check_new_file(output, "model.onnx", overwrite=overwrite)
    onnx_version("rsclip models export")
    chosen, read = get_method(method), parse_options(method, options)
    if not chosen.fixed_graph:
        fixed = ", ".join(each.name for each in METHODS.values() if each.fixed_graph)
        raise OptionError(
            f"{method} is no fixed graph", where="--method", remedy=f"Choose one of {fixed}."
        )
    backbone = load_backbone(name, weights)
    first_block(method, read, backbone.depth)
    shape = (window, window) if window else backbone.image_shape
    # One value, however large the window: what does not fit the memory fails as it is exported.
    image = torch.zeros(1).expand(1, 3, *shape)
    try:
        backbone.grid(image)
    except OptionError as error:
        raise OptionError(error.what, where="--window", remedy=error.remedy) from error
    remedy = "Try a smaller --window or another --method"
    remedy += ", or leave --int8 out." if int8 else "."
    graph = _build(chosen, backbone, image, read, int8=int8, remedy=remedy)
    said = {"name": backbone.name, **_facts(chosen, backbone, image, read, int8=int8)}
    graph = _with_note(graph, json.dumps(said))
    try:
        with new_file(path) as draft:
            draft.write_bytes(graph)
    except OSError as error:
        raise OutputError(
            f"the graph cannot be written: {error.strerror or error}",
            where=path,
            remedy="Make room on the disk, or choose another file with -o.",
        ) from error
    return path


class _OnnxFeatures:
    """Stands in for `Method.features`; a session for each size of windows and each options."""

    def __init__(self, method: Method, backbone: Backbone, int8: bool, at_once: int | None) -> None:
        self._method, self._backbone, self._int8 = method, backbone, int8
        # As many threads as PyTorch uses.
        threads = torch.get_num_threads()
        at_once = min(at_once or threads, threads)
        self._threads_a_window = threads // at_once
        self._pool = ThreadPoolExecutor(at_once)
        self._sessions: dict[tuple[Shape, Any], Any] = {}

    def __call__(self, trunk: Trunk, options: Any) -> DenseFeatures:
        key = (trunk.grid, options)
        if key not in self._sessions:
            self._sessions[key] = self._session(trunk.images[:1], options)

        # One by one: in int8 a window must not depend on its batch's extremes.
        def run(window: Tensor) -> Any:
            try:
                return self._sessions[key].run(None, {"images": window.numpy()})
            except MemoryError:
                raise
            # ONNX Runtime's exceptions share no public base; whoever splits batches knows torch's.
            except Exception as error:
                raise RuntimeError(first_line(error)) from error

        parts = self._pool.map(run, torch.split(trunk.images, 1))
        tokens, *cls = (torch.from_numpy(np.concatenate(part)) for part in zip(*parts, strict=True))
        # Asked for without a bias, the list is empty, which is an error in the method.
        return DenseFeatures(tokens, lambda: cls[0])

    def _session(self, image: Tensor, options: Any) -> Any:
        folder = cache_folder()
        if folder is None:
            return self._open(self._export(image, options))
        path = folder / "engines" / f"{self._identity(image, options)}.onnx"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Whoever comes second waits, and reads what the first has built.
            with filelock.FileLock(path.with_suffix(".lock")):
                return self._kept(path, image, options)
        except OSError as error:
            warn(f"the graph cannot be kept in {path.parent} ({first_line(error)})")
            return self._open(self._export(image, options))

    def _kept(self, path: Path, image: Tensor, options: Any) -> Any:
        # Damaged on the disk, it is built again; an empty file cannot be mapped.
        with contextlib.suppress(EncodeError, ValueError):
            if path.is_file() and not _names_files(path):
                return self._open(str(path))
        graph = self._export(image, options)
        with new_file(path) as draft:
            draft.write_bytes(graph)
        return self._open(graph)

    def _export(self, image: Tensor, options: Any) -> bytes:
        return _build(
            self._method, self._backbone, image, options, int8=self._int8,
            remedy="Use --engine=onnx or torch." if self._int8 else "Use --engine=torch.",
        )  # fmt: skip

    def _open(self, graph: bytes | str) -> Any:
        """Return a session on a graph or its path, for one window at a time.

        Raises:
            EncodeError: ONNX Runtime does not take it.
        """
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = self._threads_a_window
        settings.log_severity_level = 4
        # Shapes that are known are worked out once: a small model saves a tenth of its time.
        settings.add_free_dimension_override_by_name("batch", 1)
        try:
            return onnxruntime.InferenceSession(graph, settings, providers=["CPUExecutionProvider"])
        # Its exceptions share no public base.
        except Exception as error:
            raise EncodeError(
                f"ONNX Runtime does not take the graph ({first_line(error)})",
                remedy="Use --engine=torch.",
            ) from error

    def _identity(self, image: Tensor, options: Any) -> str:
        facts = _facts(self._method, self._backbone, image, options, int8=self._int8)
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def _facts(
    method: Method, backbone: Backbone, image: Tensor, options: Any, *, int8: bool
) -> dict[str, Any]:
    """Return all that a graph depends on."""
    return {
        # The weights' hash does not say how the model computes with them.
        "model": {k: v for k, v in backbone.facts().items() if k not in ("name", "source")},
        "method": method.name,
        "options": dataclasses.asdict(options),
        "int8": int8,
        "window": list(image.shape[-2:]),
        "versions": [__version__, torch.__version__, onnx_version(), _OPSET],
    }


class _PlainTrunk(Trunk):
    """Runs blocks by the methods' own attention: torch's makes a graph of far more nodes."""

    def _run(self, block: Any, x: Tensor) -> Tensor:
        attended = attention_output(block, x, self.grid, "qk")
        return combine(block, x, attended, _WHOLE_BLOCK)


class _Graph(nn.Module):
    """What is exported: normalised images to a method's tokens, and CLS for a bias."""

    def __init__(self, method: Method, backbone: Backbone, options: Any) -> None:
        super().__init__()
        self.visual = backbone.model.visual
        self._method, self._backbone, self._options = method, backbone, options

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        first = self._method.first_block(self._backbone.depth, self._options)
        exact = self._method.exact_positions
        trunk = _PlainTrunk(self._backbone, images, first=first, exact_positions=exact)
        features = self._method.features(trunk, self._options)
        # A CLS that nobody asks for may cost a pass through the model.
        return (
            (features.tokens, features.cls()) if self._options.bias_lambda else (features.tokens,)
        )


def _build(
    method: Method, backbone: Backbone, image: Tensor, options: Any, *, int8: bool, remedy: str
) -> bytes:
    """Return an ONNX file's content; `remedy` is what the message says if that fails."""
    try:
        graph = _export(method, backbone, image, options)
        return _int8(graph) if int8 else graph
    except EncodeError as error:
        raise EncodeError(error.what, remedy=remedy) from error


def _export(method: Method, backbone: Backbone, image: Tensor, options: Any) -> bytes:
    """Return a method on a model as an ONNX file's content, for windows like `image`, any batch."""
    file = io.BytesIO()
    names = ["tokens", "cls"] if options.bias_lambda else ["tokens"]
    try:
        with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
            warnings.simplefilter("ignore")
            backbone.positions(backbone.grid(image), exact=method.exact_positions)
            torch.onnx.export(
                _Graph(method, backbone, options).eval(),
                # Two of them: a batch of one may be traced as if it were always one.
                (image.clone().expand(2, -1, -1, -1),),
                # Typed for paths only.
                cast(Any, file),
                dynamo=False,
                opset_version=_OPSET,
                input_names=["images"],
                output_names=names,
                dynamic_axes={name: {0: "batch"} for name in ("images", *names)},
            )
    # Whatever the exporter raises, RuntimeError and its own.
    except Exception as error:
        raise EncodeError(
            f"{backbone.name} cannot be exported to ONNX ({first_line(error)})"
        ) from error
    return file.getvalue()


def _int8(graph: bytes) -> bytes:
    """Return a graph whose linear layers compute in int8, but for the last projection.

    Raises:
        EncodeError: ONNX Runtime cannot make it.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    try:
        model = onnx.load_from_string(graph)
        # Without this mark a line is logged that asks for an optimised graph.
        onnx.helper.set_model_props(model, {"onnx.quant.pre_process": "onnxruntime.quant"})
        weights = {each.name for each in model.graph.initializer}
        linear = [
            each
            for each in model.graph.node
            if each.op_type == "MatMul" and each.input[1] in weights
        ]
        # Of the patches, and of the CLS where a method asks for one.
        last = [each.name for each in linear if each.input[1] == linear[-1].input[1]]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "int8.onnx")
            quantize_dynamic(
                model, path, op_types_to_quantize=["MatMul"], nodes_to_exclude=last,
                per_channel=True, reduce_range=True, weight_type=QuantType.QInt8,
            )  # fmt: skip
            return path.read_bytes()
    # Its exceptions share no public base.
    except Exception as error:
        raise EncodeError(f"the graph cannot be quantized to int8 ({first_line(error)})") from error


def _with_note(graph: bytes, note: str) -> bytes:
    import onnx

    model = onnx.load_from_string(graph)
    onnx.helper.set_model_props(model, {"rsclip": note})
    content: bytes = model.SerializeToString()
    return content


def _names_files(path: Path) -> bool:
    """Tell whether a graph names files, which some releases of ONNX Runtime read anywhere."""
    # A tensor that lies in another file says by this key in which.
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return content.find(b"location") >= 0
