"""Train the image tower against the frozen, distilled text tower.

Two losses: pixels against class prompts through the ClearCLIP path exactly as it runs later, and
the CLS token against captions through the ordinary path.
"""

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own name)

from rsclip.nano.data import IGNORED, Batch, Pool
from rsclip.nano.model import NanoShape, encode_image, encode_text
from rsclip.nano.text_tower import Tokens
from rsclip.nano.words import IMAGENET_TEMPLATES, OVERHEAD_TEMPLATES, Vocabulary, caption

DENSE_SCALE = 50.0
"""The logit scale of the dense path at run time (ClearCLIP's)."""


@dataclass(frozen=True)
class ImageTraining:
    """Settings of the image tower's training."""

    steps: int
    batch: int = 24
    rate: float = 5e-4
    warm_up: int = 100
    weight_decay: float = 0.05
    clip: float = 1.0
    contrastive: float = 0.15
    balanced: float = 0.5
    weight_power: float = 0.35
    log_every: int = 100
    save_every: int = 1000


class ClassPrompts:
    """Text features of every trained word in every template, drawn per step."""

    def __init__(self, model: Any, vocabulary: Vocabulary) -> None:
        templates = (*IMAGENET_TEMPLATES, *OVERHEAD_TEMPLATES)
        tokens = Tokens()
        self._bank: list[list[Tensor]] = []
        with torch.no_grad():
            for words in vocabulary.classes:
                self._bank.append(
                    [encode_text(model, tokens([(t, w) for t in templates])) for w in words.trained]
                )

    def draw(self, rng: np.random.Generator) -> Tensor:
        """Class embeddings (K, D): one trained word a class, in all or a few templates."""
        rows = []
        for words in self._bank:
            # Every second time the class name itself: it is what people type first.
            prompts = words[0 if rng.random() < 0.5 else int(rng.integers(len(words)))]
            if rng.random() < 0.5:
                prompts = prompts[: len(IMAGENET_TEMPLATES)]
            else:
                some = rng.integers(len(prompts), size=1 + int(rng.integers(6)))
                prompts = prompts[torch.from_numpy(some)]
            rows.append(prompts.mean(dim=0))
        return F.normalize(torch.stack(rows), dim=-1)

    def names(self) -> Tensor:
        """Unit embeddings (K, D) of the class names, each the mean of all templates."""
        return F.normalize(torch.stack([words[0].mean(dim=0) for words in self._bank]), dim=-1)


def normalise(images: Tensor) -> Tensor:
    """Images 0..1 (B, 3, H, W) as the model takes them."""
    mean = torch.tensor(OPENAI_DATASET_MEAN).view(3, 1, 1)
    std = torch.tensor(OPENAI_DATASET_STD).view(3, 1, 1)
    return (images - mean) / std


def dense_loss(patches: Tensor, classes: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """Weighted cross-entropy of the bilinearly upsampled class logits.

    Args:
        patches: Unit patch features (B, N, D).
        classes: Unit class embeddings (K, D).
        labels: int64 (B, S, S); every second row and column is used, which halves the cost of
            both sides and still leaves several points in each patch.
        weight: float32 (K,).
    """
    grid = round(patches.shape[1] ** 0.5)
    logits = DENSE_SCALE * (patches @ classes.T)
    logits = logits.transpose(1, 2).reshape(len(logits), -1, grid, grid)
    fine = F.interpolate(logits, size=tuple(labels.shape[1:]), mode="bilinear")[..., 1::2, 1::2]
    return F.cross_entropy(fine, labels[:, 1::2, 1::2], weight=weight, ignore_index=IGNORED)


def captions(rng: np.random.Generator, labels: Tensor, vocabulary: Vocabulary) -> list[str]:
    """One caption a crop: its classes of 3% of the pixels or more, largest first, four at most."""
    texts = []
    for label in labels:
        counts = torch.bincount(label[label != IGNORED], minlength=len(vocabulary.classes)).numpy()
        order = [int(k) for k in np.argsort(-counts, kind="stable") if counts[k] > 0]
        chosen = [k for k in order if counts[k] >= 0.03 * label.numel()][:4] or order[:1]
        words = [str(rng.choice(vocabulary.classes[k].trained)) for k in chosen] or ["nothing"]
        texts.append(caption(rng, words))
    return texts


def contrastive_loss(model: Any, cls: Tensor, texts: list[str], tokens: Tokens) -> Tensor:
    """CLIP's symmetric loss of CLS embeddings (B, D) against their captions."""
    with torch.no_grad():
        features = encode_text(model, tokens([("{}", text) for text in texts]))
    logits = model.logit_scale.exp().clamp(max=100) * cls @ features.T
    target = torch.arange(len(texts))
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def parameter_groups(model: Any, decay: float) -> list[dict[str, Any]]:
    """Matrices with weight decay; gains, biases, embeddings and the logit scale without."""
    named = [*model.visual.named_parameters(), ("logit_scale", model.logit_scale)]
    plain = [p for name, p in named if p.ndim < 2 or "embedding" in name]
    matrices = [p for name, p in named if not (p.ndim < 2 or "embedding" in name)]
    return [
        {"params": matrices, "weight_decay": decay},
        {"params": plain, "weight_decay": 0.0},
    ]


class Half:
    """One half of every batch: a replica of the model that shares its weights, not its gradients.

    Two halves in two threads, each with single-threaded arithmetic, meet once a step. The same
    work split inside every operation would meet hundreds of times, and crawls as soon as
    anything else runs on the machine. The sum of two gradients has one order, so the result does
    not depend on which half is first.
    """

    def __init__(
        self, model: Any, shape: NanoShape, pool: Pool, vocabulary: Vocabulary, number: int
    ) -> None:
        self.model, self.number = model, number
        self._shape, self._pool, self._vocabulary = shape, pool, vocabulary
        self._prompts, self._tokens = ClassPrompts(model, vocabulary), Tokens()

    def run(
        self, step: int, settings: ImageTraining, weight: Tensor, seed: int
    ) -> tuple[float, float]:
        """Leave the gradients of the step's half batch in the replica; the two losses."""
        torch.set_num_threads(1)
        rng = np.random.default_rng((seed, step, self.number))
        batch: Batch = self._pool.batch(
            rng, settings.batch // 2, self._shape.image_size, settings.balanced
        )
        patches, cls = encode_image(self.model, normalise(batch.images))
        dense = dense_loss(patches, self._prompts.draw(rng), batch.labels, weight)
        texts = captions(rng, batch.labels, self._vocabulary)
        contrast = contrastive_loss(self.model, cls, texts, self._tokens)
        for parameter in self.model.parameters():
            parameter.grad = None
        torch.autograd.backward((dense + settings.contrastive * contrast) / 2)
        return float(dense.detach()), float(contrast.detach())


def _replica(model: Any) -> Any:
    """A copy of the model whose parameters are the same memory."""
    twin = copy.deepcopy(model)
    for own, shared in zip(twin.parameters(), model.parameters(), strict=True):
        own.data = shared.data
    return twin


def train_image(
    model: Any,
    shape: NanoShape,
    pool: Pool,
    vocabulary: Vocabulary,
    settings: ImageTraining,
    seed: int,
    save: Callable[[int], None] | None = None,
    log: Callable[[dict[str, float]], None] | None = None,
) -> None:
    """Train the image tower in place.

    Each half of step s draws everything from (seed, s, half), so the run depends on nothing but
    the seed, the number of steps and the machine's arithmetic. `save` is called with the step at
    times; `log` is called every `log_every` steps with the mean losses since the last call.
    """
    groups = parameter_groups(model, settings.weight_decay)
    parameters = [p for group in groups for p in group["params"]]
    twin = _replica(model)
    others = [p for group in parameter_groups(twin, 0.0) for p in group["params"]]
    optimizer = torch.optim.AdamW(groups, lr=settings.rate, betas=(0.9, 0.98), fused=True)
    warm = max(1, min(settings.warm_up, settings.steps // 4))

    def rate(step: int) -> float:
        rest = max(0, step - warm) / max(1, settings.steps - warm)
        return min(1.0, (step + 1) / warm) * float(0.5 + 0.5 * np.cos(np.pi * rest))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    halves = [Half(m, shape, pool, vocabulary, k) for k, m in enumerate((model, twin))]
    weight = torch.tensor(pool.frequency**-settings.weight_power, dtype=torch.float32)
    weight /= (weight * torch.tensor(pool.frequency, dtype=torch.float32)).sum()
    sums = np.zeros(2)
    with ThreadPoolExecutor(len(halves)) as threads:
        for step in range(settings.steps):
            jobs = [threads.submit(half.run, step, settings, weight, seed) for half in halves]
            losses = [job.result() for job in jobs]
            with torch.no_grad():
                for one, two in zip(parameters, others, strict=True):
                    assert one.grad is not None
                    assert two.grad is not None
                    one.grad += two.grad
            torch.nn.utils.clip_grad_norm_(parameters, settings.clip)
            optimizer.step()
            schedule.step()
            sums += np.mean(losses, axis=0)
            done = step + 1
            if log and done % settings.log_every == 0:
                dense, contrastive = (round(float(x), 4) for x in sums / settings.log_every)
                log({"step": done, "dense": dense, "contrastive": contrastive})
                sums[:] = 0
            if save and done % settings.save_every == 0 and done < settings.steps:
                save(done)
