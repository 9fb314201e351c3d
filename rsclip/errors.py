"""Every error and warning of rsclip, in one tree.

    RsclipError
    ├── InputError            wrong before any pixel is read          exit 2
    │   ├── OptionError       an option or a configuration key or value
    │   │   └── AreaError     an area of interest with no pixel of the scene
    │   ├── LegendError       class words or a class file
    │   ├── SceneError        a scene that cannot be opened or used
    │   ├── ModelError        a model or its weights
    │   ├── AdapterError      an adapter that is damaged or was fitted for something else
    │   ├── DeviceError       a compute device that is not there
    │   └── OutputError       an output that cannot be written
    │       └── ExistsError   outputs of another run are in its place
    ├── RunError              anything after                          exit 1
    │   ├── ReadError         pixels that cannot be read
    │   ├── EncodeError       the encoder failed (memory, device)
    │   └── WriteError        an output that cannot be finished
    └── BatchError            scenes of a batch that failed           exit 3

Exit codes are read from here by the command line only.
"""

import contextlib
import sys
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path

from rsclip.wording import named

__all__ = [
    "AdapterError",
    "AreaError",
    "BatchError",
    "DeviceError",
    "EncodeError",
    "ExistsError",
    "InputError",
    "LegendError",
    "ModelError",
    "OptionError",
    "OutputError",
    "ReadError",
    "RsclipError",
    "RsclipWarning",
    "RunError",
    "SceneError",
    "WriteError",
    "collect_warnings",
    "first_line",
    "is_memory_error",
    "out_of_memory",
    "warn",
]

_listeners: ContextVar[tuple[list[str], ...]] = ContextVar("listeners", default=())
_PACKAGE = str(Path(__file__).resolve().parent)


class RsclipError(Exception):
    """Base of every error a user can cause or meet.

    Args:
        what: What is wrong, one clause without a full stop.
        where: The file, option, class or window concerned.
        remedy: What the user can do about it, one sentence.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: object = None, remedy: str | None = None) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.remedy = remedy
        super().__init__(str(self))

    def __str__(self) -> str:
        """One message: where: what. Remedy. Options are named as the user at hand writes them."""
        text = f"{self.where}: {self.what}" if self.where else self.what
        return named(f"{text}. {self.remedy}" if self.remedy else text)


class InputError(RsclipError):
    """Something is wrong before any pixel is read."""

    exit_code = 2


class OptionError(InputError):
    """An option, or a configuration key or value, is wrong."""


class AreaError(OptionError):
    """The area of interest holds no pixel of the scene."""


class LegendError(InputError):
    """The class words or the class file are wrong."""


class SceneError(InputError):
    """The scene cannot be opened, or is of a kind that cannot be segmented."""


class ModelError(InputError):
    """The model is unknown, absent or does not fit its weights."""


class AdapterError(InputError):
    """The adapter is absent or damaged, or was fitted for another model, method or classes."""


class DeviceError(InputError):
    """The compute device asked for is not there."""


class OutputError(InputError):
    """An output, or its folder, cannot be written."""


class ExistsError(OutputError):
    """Outputs are there already, and may not be replaced."""


class RunError(RsclipError):
    """Something failed after the work had begun."""


class ReadError(RunError):
    """Pixels of a scene cannot be read."""


class EncodeError(RunError):
    """The encoder failed: out of memory, or a device error."""


class WriteError(RunError):
    """An output cannot be written to its end."""


class BatchError(RsclipError):
    """Scenes of a batch failed; the others are done."""

    exit_code = 3


class RsclipWarning(UserWarning):
    """Something the user should know, though the work goes on."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or the name of its class where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


# torch has a RuntimeError of its own on each device, and its libraries may not fit in.
_OUT_OF_MEMORY = (
    "not enough memory", "can't allocate memory", "cannot allocate memory", "out of memory",
    "failed to map segment", "failed to allocate memory",
)  # fmt: skip


def is_memory_error(error: BaseException) -> bool:
    """Tell whether an error of Python or torch means that memory ran out."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in _OUT_OF_MEMORY)


def out_of_memory(
    where: object,
    doing: str = "",
    remedy: str = "Use --max-memory, a smaller --batch-size, fewer classes or, in a batch, fewer "
    "--jobs; `rsclip info` estimates the need.",
) -> RunError:
    """Return the error of a run that this machine's memory does not suffice for.

    Args:
        where: The scene, folder or model concerned.
        doing: What the memory was needed for, such as "to load the model".
        remedy: What the user can do about it.
    """
    what = f"the memory of this machine does not suffice {doing}".rstrip()
    return RunError(what, where=where, remedy=remedy)


def warn(text: str) -> None:
    """Issue an `RsclipWarning` that points at the first caller outside rsclip.

    Args:
        text: What the user should know, one line.
    """
    text = named(text)
    for texts in _listeners.get():
        if text not in texts:
            texts.append(text)
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and _is_ours(frame.f_code.co_filename):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, RsclipWarning, stacklevel=level)


@contextlib.contextmanager
def collect_warnings() -> Iterator[list[str]]:
    """Collect the texts of this thread's warnings, each once; they are issued all the same."""
    texts: list[str] = []
    token = _listeners.set((*_listeners.get(), texts))
    try:
        yield texts
    finally:
        _listeners.reset(token)


def _is_ours(file: str) -> bool:
    # A generator-based context manager or a lazy iterator puts the standard library in between.
    return file.startswith(_PACKAGE) or Path(file).name == "contextlib.py"
