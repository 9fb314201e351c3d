"""Fitting an adapter: cross entropy of labelled patches, plus the pull towards the model."""

from collections.abc import Mapping

import torch
from torch import Tensor

from rsclip.adapters.base import Adapter, Task

__all__ = ["class_scores", "fit_adapter"]


def class_scores(task: Task, adapter: Adapter | None) -> Tensor:
    """Return log-probabilities of classes (N, K), as `segment` has them; background is one class.

    Args:
        task: Patches.
        adapter: Of the same type and device; None for the model as it is.
    """
    found = task.similarities if adapter is None else adapter(task.patches, task.similarities)
    logits: Tensor = task.layout.logits(found, task.logit_scale, torch)
    scores = logits.log_softmax(dim=1)
    behind = scores[:, task.foreground :]
    if not behind.shape[1]:
        return scores
    return torch.cat([scores[:, : task.foreground], behind.logsumexp(1, keepdim=True)], dim=1)


def fit_adapter(kind: type[Adapter], task: Task, settings: Mapping[str, float]) -> Adapter:
    """Fit an adapter by L-BFGS, on the CPU in float64: the same labels give the same adapter.

    Classes compete that have labels; of the others nothing is learned.

    Args:
        kind: Its kind.
        task: Labelled patches; their weights sum to the number of labels.
        settings: As the kind's `start` takes them.

    Returns:
        The adapter, float32.
    """
    exact = task.to(torch.float64)
    adapter = kind.start(exact, settings).to("cpu", torch.float64)
    # What is never right would only be pushed down.
    absent = torch.ones(exact.groups, dtype=torch.bool)
    absent[exact.classes_of] = False
    learned = [adapter.tensors[name].requires_grad_() for name in kind.learned]
    if learned:
        solver = torch.optim.LBFGS(
            learned, max_iter=kind.steps, tolerance_grad=1e-6, line_search_fn="strong_wolfe"
        )

        def loss() -> Tensor:
            solver.zero_grad()
            scores = class_scores(exact, adapter).masked_fill(absent, -torch.inf).log_softmax(1)
            right = scores.gather(1, exact.classes_of[:, None])[:, 0]
            value = adapter.penalty() - (exact.weights * right).sum()
            value.backward()  # type: ignore[no-untyped-call]
            return value

        solver.step(loss)  # type: ignore[no-untyped-call]
        adapter.tensors |= {name: adapter.tensors[name].detach() for name in kind.learned}
    return adapter.kept().to("cpu", torch.float32)
