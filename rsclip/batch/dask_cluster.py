"""Scenes on an existing dask.distributed cluster, whose scheduler gives lost ones to others."""

import contextlib
import math
import queue
import threading
import time
import uuid
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

from rsclip.batch.dask_client import connect, hushed, within
from rsclip.batch.tasks import Listener, Outcome, Task
from rsclip.batch.worker import Models, failure, run_scene
from rsclip.errors import OptionError, RsclipError, RunError
from rsclip.run.encoder import ModelLoader
from rsclip.version import __version__

__all__ = ["Cluster"]

# Time for the cluster to say something that is there, such as its workers' versions.
_SECONDS = 30.0
# One topic for all batches: a scheduler keeps the last events of each for good.
_TOPIC = "rsclip"
_TELL_SECONDS = 1.0


class Cluster:
    """An executor: the workers of a cluster, which see the same files under the same paths.

    Args:
        address: Of the scheduler, such as tcp://host:8786.
        loader: Builds the model in place of `rsclip.run.encoder.load_model`
            (tests); can be pickled.

    Raises:
        OptionError: dask is not installed, nothing answers at the address, or workers run another
            rsclip.
    """

    def __init__(self, address: str, loader: ModelLoader | None = None) -> None:
        self._loader = loader
        self._address = address
        self._client = connect(address)
        try:
            self.workers = self._check_workers()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Leave the cluster as it was found."""
        with hushed(), contextlib.suppress(Exception):
            self._client.close(timeout=2)

    def __call__(
        self, tasks: Sequence[Task], root: Path, listener: Listener
    ) -> Generator[Outcome, None, None]:
        """Yield every task's outcome as it ends; the cluster is left at the end.

        Raises:
            InputError: The model cannot be used for any scene.
        """
        if not self.workers:
            listener.note(f"{self._address}: no worker yet; scenes begin when one joins")
        # What the cluster says, in threads of its own: futures that end, and progress.
        said: queue.SimpleQueue[Any] = queue.SimpleQueue()
        begun: dict[str, tuple[Any, Task]] = {}

        def begin(task: Task) -> None:
            future = self._submit(task, root)
            begun[future.key] = future, task
            future.add_done_callback(said.put)

        # Those that waited on a worker when another scene brought it down are suspected with it:
        # each is tried once more, alone.
        suspects: list[Task] = []
        dropped: list[Task] = []
        tries = 1
        # A cluster that goes away is told by us, once.
        with hushed():
            try:
                self._client.subscribe_topic(_TOPIC, said.put)
                for task in tasks:
                    begin(task)
                while begun:
                    future = said.get()
                    if isinstance(future, tuple):
                        _show(future[1], begun, listener)
                        continue
                    _, task = begun.pop(future.key)
                    if tries == 1 and _was_lost(future):
                        listener.note(f"{task.name}: its worker was lost; it is tried once more")
                        suspects.append(task)
                    elif (outcome := self._outcome(future, task)) is None:
                        dropped.append(task)
                    else:
                        yield outcome.replace(tries=tries)
                    if self._client.status != "running":
                        break
                    if suspects and not begun:
                        tries = 2
                        begin(suspects.pop(0))
                if left := len(dropped) + len(begun) + len(suspects):
                    listener.note(self._what_became(left))
            finally:
                if begun:
                    with contextlib.suppress(Exception):
                        self._client.cancel([future for future, _ in begun.values()], force=True)
                self.close()

    def _submit(self, task: Task, root: Path) -> Any:
        # A key of another batch must not be taken for ours.
        key = f"rsclip-{task.name}-{uuid.uuid4().hex}"
        return self._client.submit(_run, task, str(root), self._loader, key=key, pure=False)

    def _outcome(self, future: Any, task: Task) -> Outcome | None:
        """Return the outcome; None where the cluster has dropped the task."""
        try:
            error = future.exception(timeout=_SECONDS)
            if error is None:
                outcome: Outcome = future.result(timeout=_SECONDS)
                return outcome
        except (CancelledError, TimeoutError, OSError):
            return None
        if isinstance(error, RsclipError):
            raise error
        if type(error).__name__ == "KilledWorker":
            return failure(task, _lost(task, "its worker was lost, again and again"))
        reason = " ".join(str(error).split())
        return failure(task, _lost(task, f"the cluster failed: {type(error).__name__}: {reason}"))

    def _what_became(self, left: int) -> str:
        how = (
            "the cluster has dropped them (restarted, or cancelled by somebody)"
            if self._client.status == "running"
            else "the scheduler is gone"
        )
        return f"{self._address}: {how}; scenes that are left for another run: {left}"

    def _check_workers(self) -> int:
        """Refuse workers without this rsclip: they would fail scene by scene, or differ."""
        try:
            with hushed():
                said = within(_SECONDS, lambda: self._client.run(_version, on_error="return"))
        except (TimeoutError, OSError) as error:
            raise OptionError(
                f"not all workers of {self._address} have answered within {_SECONDS:g} s",
                where="--dask",
                remedy="The log of its scheduler says which, and why.",
            ) from error
        for worker, version in said.items():
            if isinstance(version, BaseException):
                raise OptionError(
                    f"the worker {worker} cannot run rsclip: {version}",
                    where="--dask",
                    remedy=f"Install rsclip {__version__} on all workers.",
                )
            if version != __version__:
                raise OptionError(
                    f"the worker {worker} has rsclip {version}, this is {__version__}",
                    where="--dask",
                    remedy="Install the same version on all workers.",
                )
        return len(said)


# What a worker process holds. One scene at a time: more threads would only share one model.
_turn = threading.Lock()
_models: dict[Any, Models] = {}


def _run(task: Task, root: str, loader: ModelLoader | None) -> Outcome:
    with _turn:
        tell = _Teller()
        models = _models.setdefault(loader, Models(loader))
        return run_scene(task, root, models, tell, worker=tell.name)


class _Teller:
    """Tells of the scene at work, in a worker: at its beginning, then now and then."""

    def __init__(self) -> None:
        from distributed import get_worker

        self._worker = get_worker()
        self._key = self._worker.get_current_task()
        self.name = str(self._worker.name)
        self._last = -math.inf
        self(0, 0)

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last >= _TELL_SECONDS or done == total:
            self._last = now
            message = {"key": self._key, "name": self.name, "windows": [done, total]}
            # What is only to be looked at must not cost a scene.
            with contextlib.suppress(Exception):
                self._worker.log_event(_TOPIC, message)


def _show(message: Any, begun: Mapping[str, tuple[Any, Task]], listener: Listener) -> None:
    """Pass on what a worker tells; another batch's workers are heard too."""
    if message["key"] not in begun:
        return
    done, total = message["windows"]
    if total:
        listener.advance(message["name"], done, total)
    else:
        listener.start(message["name"], begun[message["key"]][1])


def _version() -> str:
    from rsclip.version import __version__

    return __version__


def _was_lost(future: Any) -> bool:
    return future.status == "error" and type(future.exception()).__name__ == "KilledWorker"


def _lost(task: Task, what: str) -> RunError:
    return RunError(what, where=task.source, remedy="The log of the cluster's workers says more.")
