"""A method's image features computed by ONNX Runtime on a CPU (`--engine onnx`).

The graph holds the image tower as the method runs it. Words are compared outside of it: other words
need no other graph.
"""

import dataclasses
import hashlib
import importlib.util
import io
import json
import warnings
from pathlib import Path
from typing import Any, cast

import filelock
import torch
from torch import Tensor, nn

from rsclip.errors import EncodeError, OptionError, first_line, warn
from rsclip.files import cache_folder, new_file
from rsclip.methods.base import DenseFeatures, Method
from rsclip.model import Backbone, Trunk
from rsclip.types import Shape
from rsclip.version import __version__

__all__ = ["on_onnx", "onnx_version"]

_OPSET = 17


def onnx_version() -> str:
    """Return ONNX Runtime's name and version.

    Raises:
        OptionError: It is not installed.
    """
    missing = [each for each in ("onnx", "onnxruntime") if importlib.util.find_spec(each) is None]
    if missing:
        raise OptionError(
            f"not installed: {', '.join(missing)}",
            where="--engine=onnx",
            remedy='Install it: pip install "rsclip[onnx]".',
        )
    import onnxruntime

    return f"onnxruntime {onnxruntime.__version__}"


def on_onnx(method: Method, backbone: Backbone) -> Method:
    """Return a method whose features ONNX Runtime computes; as it is, with a warning, if it cannot.

    Args:
        method: The method.
        backbone: The model, on a CPU and in float32.
    """
    if not method.fixed_graph:
        warn(f"the method {method.name} is no fixed graph: PyTorch runs it, not ONNX Runtime")
        return method
    return dataclasses.replace(method, features=_OnnxFeatures(method, backbone))


class _OnnxFeatures:
    """Stands in for `Method.features`; a session for each size of windows and each options."""

    def __init__(self, method: Method, backbone: Backbone) -> None:
        self._method, self._backbone = method, backbone
        self._sessions: dict[tuple[Shape, Any], Any] = {}

    def __call__(self, trunk: Trunk, options: Any) -> DenseFeatures:
        key = (trunk.grid, options)
        if key not in self._sessions:
            self._sessions[key] = self._session(trunk.images[:1], options)
        outputs = self._sessions[key].run(None, {"images": trunk.images.numpy()})
        tokens, *cls = (torch.from_numpy(each) for each in outputs)
        # Asked for without a bias, the list is empty, which is an error in the method.
        return DenseFeatures(tokens, lambda: cls[0])

    def _session(self, image: Tensor, options: Any) -> Any:
        folder = cache_folder()
        if folder is None:
            return _open(_export(self._method, self._backbone, image, options))
        path = folder / "engines" / f"{self._identity(image, options)}.onnx"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Whoever comes second waits, and reads what the first has built.
            with filelock.FileLock(path.with_suffix(".lock")):
                return self._kept(path, image, options)
        except OSError as error:
            warn(f"the graph cannot be kept in {path.parent} ({first_line(error)})")
            return _open(_export(self._method, self._backbone, image, options))

    def _kept(self, path: Path, image: Tensor, options: Any) -> Any:
        if path.is_file():
            try:
                return _open(path.read_bytes())
            except EncodeError:
                # Damaged on the disk: it is built again.
                path.unlink()
        graph = _export(self._method, self._backbone, image, options)
        with new_file(path) as draft:
            draft.write_bytes(graph)
        return _open(graph)

    def _identity(self, image: Tensor, options: Any) -> str:
        facts = {
            # The weights' hash does not say how the model computes with them.
            "model": {
                k: v for k, v in self._backbone.facts().items() if k not in ("name", "source")
            },
            "method": self._method.name,
            "options": dataclasses.asdict(options),
            "window": list(image.shape[-2:]),
            "versions": [__version__, torch.__version__, onnx_version(), _OPSET],
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


class _Graph(nn.Module):
    """What is exported: normalised images to a method's tokens, and CLS for a bias."""

    def __init__(self, method: Method, backbone: Backbone, options: Any) -> None:
        super().__init__()
        self.visual = backbone.model.visual
        self._method, self._backbone, self._options = method, backbone, options

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        first = self._method.first_block(self._backbone.depth, self._options)
        exact = self._method.exact_positions
        trunk = Trunk(self._backbone, images, first=first, exact_positions=exact)
        features = self._method.features(trunk, self._options)
        # A CLS that nobody asks for may cost a pass through the model.
        return (
            (features.tokens, features.cls()) if self._options.bias_lambda else (features.tokens,)
        )


def _export(method: Method, backbone: Backbone, image: Tensor, options: Any) -> bytes:
    """Return a method on a model as an ONNX file's content, for windows like `image`, any batch."""
    file = io.BytesIO()
    names = ["tokens", "cls"] if options.bias_lambda else ["tokens"]
    # Fused attention has no counterpart in ONNX.
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
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
            f"{backbone.name} cannot be exported to ONNX ({first_line(error)})",
            remedy="Use --engine=torch.",
        ) from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return file.getvalue()


def _open(graph: bytes) -> Any:
    """Return a session with as many threads as PyTorch uses.

    Raises:
        EncodeError: ONNX Runtime does not take it.
    """
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    settings.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(graph, settings, providers=["CPUExecutionProvider"])
    # Its exceptions share no public base.
    except Exception as error:
        raise EncodeError(
            f"ONNX Runtime does not take the graph ({first_line(error)})",
            remedy="Use --engine=torch.",
        ) from error
