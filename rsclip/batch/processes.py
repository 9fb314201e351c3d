"""Worker processes on this machine; a worker that dies costs its scene a try and is replaced."""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import sys
import time
import types
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from rsclip.batch.orphans import run_watched
from rsclip.batch.tasks import Listener, Outcome, Task
from rsclip.batch.worker import Models, failed_outcome, run_scene
from rsclip.errors import InputError, RsclipError, RunError
from rsclip.run.encoder import ModelLoader
from rsclip.wording import names_are_flags, naming_flags

__all__ = ["ProcessPool", "gpus_for", "only_one"]

_TRIES = 2
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_REPORT_SECONDS = 0.2
# How long a worker may take after SIGTERM to save its finished rows.
_STOP_SECONDS = 10.0


class ProcessPool:
    """An executor: processes of this machine, each with its own model.

    Args:
        workers: Number of processes.
        gpus: Devices, as CUDA_VISIBLE_DEVICES names them, one for each worker; without any, all
            workers see what this process sees.
        loader: Builds the model in place of `rsclip.run.encoder.load_model` (tests); a function
            of a module.
    """

    def __init__(
        self, workers: int, gpus: Sequence[str] = (), loader: ModelLoader | None = None
    ) -> None:
        self.workers = workers
        self._gpus = gpus
        self._loader = loader

    def __call__(
        self, tasks: Sequence[Task], root: Path, listener: Listener
    ) -> Generator[Outcome, None, None]:
        """Yield every task's outcome as it ends.

        Raises:
            InputError: The model cannot be used for any scene.
        """
        waiting = deque(range(len(tasks)))
        tries = [0] * len(tasks)
        workers: list[_Worker | None] = [None] * min(self.workers, len(tasks))
        try:
            while True:
                for place, worker in enumerate(workers):
                    if waiting and (worker is None or worker.task is None):
                        worker = worker or self._start_worker(place, root)
                        workers[place] = worker
                        number = waiting.popleft()
                        tries[number] += 1
                        worker.give(number, tasks[number])
                        listener.start(worker.name, tasks[number])
                busy = {
                    item.pipe: item
                    for item in workers
                    if item is not None and item.task is not None
                }
                if not busy:
                    return
                for pipe in multiprocessing.connection.wait(list(busy)):
                    worker = busy[pipe]  # type: ignore[index]
                    assert worker.task is not None
                    number = worker.task
                    message = worker.receive()
                    if message is None:
                        workers[workers.index(worker)] = None
                        how = worker.how_it_ended()
                        if tries[number] < _TRIES:
                            waiting.append(number)
                            listener.note(f"{tasks[number].name}: {how}; it is tried once more")
                            continue
                        lost = failed_outcome(tasks[number], _lost(tasks[number], how), worker.age)
                        yield lost.replace(tries=tries[number], worker=worker.name)
                    elif isinstance(message, RsclipError):
                        raise message
                    elif isinstance(message, Outcome):
                        worker.task = None
                        yield message.replace(tries=tries[number])
                    else:
                        listener.advance(worker.name, *message)
        finally:
            _stop_workers([worker for worker in workers if worker is not None])

    def _start_worker(self, place: int, root: Path) -> "_Worker":
        gpu = self._gpus[place % len(self._gpus)] if self._gpus else None
        threads = max(1, _cores() // self.workers)
        name = f"worker {place + 1}" + (f" (GPU {gpu})" if gpu else "")
        return _Worker(name, root, _environment(threads, gpu), self._loader)


class _Worker:
    """One process and the pipe to it."""

    def __init__(
        self, name: str, root: Path, environment: dict[str, str], loader: ModelLoader | None
    ) -> None:
        self.name = name
        self.task: int | None = None
        self._began = time.monotonic()
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(
            target=run_watched,
            args=(theirs, pickle.dumps((_work, name, str(root), loader, names_are_flags()))),
            name=name,
            daemon=True,
        )
        # Libraries read their thread counts as they load: before our code runs there.
        with _changed_environment(environment), _without_main():
            self.process.start()
        theirs.close()

    @property
    def age(self) -> float:
        """Seconds since its scene was begun."""
        return time.monotonic() - self._began

    def give(self, number: int, task: Task) -> None:
        """Begin a scene. That the worker is dead by now shows when its answer is read."""
        self.task, self._began = number, time.monotonic()
        with contextlib.suppress(OSError):
            self.pipe.send(task)

    def receive(self) -> Any:
        """Return an outcome, an error or (windows done, windows); None if the worker has died."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            return None

    def how_it_ended(self) -> str:
        """Wait for the end of a dying worker and return a description of it."""
        self.process.join(_STOP_SECONDS)
        self.pipe.close()
        code = self.process.exitcode
        if code is not None and code < 0:
            with contextlib.suppress(ValueError):
                name = signal.Signals(-code).name
                likely = ", likely because memory ran out" if name == "SIGKILL" else ""
                return f"its worker was killed ({name}{likely})"
        return f"its worker ended with exit code {code}"


def gpus_for(device: str, workers: int) -> list[str]:
    """Return the GPUs that workers would use, one each; empty if they use none.

    Args:
        device: As `--device` takes it.
        workers: Number of workers that were asked for.
    """
    if workers < 2 or device not in ("auto", "cuda"):
        return []
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    named = [part.strip() for part in os.environ.get(_VISIBLE, "").split(",") if part.strip()]
    return named[:count] if named else [str(index) for index in range(count)]


def only_one(device: str) -> str | None:
    """Return the one accelerator that all workers would share; None if each can have its own.

    Args:
        device: As `--device` takes it; a wrong name is refused when the model is loaded.
    """
    kind, colon, _ = device.partition(":")
    if (kind == "cuda" and colon) or kind == "mps":
        return device
    if device == "auto":
        from rsclip.methods.device import parse_device

        return "mps" if parse_device(device).type == "mps" else None
    return None


def _work(pipe: Connection, name: str, root: str, loader: ModelLoader | None, flags: bool) -> None:
    """Run a worker process: receive scenes and send outcomes, until None comes."""
    # Ctrl-C reaches the whole group of processes: the first one stops its workers itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)
    models = Models(loader)
    try:
        while (task := pipe.recv()) is not None:
            try:
                with naming_flags(flags):
                    pipe.send(run_scene(task, root, models, _Reporter(pipe), name))
            except InputError as error:
                pipe.send(error)
                return
    except (EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
        # The first process is gone. On the way here the scene's finished rows were saved.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(1)


def _stop(*_: object) -> None:
    raise KeyboardInterrupt


class _Reporter:
    """Sends progress a few times a second."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._last = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last >= _REPORT_SECONDS:
            self._last = now
            try:
                self._pipe.send((done, total))
            except OSError as error:
                # The first process is gone: stop here, and keep the finished rows.
                raise KeyboardInterrupt from error


def _stop_workers(workers: Sequence[_Worker]) -> None:
    """End all workers: idle ones at once, busy ones after they have saved their finished rows."""
    for worker in workers:
        if worker.task is None:
            with contextlib.suppress(OSError):
                worker.pipe.send(None)
        else:
            worker.process.terminate()
    deadline = time.monotonic() + _STOP_SECONDS
    for worker in workers:
        worker.process.join(max(0.0, deadline - time.monotonic()))
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.pipe.close()


def _lost(task: Task, how: str) -> RunError:
    return RunError(
        f"{how}, {_TRIES} times",
        where=task.source,
        remedy="If memory runs out, try fewer --jobs or a smaller --batch-size.",
    )


def _cores() -> int:
    """Return the processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _environment(threads: int, gpu: str | None) -> dict[str, str]:
    """Return variables to add to a worker's environment; thread counts that the user set stay."""
    own = {name: str(threads) for name in _THREADS if name not in os.environ}
    return own if gpu is None else {**own, _VISIBLE: gpu}


@contextlib.contextmanager
def _changed_environment(changes: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        for name in changes:
            if name in before:
                os.environ[name] = before[name]
            else:
                del os.environ[name]


@contextlib.contextmanager
def _without_main() -> Iterator[None]:
    """Keep new processes from importing the user's script, of which they need nothing."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
