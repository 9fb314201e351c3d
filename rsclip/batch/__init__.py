"""Many scenes: folders, patterns and lists in; masks, a manifest and a summary out.

`run_batch` is the door. Names load on first use, so that the command line stays light.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rsclip.batch.runner import plan_batch, run_batch
    from rsclip.batch.tasks import Listener, Outcome, Report, Task

__all__ = ["Listener", "Outcome", "Report", "Task", "plan_batch", "run_batch"]

_HOMES = {"plan_batch": "runner", "run_batch": "runner"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'rsclip.batch' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"rsclip.batch.{_HOMES.get(name, 'tasks')}"), name)
