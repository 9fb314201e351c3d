"""Every kind of adapter: it begins as the model is, and follows its equations."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F  # noqa: N812 (torch's own name)

from rsclip.adapters.base import Task
from rsclip.adapters.kinds import KINDS, TRIED
from rsclip.study.adapt.fitting import class_scores, fit_adapter
from tests.layouts import plain

CLASSES, SIZE, NUMBER = 3, 6, 40


@pytest.fixture
def task():
    """Patches in three clouds, and four queries: the first class has two words."""
    rng = torch.Generator().manual_seed(4)
    classes = torch.arange(NUMBER) % CLASSES
    clouds = torch.randn(CLASSES, SIZE, generator=rng)
    noise = torch.randn(NUMBER, SIZE, generator=rng)
    patches = F.normalize(clouds[classes] + noise / 2, dim=-1)
    text = F.normalize(clouds[[0, 0, 1, 2]] + torch.randn(4, SIZE, generator=rng) / 2, dim=-1)
    # The model is shy of the first class.
    similarities = patches @ text.T - torch.tensor([0.4, 0.4, 0.0, 0.0])
    return Task(
        text, torch.tensor([0, 0, 1, 2]), plain([0, 0, 1, 2]), CLASSES, CLASSES, 20.0,
        patches, similarities,
        classes, torch.rand(NUMBER, generator=rng) + 0.5, tower(),
    )  # fmt: skip


def tower():
    """A text tower of three context tokens and four words."""
    rng = torch.Generator().manual_seed(5)
    begin, words, mix = (
        torch.randn(*shape, generator=rng) for shape in ((3, 5), (4, 5), (5, SIZE))
    )

    def encode(rows):
        rows = rows.float().expand(4, 3, 5)
        return F.normalize((rows.mean(dim=1) * words).tanh() @ mix, dim=-1)

    return lambda context: (begin, encode)


def surprise(task, adapter):
    """Mean cross entropy of the labelled patches."""
    right = class_scores(task, adapter).gather(1, task.classes_of[:, None])[:, 0]
    return float(-(right * task.weights).sum() / task.weights.sum())


@pytest.mark.parametrize("name", KINDS)
def test_fitted_labels_are_known_better(task, name):
    adapters = [fit_adapter(KINDS[name], task, each) for each in KINDS[name].settings]
    assert min(surprise(task, each) for each in adapters) < 0.7 * surprise(task, None)


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.learned])
def test_nothing_is_changed_at_the_start(task, name):
    start = KINDS[name].start(task, KINDS[name].settings[0])
    torch.testing.assert_close(start(task.patches, task.similarities), task.similarities)


def test_a_class_without_words_begins_as_it_is_too(task):
    """Its text feature is the mean of the others, which is shorter than 1."""
    text = task.text.clone()
    text[3] = text[:3].mean(dim=0)
    start = KINDS["labclip"].start(replace(task, text=text), {"strength": 1.0})
    torch.testing.assert_close(start(task.patches, task.similarities), task.similarities)


@pytest.mark.parametrize("name", KINDS)
def test_each_patch_is_changed_by_itself(task, name):
    adapter = fit_adapter(KINDS[name], task, KINDS[name].settings[0])
    whole = adapter(task.patches, task.similarities)
    grid = adapter(task.patches.reshape(4, 5, 2, SIZE), task.similarities.reshape(4, 5, 2, 4))
    torch.testing.assert_close(grid.reshape(NUMBER, 4), whole)
    some = adapter(task.patches[7:9], task.similarities[7:9])
    torch.testing.assert_close(some, whole[7:9])


@pytest.mark.parametrize("name", TRIED)
def test_a_class_without_labels_stays_as_it_is(task, name):
    known = task.of(task.classes_of != 1)
    adapter = fit_adapter(KINDS[name], known, KINDS[name].settings[0])
    changed = adapter(task.patches, task.similarities) - task.similarities
    factor = adapter.tensors.get("log_factor", torch.zeros(())).exp() - 1
    torch.testing.assert_close(changed[:, 2], factor * task.similarities[:, 2])


def test_linear_is_logistic_regression_where_words_say_nothing(task):
    strength = {"strength": 0.3}
    silent = Task(
        task.text, torch.tensor([0, 1, 2]), plain([0, 1, 2]), CLASSES, CLASSES, 50.0, task.patches,
        torch.zeros(NUMBER, CLASSES), task.classes_of, task.weights,
    )  # fmt: skip
    ours = fit_adapter(KINDS["linear"], silent, strength).tensors
    z = ((task.patches - ours["mean"]) / ours["spread"]).numpy()
    # A bias pulled by a tenth: a column of ones, scaled.
    column = 0.1**-0.5
    theirs = LogisticRegression(C=1 / 0.3, fit_intercept=False, tol=1e-9, max_iter=5000)
    theirs.fit(np.column_stack([z, np.full(NUMBER, column)]), task.classes_of, task.weights)
    np.testing.assert_allclose(ours["weight"], theirs.coef_[:, :SIZE], atol=2e-3)
    np.testing.assert_allclose(ours["bias"], theirs.coef_[:, SIZE] * column, atol=2e-3)


def test_prototype_follows_the_equations_of_tip_adapter(task):
    adapter = KINDS["prototype"].start(task, {"alpha": 3.0, "beta": 5.0})
    found = adapter(task.patches[:1], task.similarities[:1])[0]
    near = [0.0] * CLASSES
    whole = [0.0] * CLASSES
    for key, of, weight in zip(task.patches, task.classes_of, task.weights, strict=True):
        near[of] += float(weight * torch.exp(-5 * (1 - task.patches[0] @ key)))
        whole[of] += float(weight)
    wanted = [
        float(task.similarities[0, query]) + 3 * near[of] / whole[of] / 20
        for query, of in enumerate(task.class_index.tolist())
    ]
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_coop_moves_the_words_as_the_text_tower_says(task):
    start = KINDS["coop"].start(task, {"shared": 0.0, "strength": 0.1})
    begin, encode = task.tower("")
    context = begin + torch.arange(60.0).reshape(4, 3, 5) / 60
    start.tensors["context"] = context
    kept = start.kept()
    assert {*kept.tensors} == {*kept.common, *kept.shapes}
    moved = F.normalize(task.text + encode(context) - encode(begin), dim=-1)
    wanted = task.similarities + task.patches @ (moved - task.text).T
    torch.testing.assert_close(kept(task.patches, task.similarities), wanted)
    torch.testing.assert_close(start(task.patches, task.similarities), wanted)
    away = (context - begin).square().sum() / begin.square().sum(1).mean()
    torch.testing.assert_close(start.penalty(), 0.05 * away)


@pytest.mark.parametrize(("image", "words"), [(0.2, 0.0), (0.0, 0.2), (0.2, 0.2)])
def test_clip_adapter_changes_the_sides_that_it_is_told(task, image, words):
    start = KINDS["clip-adapter"].start(task, {"image": image, "words": words, "strength": 0.01})
    own = start.tensors
    own |= {name: torch.ones_like(own[name]) / 9 for name in start.learned}

    def side(features, ratio):
        learned = (features @ own["down"].T).relu() @ own["up"].T
        return F.normalize(ratio * learned + (1 - ratio) * features, dim=-1)

    added = side(task.patches, image) @ side(task.text, words).T - task.patches @ task.text.T
    found = start(task.patches, task.similarities) - task.similarities
    torch.testing.assert_close(found, added)


def test_the_command_offers_every_kind():
    from rsclip_cli.adapt import command

    (choice,) = (each.type for each in command.params if each.name == "kind")
    assert list(choice.choices) == ["auto", *KINDS]
