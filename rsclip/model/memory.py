"""Did the memory not suffice? One answer for Python's errors and torch's."""

import contextlib
from collections.abc import Iterator

from rsclip.errors import RunError

__all__ = ["enough_memory", "is_memory_error"]

_OF_TORCH = ("not enough memory", "can't allocate memory", "out of memory")


def is_memory_error(error: BaseException) -> bool:
    """Tell whether an error of torch or Python means that the memory did not suffice."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in _OF_TORCH)


@contextlib.contextmanager
def enough_memory(name: str) -> Iterator[None]:
    """Say in one message that a model does not fit into the memory.

    Raises:
        RunError: The block ran out of memory.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_memory_error(error):
            raise
        raise RunError(
            "the memory of this machine does not suffice to load the model",
            where=name,
            remedy="Close other programs, use fewer --jobs, or choose a smaller model (--model).",
        ) from error
