"""Train a student to see as its teacher does: losses, steps, checkpoints.

CLIP-KD (Yang et al., CLIP-KD: An Empirical Study of CLIP Model Distillation, CVPR 2024): the
student's features are to be the teacher's, by their squared distance; ours are those of patches, as
the dense method reads them, and of the CLS token. The text tower is the teacher's own, so its part
of the loss is 0. By option, interactive contrastive learning: a patch of the student is to be
nearest to that word of the teacher which the teacher's patch is nearest to.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (torch's own name)

from rsclip.errors import InputError, WriteError, first_line, warn
from rsclip.files import new_file
from rsclip.methods import first_block, get_method
from rsclip.model import Backbone, Trunk
from rsclip.types import FloatArray

__all__ = ["Lesson", "Settings", "train"]

_TEMPERATURE = 0.07
_CLIP = 1.0
_WEIGHT_DECAY = 0.05
_SAVE_SECONDS = 60.0
_NOTES = 50
"""How many mean losses the report has."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How long and how fast a student learns.

    Attributes:
        steps: Batches.
        batch: Windows of a batch.
        rate: Highest learning rate; it rises for the first twentieth and falls as a cosine does.
        icl: Weight of interactive contrastive learning.
    """

    steps: int
    batch: int
    rate: float
    icl: float


@dataclass(frozen=True, slots=True)
class Lesson:
    """What features are compared, and with which words.

    Attributes:
        method: Name of the dense method.
        options: Its options.
        words: float32 (Q, D), unit text features of the teacher.
    """

    method: str
    options: Any
    words: Tensor

    def features(self, backbone: Backbone, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return unit features of patches (B, N, D) and of the CLS token (B, D)."""
        method = get_method(self.method)
        first = first_block(self.method, self.options, backbone.depth)
        trunk = Trunk(backbone, images, first=first, exact_positions=method.exact_positions)
        patches = method.features(trunk, self.options).tokens.flatten(1, 2)
        return F.normalize(patches, dim=-1), F.normalize(trunk.cls(), dim=-1)

    def loss(
        self, student: tuple[Tensor, Tensor], teacher: tuple[Tensor, Tensor], icl: float,
        log_scale: Tensor,
    ) -> Tensor:  # fmt: skip
        """Return the loss of a batch; arguments are what `features` returns."""
        patches, cls = (
            (own - wanted).square().sum(-1).mean()
            for own, wanted in zip(student, teacher, strict=True)
        )
        loss: Tensor = patches + cls
        if icl:
            nearest = (teacher[0] @ self.words.T).argmax(-1)
            logits = (student[0] @ self.words.T) * log_scale.exp()
            loss = loss + icl * F.cross_entropy(logits.flatten(0, 1), nearest.flatten())
        return loss


def train(
    student: Backbone,
    teacher: Backbone,
    lesson: Lesson,
    batches: Callable[[range], Iterable[FloatArray]],
    settings: Settings,
    checkpoint: Path,
    identity: str,
    *,
    resume: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[float]:
    """Train the student's image tower in place.

    Args:
        student: The student, its image tower trainable, on the teacher's device.
        teacher: The teacher.
        lesson: What is compared.
        batches: Gives the images of steps, float32 (B, 3, h, w) in 0..1.
        settings: How long and how fast.
        checkpoint: A file that keeps the unfinished student.
        identity: Of all that decides the result: a checkpoint of another run is not gone on from.
        resume: Go on from the checkpoint, if there is one.
        progress: Called with (steps done, steps in all).

    Returns:
        Mean losses of equal parts of the run, first to last.

    Raises:
        InputError: The checkpoint is damaged.
        ReadError: Pixels cannot be read.
        WriteError: The checkpoint cannot be written.
    """
    run = _Training(student, teacher, lesson, settings)
    if resume and checkpoint.exists():
        state = _read(checkpoint)
        if state.pop("identity") == identity:
            run.restore(state)
        else:
            warn("the unfinished run was another one (images, teacher or options): it starts over")
    saved = time.monotonic()
    for pixels in batches(range(run.done, settings.steps)):
        run.step(torch.from_numpy(pixels).to(teacher.device))
        if time.monotonic() - saved > _SAVE_SECONDS:
            _write(checkpoint, {"identity": identity, **run.state()})
            saved = time.monotonic()
        if progress is not None:
            progress(run.done, settings.steps)
    return run.losses


class _Training:
    """A student on its way: `done` steps, and the mean `losses` of the parts behind it."""

    def __init__(
        self, student: Backbone, teacher: Backbone, lesson: Lesson, settings: Settings
    ) -> None:
        self.done, self.losses = 0, list[float]()
        self._mean = 0.0
        self._student, self._teacher = student, teacher
        self._lesson, self._settings = lesson, settings
        self._part = max(settings.steps // _NOTES, 1)
        self._visual: nn.Module = student.model.visual
        self._log_scale = nn.Parameter(torch.tensor(-math.log(_TEMPERATURE), device=student.device))
        of_kind: dict[bool, list[nn.Parameter]] = {True: [], False: [self._log_scale]}
        for each in self._visual.parameters():
            of_kind[each.ndim >= 2].append(each)
        groups: list[dict[str, Any]] = [
            {"params": of_kind[True]},
            {"params": of_kind[False], "weight_decay": 0.0},
        ]
        self._optimizer = torch.optim.AdamW(
            groups, lr=settings.rate, betas=(0.9, 0.98), weight_decay=_WEIGHT_DECAY
        )

    def step(self, images: Tensor) -> None:
        """Learn from images (B, 3, h, w) in 0..1."""
        images = self._teacher.normalise(images)
        with torch.no_grad():
            wanted = self._lesson.features(self._teacher, images)
        found = self._lesson.features(self._student, images)
        loss = self._lesson.loss(found, wanted, self._settings.icl, self._log_scale)
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self._visual.parameters(), _CLIP)
        share = _share_of_rate(self.done, self._settings.steps)
        for group in self._optimizer.param_groups:
            group["lr"] = self._settings.rate * share
        self._optimizer.step()
        self.done += 1
        self._mean += float(loss.detach()) / self._part
        if self.done % self._part == 0:
            self.losses.append(round(self._mean, 5))
            self._mean = 0.0

    def state(self) -> dict[str, Any]:
        """Return all that a run needs to go on."""
        return {
            "done": self.done, "losses": self.losses, "mean": self._mean,
            "log_scale": self._log_scale.data, "visual": self._visual.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }  # fmt: skip

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self.done, self.losses, self._mean = state["done"], state["losses"], state["mean"]
        self._log_scale.data.copy_(state["log_scale"])
        self._visual.load_state_dict(state["visual"])
        self._optimizer.load_state_dict(state["optimizer"])


def _share_of_rate(step: int, steps: int) -> float:
    warm = max(steps // 20, 1)
    rest = max(step - warm, 0) / max(steps - warm, 1)
    return min((step + 1) / warm, 1.0) * (0.5 + 0.5 * math.cos(math.pi * rest))


def _write(checkpoint: Path, state: dict[str, Any]) -> None:
    try:
        with new_file(checkpoint) as draft:
            torch.save(state, draft)
    except (OSError, RuntimeError) as error:
        raise WriteError(
            f"the checkpoint cannot be written ({first_line(error)})", where=checkpoint
        ) from error


def _read(checkpoint: Path) -> dict[str, Any]:
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
        state["identity"]
    except Exception as error:
        # torch raises errors of many kinds for files that it did not write.
        raise InputError(
            f"the checkpoint of the unfinished run is damaged ({first_line(error)})",
            where=checkpoint,
            remedy="Leave out --resume to start over.",
        ) from error
    return state  # type: ignore[no-any-return]
