"""What cross-validation makes of labels that teach something, and of labels that are chance."""

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812 (torch's own name)

from rsclip.adapters.base import Task
from rsclip.adapters.kinds import TRIED
from rsclip.study.adapt.choosing import choose, validate
from rsclip.study.adapt.folds import Fold
from tests.layouts import plain

CLASSES, SIZE, NUMBER, FOLDS = 3, 8, 36, 6


def labels(seed, shuffled):
    """Patches in three clouds, a label each; the model knows nothing of them."""
    rng = torch.Generator().manual_seed(seed)
    classes = torch.arange(NUMBER) % CLASSES
    clouds = torch.randn(CLASSES, SIZE, generator=rng)
    noise = torch.randn(NUMBER, SIZE, generator=rng)
    patches = F.normalize(clouds[classes] + noise / 2, dim=-1)
    text = F.normalize(torch.randn(CLASSES, SIZE, generator=rng), dim=-1)
    similarities = patches @ text.T + torch.tensor([0.4, 0.0, 0.0])
    if shuffled:
        classes = classes[torch.randperm(NUMBER, generator=rng)]
    return Task(
        text, torch.arange(CLASSES), plain(range(CLASSES)), CLASSES, CLASSES, 20.0, patches,
        similarities, classes, torch.ones(NUMBER),
    )  # fmt: skip


def adapted(shuffled, draws):
    """Return in how many draws `auto` takes an adapter."""
    label = np.arange(NUMBER)
    folds = [Fold(label[label % FOLDS != at], label[label % FOLDS == at], True)
             for at in range(FOLDS)]  # fmt: skip
    chosen = [
        choose(validate(TRIED, labels(seed, shuffled), label, folds), auto=True).chosen
        for seed in range(draws)
    ]
    return sum(each.kind is not None for each in chosen)


def test_labels_that_teach_are_used_and_shuffled_ones_are_not():
    assert adapted(shuffled=False, draws=2) == 2
    # A gain beyond its standard error comes by chance now and then.
    assert adapted(shuffled=True, draws=6) <= 2
