"""The way to a dask scheduler: a knock under a deadline first, its library's own lines hushed."""

import asyncio
import contextlib
import importlib.util
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from rsclip.errors import OptionError

__all__ = ["connect", "hushed", "reach", "within"]

# With what starting and ending a process takes, an address is refused within ten seconds.
_SECONDS = 5.0

_T = TypeVar("_T")


def connect(address: str) -> Any:
    """Return a client of a scheduler.

    A client that meets something else waits for ever, or fails again as it is thrown away; so
    none is made before the address has answered as a scheduler does.

    Args:
        address: Such as tcp://host:8786.

    Raises:
        OptionError: dask is not installed, or no scheduler answers at the address in time.
    """
    reach(address)
    import distributed

    with _told(address):
        return within(
            _SECONDS, lambda: distributed.Client(address, timeout=_SECONDS, set_as_default=False)
        )


def reach(address: str) -> None:
    """Knock at a scheduler's door, no more.

    Raises:
        OptionError: As `connect` does.
    """
    if importlib.util.find_spec("distributed") is None:
        raise OptionError(
            "dask.distributed is not installed",
            where="--dask",
            remedy='Install it: pip install "rsclip[dask]".',
        )
    with _told(address):
        kind = within(_SECONDS, lambda: asyncio.run(_knock(address)))
        if kind != "Scheduler":
            raise ValueError(f"it is a dask {kind}")


@contextlib.contextmanager
def _told(address: str) -> Iterator[None]:
    try:
        with hushed():
            yield
    # A stranger's answer, read as dask's, can end in any error.
    except Exception as error:
        raise OptionError(
            f"no dask scheduler answers at {address}: {_reason(error)}",
            where="--dask",
            remedy="Check the address, such as tcp://host:8786, and that its scheduler runs.",
        ) from error


def within(seconds: float, work: Callable[[], _T]) -> _T:
    """Return what a function returns, in a thread that is left behind when time is over.

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
        raise TimeoutError("its time is over")
    return results[0]


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Keep the library's own lines off the screen: what matters is said in our words."""
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
        return "what answers there is not dask"
    return " ".join(str(error).split()) or type(error).__name__


async def _knock(address: str) -> str:
    """Return what kind of dask server answers."""
    import distributed
    from distributed.security import Security

    # What a scheduler behind TLS asks for, from dask's configuration as a client takes it.
    options = Security().get_connection_args("client")

    async def ask() -> str:
        async with distributed.rpc(address, timeout=_SECONDS, connection_args=options) as server:
            return str((await server.identity())["type"])

    # One timeout covers the handshake too, which the library itself waits for without end.
    return await asyncio.wait_for(ask(), _SECONDS - 0.5)
