"""Import open_clip, without what a plain CLIP never calls of the libraries below it.

open_clip imports timm, torchvision and huggingface_hub, and torchvision imports torch's compiler:
together they take as long as torch itself. So the command line imports its package and some of
theirs without their `__init__` first. The modules in them that a CLIP is made of are the real ones,
and all else of a package loads when it is first asked for. Where a release does not bear that, and
in other programs than the command line, open_clip is imported as it is.

torchvision's default Linux wheel is built for CUDA: beside a CPU-only torch its operators stay
unloaded, and its import ends in "operator torchvision::nms does not exist". rsclip calls none of
these operators, so that their schemas alone are enough.
"""

import contextlib
import importlib
import importlib.util
import re
import sys
import threading
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from rsclip.errors import ModelError
from rsclip.own_process import is_own

__all__ = ["import_open_clip", "knows_models"]

# In the order in which they are imported; torchvision's parts are packages of their own.
_DEFERRED = ("torchvision", "torchvision.ops", "torchvision.models", "timm", "open_clip")
_NEEDED = ("open_clip.coca_model", "open_clip.constants", "open_clip.tokenizer")
_LIBRARIES = ("open_clip", "timm", "torchvision")
# Of the names with underscores, only these come from an `__init__`.
_OF_INIT = ("__all__", "__version__")
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
        if is_own() and not any(name in sys.modules for name in _LIBRARIES):
            with contextlib.suppress(Exception), _deferring():
                for name in _NEEDED:
                    importlib.import_module(name)
        return _with_operators(lambda: importlib.import_module("open_clip"))


def knows_models() -> bool:
    """Say whether open_clip is imported whole, so that models may have been added to it."""
    return type(sys.modules.get("open_clip")) is ModuleType


def _with_operators(load: Callable[[], Any]) -> Any:
    """Load what imports torchvision, once more with its schemas registered if they are missing."""
    try:
        return load()
    except RuntimeError as error:
        if not _MISSING.search(str(error)) or _libraries:
            raise
    _register_operators()
    try:
        return load()
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


@contextlib.contextmanager
def _deferring() -> Iterator[None]:
    """Import packages without their `__init__`; after an error, none of them is imported."""
    try:
        for name in _DEFERRED:
            if (spec := importlib.util.find_spec(name)) is None:
                continue
            package = _Deferred(name)
            package.__spec__, package.__loader__ = spec, spec.loader
            package.__file__, package.__package__ = spec.origin, name
            package.__path__ = spec.submodule_search_locations or []
            sys.modules[name] = package
            parent, _, child = name.rpartition(".")
            if parent:
                setattr(sys.modules[parent], child, package)
        yield
    except BaseException:
        for name in [name for name in sys.modules if name.partition(".")[0] in _LIBRARIES]:
            del sys.modules[name]
        raise


class _Deferred(ModuleType):
    """A package whose `__init__` runs when a name is asked for that is not there yet."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in _OF_INIT:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        top = sys.modules[self.__name__.partition(".")[0]]
        for package in dict.fromkeys((top, self)):
            if isinstance(package, _Deferred):
                package._run_init()
        return getattr(self, name)

    def _run_init(self) -> None:
        # Of a plain module, as any other from here on: what it imports may ask for its names.
        self.__class__ = ModuleType  # type: ignore[assignment]
        try:
            loader: Any = self.__loader__
            _with_operators(lambda: loader.exec_module(self))
        except BaseException:
            self.__class__ = _Deferred
            raise
