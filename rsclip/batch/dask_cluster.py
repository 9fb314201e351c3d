"""Scenes on an existing dask.distributed cluster, which runs the scenes of a lost worker again."""

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

from rsclip.batch.dask_client import connect, quiet_logs, with_deadline
from rsclip.batch.tasks import Listener, Outcome, Task
from rsclip.batch.worker import Models, failed_outcome, run_scene
from rsclip.errors import OptionError, RsclipError, RunError
from rsclip.run.encoder import ModelLoader
from rsclip.version import __version__
from rsclip.wording import names_are_flags, naming_flags

__all__ = ["Cluster"]

# How long the cluster may take to answer a question, such as its workers' versions.
_SECONDS = 30.0
# One topic for all batches: a scheduler never forgets a topic.
_TOPIC = "rsclip"
_REPORT_SECONDS = 1.0


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
        with quiet_logs(), contextlib.suppress(Exception):
            self._client.close(timeout=2)

    def __call__(
        self, tasks: Sequence[Task], root: Path, listener: Listener
    ) -> Generator[Outcome, None, None]:
        """Yield every task's outcome as it ends; the cluster is left at the end.

        Raises:
            InputError: The model cannot be used for any scene.
        """
        if not self.workers:
            listener.note(
                f"{self._address}: the cluster has no worker yet; scenes begin when one joins"
            )
        # Filled by threads of the client: futures that have ended, and progress.
        events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        begun: dict[str, tuple[Any, Task]] = {}
        batch = uuid.uuid4().hex

        def begin(task: Task) -> None:
            future = self._submit(task, root, batch)
            begun[future.key] = future, task
            future.add_done_callback(events.put)

        # When a worker goes down, the scenes that waited there are suspected too: each is tried
        # once more, alone.
        suspects: list[Task] = []
        dropped: list[Task] = []
        tries = 1
        # That the cluster has gone away is reported once, in our words.
        with quiet_logs():
            try:
                self._client.subscribe_topic(_TOPIC, events.put)
                for task in tasks:
                    begin(task)
                while begun:
                    future = events.get()
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
                    listener.note(self._why_unfinished(left))
            finally:
                if begun:
                    with contextlib.suppress(Exception):
                        self._client.cancel([future for future, _ in begun.values()], force=True)
                self.close()

    def _submit(self, task: Task, root: Path, batch: str) -> Any:
        # Another batch, or the first try, must not have the same key.
        key = f"rsclip-{task.name}-{uuid.uuid4().hex}"
        return self._client.submit(
            _run, task, str(root), self._loader, batch, names_are_flags(), key=key, pure=False
        )

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
            return failed_outcome(
                task, _lost(task, "several workers were lost while they worked on it")
            )
        reason = " ".join(str(error).split())
        return failed_outcome(
            task, _lost(task, f"the cluster failed: {type(error).__name__}: {reason}")
        )

    def _why_unfinished(self, left: int) -> str:
        how = (
            "the cluster has dropped tasks (it was restarted, or somebody cancelled them)"
            if self._client.status == "running"
            else "the scheduler is gone"
        )
        return f"{self._address}: {how}; left for another run: {left}"

    def _check_workers(self) -> int:
        """Refuse workers without this version of rsclip; return how many workers there are."""
        try:
            with quiet_logs():
                answers = with_deadline(
                    _SECONDS, lambda: self._client.run(_version, on_error="return")
                )
        except (TimeoutError, OSError) as error:
            raise OptionError(
                f"some workers of {self._address} did not answer within {_SECONDS:g} s",
                where="--dask",
                remedy="The scheduler's log names them.",
            ) from error
        for worker, version in answers.items():
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
        return len(answers)


# State of a worker process, which does one scene at a time: threads would share one model.
_one_scene = threading.Lock()
# Of one batch only: for the next one, files of the same names may hold other classes and weights.
_models: dict[str, Models] = {}


def _run(task: Task, root: str, loader: ModelLoader | None, batch: str, flags: bool) -> Outcome:
    with _one_scene, naming_flags(flags):
        progress = _Progress()
        if batch not in _models:
            _models.clear()
            _models[batch] = Models(loader)
        return run_scene(task, root, _models[batch], progress, worker=progress.name)


class _Progress:
    """Sends the progress of a worker's scene to the client: at its beginning, then each second."""

    def __init__(self) -> None:
        from distributed import get_worker

        self._worker = get_worker()
        self._key = self._worker.get_current_task()
        self.name = str(self._worker.name)
        self._last = -math.inf
        self(0, 0)

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last >= _REPORT_SECONDS or done == total:
            self._last = now
            message = {"key": self._key, "name": self.name, "windows": [done, total]}
            # A progress message that cannot be sent must not fail the scene.
            with contextlib.suppress(Exception):
                self._worker.log_event(_TOPIC, message)


def _show(message: Any, begun: Mapping[str, tuple[Any, Task]], listener: Listener) -> None:
    """Pass a worker's progress on; messages of other batches, which share the topic, are left."""
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
    return RunError(what, where=task.source, remedy="The logs of the cluster's workers say more.")
