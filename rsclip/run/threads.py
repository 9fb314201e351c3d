"""Overlap reading, encoding and writing: two small helpers around one thread each."""

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Generic, TypeVar

__all__ = ["Worker", "prefetch"]

T = TypeVar("T")

_POLL_SECONDS = 0.1
_END = object()


def prefetch(items: Iterable[T], depth: int) -> Iterator[T]:
    """Yield from an iterable that runs ahead in a thread of its own.

    Args:
        items: Consumed, and closed if it is a generator, in the thread; an exception there is
            raised here, in order.
        depth: How many items may wait.
    """
    waiting: queue.Queue[object] = queue.Queue(depth)
    stopped = threading.Event()

    def run() -> None:
        source = iter(items)
        try:
            for item in source:
                if not _offer(waiting, item, stopped):
                    break
            # A generator left half-way must end here: what it holds, such as a GDAL environment,
            # belongs to this thread.
            if isinstance(source, Generator):
                source.close()
        except BaseException as error:
            _offer(waiting, _Failure(error), stopped)
        else:
            _offer(waiting, _END, stopped)

    thread = threading.Thread(target=run, name="rsclip-reader", daemon=True)
    thread.start()
    try:
        while (item := waiting.get()) is not _END:
            if isinstance(item, _Failure):
                raise item.error
            yield item  # type: ignore[misc]  # the queue holds T, _END or _Failure
    finally:
        stopped.set()
        thread.join()


class Worker(Generic[T]):
    """Feed items to a function in a thread of its own; leaving the block waits for the last.

    Args:
        consume: Called with each item in order.
        depth: How many items may wait.
    """

    def __init__(self, consume: Callable[[T], None], depth: int) -> None:
        self._consume = consume
        self._waiting: queue.Queue[object] = queue.Queue(depth)
        self._stopped = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="rsclip-writer", daemon=True)

    def __enter__(self) -> "Worker[T]":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                _offer(self._waiting, _END, self._stopped)
            else:
                self._stopped.set()
            self._thread.join()
        except BaseException:
            # Ctrl-C while waiting: what the function works on is about to go away.
            self._stopped.set()
            self._thread.join()
            raise
        if kind is None:
            self._raise()

    def put(self, item: T) -> None:
        """Hand over one item, waiting for room; raise what the function raised before."""
        if not _offer(self._waiting, item, self._stopped):
            self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._stopped.is_set():
                try:
                    item = self._waiting.get(timeout=_POLL_SECONDS)
                except queue.Empty:
                    continue
                if item is _END:
                    return
                self._consume(item)  # type: ignore[arg-type]  # the queue holds T or _END
        except BaseException as error:
            self._error = error
            self._stopped.set()


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


def _offer(waiting: "queue.Queue[object]", item: object, stopped: threading.Event) -> bool:
    """Put an item unless the other side has stopped; say whether it was put."""
    while not stopped.is_set():
        try:
            waiting.put(item, timeout=_POLL_SECONDS)
        except queue.Full:
            continue
        return True
    return False
