"""Who works on a batch: this process, worker processes, or a cluster."""

from collections.abc import Sequence

from rsclip.batch.tasks import Executor, Listener, Task
from rsclip.batch.worker import Models, Serial
from rsclip.errors import OptionError
from rsclip.wording import named

__all__ = ["check_workers", "choose_executor"]


def choose_executor(
    tasks: Sequence[Task],
    jobs: int,
    dask: str | None,
    models: Models,
    listener: Listener,
) -> Executor:
    """Return the executor for the tasks that are left to do.

    Args:
        tasks: Tasks; without any, no worker is started.
        jobs: Worker processes that were asked for; on GPUs, one per GPU at most.
        dask: Address of a scheduler, in place of `jobs`.
        models: Of this process; workers have their own, of the same loader.
        listener: Is told if fewer workers than `jobs` are started.

    Raises:
        InputError: The cluster cannot be used.
    """
    if dask is not None and tasks:
        from rsclip.batch.dask_cluster import Cluster

        return Cluster(dask, models.loader)
    workers = min(jobs, len(tasks))
    if workers <= 1:
        return Serial(models)
    from rsclip.batch.processes import ProcessPool, gpus_for, only_one

    device = tasks[0].config().device
    if shared := only_one(device):
        listener.note(
            named(f"--jobs={jobs}: all workers would share {shared}, so only one is started")
        )
        return ProcessPool(1, loader=models.loader)
    gpus = gpus_for(device, workers)
    if gpus and workers > len(gpus):
        listener.note(
            named(f"--jobs={jobs}: there are {len(gpus)} GPUs, and one worker per GPU is started")
        )
        workers = len(gpus)
    return ProcessPool(workers, gpus, models.loader)


def check_workers(jobs: int, dask: str | None) -> None:
    """Refuse a number of workers that does not fit, or two kinds of them.

    Raises:
        OptionError: It is so.
    """
    if jobs < 1:
        raise OptionError(f"{jobs} does not fit", where="--jobs", remedy="It is at least 1.")
    if dask is not None and jobs != 1:
        raise OptionError(
            "the cluster has workers of its own",
            where="--dask",
            remedy="Give either --dask or --jobs.",
        )
