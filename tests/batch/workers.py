"""Models for worker processes: of no weights, and some that bring their process down."""

import contextlib
import os
import signal
import threading
import time
from pathlib import Path

from rsclip.batch.orphans import _end_with_parent
from rsclip.errors import warn
from tests.run.stub import StubEncoder, loader


class Deadly(StubEncoder):
    """Kills its process at its third window as long as a file says how often yet."""

    def __init__(self, fuse):
        super().__init__()
        self._fuse = Path(fuse)

    def similarities(self, images):
        time.sleep(0.01)
        # Only the smallest scene's brightness is this low.
        if images.mean() < 0.01:
            left = int(self._fuse.read_text())
            if left:
                self._fuse.write_text(str(left - 1))
                os.kill(os.getpid(), signal.SIGKILL)
        return super().similarities(images)


def plain(legend, config):
    return loader(StubEncoder())(legend, config)


def deadly(legend, config):
    return loader(Deadly(os.environ["RSCLIP_TEST_FUSE"]))(legend, config)


def broken(legend, config):
    from rsclip.errors import ModelError

    raise ModelError("no such model", where="--model", remedy="Choose another.")


def told(legend, config):
    """A model that warns of what a file says, or is broken if it says so."""
    text = Path(os.environ["RSCLIP_TEST_FUSE"]).read_text()
    if text == "broken":
        return broken(legend, config)
    warn(text)
    return plain(legend, config)


def threads(legend, config):
    """A model whose record says what the process sees."""
    import dataclasses

    said = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")}
    return dataclasses.replace(plain(legend, config), facts={"name": "stub", **said})


class Measured(StubEncoder):
    """Writes the most memory that its process has held, in kB, at every window."""

    def similarities(self, images):
        status = Path("/proc/self/status").read_text()
        peak = status.partition("VmHWM:")[2].split()[0]
        Path(os.environ["RSCLIP_TEST_FUSE"], str(os.getpid())).write_text(peak)
        return super().similarities(images)


def measured(legend, config):
    return loader(Measured())(legend, config)


class Slow(StubEncoder):
    def similarities(self, images):
        time.sleep(0.2)
        return super().similarities(images)


def slow(legend, config):
    return loader(Slow())(legend, config)


def stuck():
    """A worker in the middle of a window that takes for ever."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    print(os.getpid(), flush=True)
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            time.sleep(600)


if __name__ == "__main__":
    import sys

    from rsclip.batch import Listener, run_batch

    class Loud(Listener):
        def advance(self, worker, done, total):
            print(worker, done, flush=True)

    def stop(*_):
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    import tests.batch.workers as this

    run_batch([sys.argv[1]], "bright, dark", sys.argv[2], recursive=True, jobs=2,
              listener=Loud(), model_loader=this.slow)  # fmt: skip
