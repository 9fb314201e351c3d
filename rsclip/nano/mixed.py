"""Teach a trained nano the real Earth: `python -m rsclip.nano.mixed --real DIR --output DIR`.

Each batch is made of synthetic crops, crops of real scenes with masks and chips of one land cover.
The image tower may first be made deeper; the text tower stays as it is. Step s draws everything
from (seed, s), and a run that was cut goes on from its last checkpoint to the same result.
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 (torch's own name)

from rsclip.files import data_path
from rsclip.nano.data import Pool
from rsclip.nano.export import export, load_nano
from rsclip.nano.image_tower import (
    DENSE_SCALE,
    ClassPrompts,
    captions,
    contrastive_loss,
    dense_loss,
    normalise,
    parameter_groups,
)
from rsclip.nano.model import NanoShape, deepen, encode_image
from rsclip.nano.own_labels import own_labels
from rsclip.nano.radiometry import vary
from rsclip.nano.real import RealImage, RealSet, load, parse_with_folder
from rsclip.nano.real_samples import samples
from rsclip.nano.text_tower import Tokens
from rsclip.nano.words import Vocabulary, load_vocabulary

STATE = "state.pt"
COARSEST, FINEST = 4.0, 0.7


@dataclass(frozen=True)
class MixedRun:
    """Settings of a run. A batch has `drawn`, `masks` and `chips` crops of the three kinds.

    With `own_labels`, unlabelled images with the first model's own sure labels are among the masks.
    """

    steps: int = 10_000
    layers: int = 9
    scenes: int = 500
    variety: float = 0.35
    drawn: int = 14
    masks: int = 6
    chips: int = 4
    rate: float = 3e-4
    warm_up: int = 100
    weight_decay: float = 0.05
    contrastive: float = 0.1
    weight_power: float = 0.35
    varied: float = 0.6
    word_noise: float = 0.25
    own_labels: bool = False
    save_every: int = 100
    seed: int = 1


def partial_loss(patches: Tensor, classes: Tensor, allowed: Tensor) -> Tensor:
    """Minus the log of the probability that all allowed classes have together, over known pixels.

    Args:
        patches: Unit patch features (B, N, D).
        classes: Unit class embeddings (K, D).
        allowed: int64 (B, S, S), bit k set where the pixel may be class k; 0 is ignored.
    """
    grid = round(patches.shape[1] ** 0.5)
    logits = (DENSE_SCALE * (patches @ classes.T)).transpose(1, 2)
    logits = logits.reshape(len(logits), -1, grid, grid)
    fine = F.interpolate(logits, size=tuple(allowed.shape[1:]), mode="bilinear")[..., 1::2, 1::2]
    bits = allowed[:, None, 1::2, 1::2] >> torch.arange(len(classes)).view(1, -1, 1, 1)
    chosen = fine.masked_fill(bits % 2 == 0, -1e4).logsumexp(dim=1) - fine.logsumexp(dim=1)
    known = allowed[:, 1::2, 1::2] > 0
    return -(chosen * known).sum() / known.sum().clamp(min=1)


class RealPool:
    """Real images in memory, and crops of them: sets by share, classes by the root of theirs."""

    def __init__(self, images: Sequence[RealImage]) -> None:
        kinds: dict[RealSet, dict[int, list[RealImage]]] = {}
        pixels: Counter[tuple[RealSet, int]] = Counter()
        for image in images:
            found, counts = np.unique(image.truth[image.truth >= 0], return_counts=True)
            for group, count in zip(found.tolist(), counts.tolist(), strict=True):
                kinds.setdefault(image.of, {}).setdefault(group, []).append(image)
                pixels[image.of, group] += count
        self._sets = [sorted(of_set.items()) for of_set in kinds.values()]
        self._shares = _shares([one.share for one in kinds])
        self._often = [
            _shares([pixels[one, group] ** 0.5 for group, _ in of_set])
            for one, of_set in zip(kinds, self._sets, strict=True)
        ]

    def batch(
        self, rng: np.random.Generator, size: int, crop: int, varied: float
    ) -> tuple[Tensor, Tensor]:
        """Images float32 (B, 3, S, S) in 0..1 and their allowed classes int64 (B, S, S)."""
        crops = [self._crop(rng, crop, varied) for _ in range(size)]
        return torch.stack([c[0] for c in crops]), torch.stack([c[1] for c in crops])

    def _crop(self, rng: np.random.Generator, crop: int, varied: float) -> tuple[Tensor, Tensor]:
        chosen = int(rng.choice(len(self._sets), p=self._shares))
        kinds, often = self._sets[chosen], self._often[chosen]
        group, images = kinds[int(rng.choice(len(kinds), p=often))]
        image = images[int(rng.integers(len(images)))]
        scale = np.exp(rng.uniform(np.log(FINEST), np.log(COARSEST)))
        height, width = image.truth.shape
        size = min(round(crop * scale), height, width)
        where = np.flatnonzero(image.truth == group)
        row, column = divmod(int(where[int(rng.integers(len(where)))]), width)
        row = min(max(row - int(rng.integers(size)), 0), height - size)
        column = min(max(column - int(rng.integers(size)), 0), width - size)
        window = (slice(row, row + size), slice(column, column + size))
        pixels, allowed = turned(rng, image.pixels[window], image.allowed[window].astype(np.int64))
        shown = vary(rng, pixels) if rng.random() < varied else pixels.astype(np.float32) / 255
        tensor = torch.from_numpy(np.ascontiguousarray(shown.transpose(2, 0, 1)))
        if size != crop:
            tensor = F.interpolate(
                tensor[None], size=(crop, crop), mode="bilinear", antialias=size > crop
            )[0]
            nearest = ((np.arange(crop) + 0.5) * size / crop).astype(np.int64)
            allowed = allowed[nearest][:, nearest]
        return tensor, torch.from_numpy(np.ascontiguousarray(allowed))


def _shares(values: Sequence[float]) -> npt.NDArray[np.float64]:
    return np.array(values, np.float64) / sum(values)


def turned(rng: np.random.Generator, *arrays: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], ...]:
    """The arrays turned and mirrored alike."""
    turns, mirrored = int(rng.integers(4)), rng.random() < 0.5
    out = [np.rot90(array, turns) for array in arrays]
    return tuple(array[:, ::-1] if mirrored else array for array in out)


class Mixed:
    """A model in training: `step` goes one further, `save` and `resume` keep all of it."""

    def __init__(
        self,
        model: Any,
        vocabulary: Vocabulary,
        pool: Pool,
        real: Sequence[RealPool],
        run: MixedRun,
    ) -> None:
        self.model, self.run, self.done = model, run, 0
        self._vocabulary, self._pool, self._real = vocabulary, pool, real
        self._prompts, self._tokens = ClassPrompts(model, vocabulary), Tokens()
        settings = parameter_groups(model, run.weight_decay)
        self._parameters = [p for group in settings for p in group["params"]]
        self._optimizer = torch.optim.AdamW(settings, lr=run.rate, betas=(0.9, 0.98))
        weight = pool.frequency**-run.weight_power
        self._weight = torch.tensor(weight / (weight * pool.frequency).sum(), dtype=torch.float32)

    def rate(self) -> float:
        """The learning rate of the next step: linear warm-up, then half a cosine."""
        warm = max(1, min(self.run.warm_up, self.run.steps // 4))
        rest = max(0, self.done - warm) / max(1, self.run.steps - warm)
        cosine = 0.5 + 0.5 * float(np.cos(np.pi * rest))
        return self.run.rate * min(1, (self.done + 1) / warm) * cosine

    def step(self) -> dict[str, float]:
        """One step; the losses of its three kinds of crops."""
        run, rng = self.run, np.random.default_rng((self.run.seed, self.done))
        crop = NanoShape().image_size
        drawn = self._pool.batch(rng, run.drawn, crop, 0.5)
        for k in range(run.drawn):
            if rng.random() < run.varied:
                shown = (drawn.images[k].permute(1, 2, 0).numpy() * 255).astype(np.uint8)
                drawn.images[k] = torch.from_numpy(vary(rng, shown).transpose(2, 0, 1).copy())
        sizes = (run.masks, run.chips)
        real = [
            pool.batch(rng, size, crop, run.varied)
            for pool, size in zip(self._real, sizes, strict=True)
        ]
        images = torch.cat([drawn.images, *(images for images, _ in real)])
        patches, cls = encode_image(self.model, normalise(images))
        parts = torch.split(patches, [run.drawn, *sizes])
        losses = [dense_loss(parts[0], self._words(rng), drawn.labels, self._weight)]
        for part, (_, allowed) in zip(parts[1:], real, strict=True):
            losses.append(partial_loss(part, self._words(rng), allowed))
        texts = captions(rng, drawn.labels, self._vocabulary)
        contrast = contrastive_loss(self.model, cls[: run.drawn], texts, self._tokens)
        self._optimizer.zero_grad()
        shares = torch.tensor([run.drawn, *sizes]) / len(images)
        loss = (shares * torch.stack(losses)).sum() + run.contrastive * contrast
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        for group in self._optimizer.param_groups:
            group["lr"] = self.rate()
        self._optimizer.step()
        self.done += 1
        names = ("synthetic", "masks", "chips")
        return {name: float(loss.detach()) for name, loss in zip(names, losses, strict=True)}

    def _words(self, rng: np.random.Generator) -> Tensor:
        """Class embeddings (K, D) of drawn words, moved a little: other words lie near them."""
        classes = self._prompts.draw(rng)
        noise = rng.standard_normal(tuple(classes.shape)).astype(np.float32)
        moved = classes + self.run.word_noise / classes.shape[1] ** 0.5 * torch.from_numpy(noise)
        return F.normalize(moved, dim=-1)

    def save(self, folder: Path) -> None:
        """Write everything that the next step depends on; a cut leaves the one before."""
        folder.mkdir(parents=True, exist_ok=True)
        state = {
            "run": asdict(self.run),
            "done": self.done,
            "model": self.model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }
        part = folder / f"{STATE}.part"
        torch.save(state, part)
        part.replace(folder / STATE)

    def resume(self, folder: Path) -> bool:
        """Go on from the checkpoint in `folder`, if one is there."""
        if not (folder / STATE).is_file():
            return False
        state = torch.load(folder / STATE, weights_only=True)
        if state["run"] != asdict(self.run):
            raise SystemExit(f"{folder / STATE} is of a run with other settings: {state['run']}")
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.done = state["done"]
        return True


def train(run: MixedRun, start: Path, real: Path, output: Path, checkpoints: Path) -> None:
    """Train from the model in `start` and export to `output`; prints JSON lines."""
    torch.set_num_threads(1)
    images = [*load(real, validation=False), *samples(real)]
    if run.own_labels:
        images += own_labels(start, real)
    masks = RealPool([image for image in images if image.of.labels])
    chips = RealPool([image for image in images if not image.of.labels])
    vocabulary = load_vocabulary(more=True)
    pool = Pool.generate(run.scenes, variety=run.variety, more=True)
    model, shape = load_nano(start)
    mixed = Mixed(deepen(model, shape, run.layers), vocabulary, pool, (masks, chips), run)
    mixed.resume(checkpoints)
    print(json.dumps({"images": len(images), "from_step": mixed.done}), flush=True)
    losses = []
    while mixed.done < run.steps:
        losses.append(mixed.step())
        if mixed.done % run.save_every == 0 or mixed.done == run.steps:
            mixed.save(checkpoints)
            mean = {name: round(np.mean([x[name] for x in losses]), 4) for name in losses[0]}
            print(json.dumps({"step": mixed.done, **mean}), flush=True)
            losses = []
    export(mixed.model, replace(shape, layers=run.layers), vocabulary, output)


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description="Teach a trained nano model real imagery.")
    defaults = MixedRun()
    parser.add_argument("--start", type=Path, default=data_path("nano"), help="model to start from")
    parser.add_argument("--output", type=Path, required=True, help="folder of the model")
    parser.add_argument("--checkpoints", type=Path, required=True, help="folder to resume from")
    for name in ("steps", "layers", "scenes", "drawn", "masks", "chips", "seed"):
        parser.add_argument(f"--{name}", type=int, default=getattr(defaults, name))
    for name in ("rate", "word_noise", "variety", "varied"):
        parser.add_argument(f"--{name}", type=float, default=getattr(defaults, name))
    parser.add_argument("--own-labels", action="store_true", help="learn from unlabelled images")
    given = vars(parse_with_folder(parser))
    places = {name: given.pop(name) for name in ("start", "real", "output", "checkpoints")}
    train(MixedRun(**given), **places)


if __name__ == "__main__":
    main()
