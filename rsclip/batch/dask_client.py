"""A client of a dask scheduler that has answered in time; dask's own log lines are silenced."""

import asyncio
import contextlib
import importlib.util
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from rsclip.errors import OptionError

__all__ = ["check_scheduler", "connect", "quiet_logs", "with_deadline"]

# Together with the start and end of the process, a wrong address is refused within ten seconds.
_SECONDS = 5.0

_T = TypeVar("_T")


def connect(address: str) -> Any:
    """Return a client of a scheduler.

    A client of something else waits for ever, or fails once more when it is deleted; so none is
    made before the address has answered as a scheduler.

    Args:
        address: Such as tcp://host:8786.

    Raises:
        OptionError: dask is not installed, or no scheduler answers at the address in time.
    """
    check_scheduler(address)
    import distributed

    with _refused_in_our_words(address):
        return with_deadline(
            _SECONDS, lambda: distributed.Client(address, timeout=_SECONDS, set_as_default=False)
        )


def check_scheduler(address: str) -> None:
    """Check that a scheduler answers at an address.

    Raises:
        OptionError: As `connect` does.
    """
    if importlib.util.find_spec("distributed") is None:
        raise OptionError(
            "dask.distributed is not installed",
            where="--dask",
            remedy='Install it: pip install "rsclip[dask]".',
        )
    with _refused_in_our_words(address):
        kind = with_deadline(_SECONDS, lambda: asyncio.run(_server_type(address)))
        if kind != "Scheduler":
            raise ValueError(f"there is a dask {kind}")


@contextlib.contextmanager
def _refused_in_our_words(address: str) -> Iterator[None]:
    try:
        with quiet_logs():
            yield
    # The answer of another program, read as dask's, can end in any error.
    except Exception as error:
        raise OptionError(
            f"no dask scheduler answers at {address}: {_reason(error)}",
            where="--dask",
            remedy="Check the address, such as tcp://host:8786, and that its scheduler runs.",
        ) from error


def with_deadline(seconds: float, work: Callable[[], _T]) -> _T:
    """Return what a function returns; after the deadline, its thread is abandoned.

    Raises:
        TimeoutError: It has not returned.
        Exception: What it raised.
    """
    results: list[_T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="rsclip-dask", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TimeoutError("the deadline has passed")
    return results[0]


@contextlib.contextmanager
def quiet_logs() -> Iterator[None]:
    """Silence dask's own log lines: errors are reported in our words."""
    families = "distributed", "tornado", "asyncio"
    # Children have levels of their own, which a parent's does not change.
    names = [*families]
    names += [name for name in logging.root.manager.loggerDict if name.startswith(families)]
    levels = {name: logging.getLogger(name).level for name in names}
    for name in levels:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {_SECONDS:g} s"
    if isinstance(error, MemoryError):
        # Bytes of another protocol, read as the length of a message.
        return "another program answers there"
    return " ".join(str(error).split()) or type(error).__name__


async def _server_type(address: str) -> str:
    """Return what kind of dask server answers."""
    import distributed
    from distributed.security import Security

    # A scheduler behind TLS needs the certificates of dask's configuration, as a client does.
    options = Security().get_connection_args("client")

    async def ask() -> str:
        async with distributed.rpc(address, timeout=_SECONDS, connection_args=options) as server:
            return str((await server.identity())["type"])

    # One timeout covers the handshake too, which the library itself waits for without end.
    return await asyncio.wait_for(ask(), _SECONDS - 0.5)
