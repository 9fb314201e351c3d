"""A worker process ends soon after the one that started it, from its first moment on.

Light on purpose: what a worker runs takes seconds to load, and the watch begins before that.
"""

import multiprocessing
import multiprocessing.connection
import os
import pickle
import signal
import threading
import time
from multiprocessing.connection import Connection

from rsclip import own_process

__all__ = ["run_watched"]

# How long a worker outlives the first process at most.
_GRACE_SECONDS = 1.5


def run_watched(pipe: Connection, pickled: bytes) -> None:
    """Run a function in a worker process, and end with the process that started it.

    Args:
        pipe: First argument of the function.
        pickled: The function and its other arguments, which may take long to load.
    """
    # The user's program is not imported here.
    own_process.claim()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    function, *arguments = pickle.loads(pickled)
    function(pipe, *arguments)


def _end_with_parent() -> None:
    """Wait for the end of the process that started this one, then end this one."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    multiprocessing.connection.wait([parent.sentinel])
    # A window of a large model may take longer; the rows finished before it are on the disk. The
    # system's own timer ends what holds the interpreter, or has left it already.
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, _GRACE_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_SECONDS)
    os._exit(1)
