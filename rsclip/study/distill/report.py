"""How good a student is: labels as the teacher's, truth, size, speed; and its card."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rsclip.config import SegmentConfig
from rsclip.run.encoder import Encoder, Model
from rsclip.study.evaluate.scoring import Scoring
from rsclip.study.evaluate.trials import Asked, Axes, run_trials
from rsclip.study.pairs import Pair
from rsclip.types import FloatArray
from rsclip.words.class_scores import Layout
from rsclip.words.legend import Legend, LegendSpec

__all__ = ["Distilled", "agreement", "card", "mean_ious", "relative_time"]

_ROUNDS = 5
_TIMED = 16


@dataclass(frozen=True, slots=True)
class Distilled:
    """A student and how good it is.

    Attributes:
        path: Its folder, which `--model` takes.
        teacher: Name of the teacher.
        blocks: The teacher's blocks that it began with.
        teacher_blocks: How many the teacher has.
        images: How many rasters it learned from.
        held_out: How many rasters the figures are of.
        windows: Windows of these, of which labels are compared.
        agreement: Share (0 to 1) of their patches that get the teacher's label.
        miou: Mean IoU (0 to 1) of "teacher" and "student" against labels; empty without.
        time: The encoder's time as a share of the teacher's, processor time on a CPU.
        megabytes: Size of the weights in memory of "teacher" and "student".
        losses: Mean loss of equal parts of the training, first to last.
    """

    path: Path
    teacher: str
    blocks: Sequence[int]
    teacher_blocks: int
    images: int
    held_out: int
    windows: int
    agreement: float
    miou: Mapping[str, float]
    time: float
    megabytes: Mapping[str, float]
    losses: Sequence[float]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {**asdict(self), "path": str(self.path)}

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Return headings and rows of text."""
        rows = [
            ["blocks", str(self.teacher_blocks), str(len(self.blocks))],
            ["time", "1.00", f"{self.time:.2f}"],
            ["MB in memory", *(f"{self.megabytes[who]:.1f}" for who in ("teacher", "student"))],
            ["labels as the teacher's, %", "100.0", f"{100 * self.agreement:.1f}"],
        ]
        if self.miou:
            cells = (f"{100 * self.miou[who]:.1f}" for who in ("teacher", "student"))
            rows.append(["mean IoU, %", *cells])
        return ["", "teacher", "student"], rows


def agreement(teacher: Model, student: Encoder, legend: Legend, windows: FloatArray) -> float:
    """Return the share of patches to which both give the same class."""
    layout = Layout.of(legend, teacher.queries, SegmentConfig().synonyms)
    labels = []
    for encoder in (teacher.encoder, student):
        similarities = np.moveaxis(encoder.similarities(windows), 1, -1)
        labels.append(layout.logits(similarities, np.float32(1)).argmax(-1))
    return float((labels[0] == labels[1]).mean())


def relative_time(teacher: Encoder, student: Encoder, windows: FloatArray) -> float:
    """Return the student's time as a share of the teacher's: the least of some rounds in turn."""
    some = windows[:_TIMED]
    clock = time.process_time if str(getattr(teacher, "device", "cpu")) == "cpu" else _wall
    took: list[list[float]] = [[], []]
    for _ in range(_ROUNDS):
        for encoder, times in zip((teacher, student), took, strict=True):
            began = clock()
            encoder.similarities(some)
            times.append(clock() - began)
    return min(took[1]) / max(min(took[0]), 1e-9)


def _wall() -> float:
    return time.perf_counter()


def mean_ious(
    pairs: Sequence[Pair], classes: LegendSpec, teacher: SegmentConfig, student: Path
) -> dict[str, float]:
    """Return the mean IoU of the maps of both; labels and images are pairs.

    Args:
        pairs: Images and labels.
        classes: The classes.
        teacher: Settings, with the teacher as the model.
        student: Folder of the student.
    """
    asked = Asked(pairs, Scoring.read(boundary=None))
    teacher = teacher.replace(overwrite=False, resume=False)
    each = {"teacher": teacher, "student": teacher.replace(model=str(student), weights=None)}
    return {
        who: float(run_trials(asked, classes, Axes(), config)[0].scores.overall["miou"])
        for who, config in each.items()
    }


def card(done: Distilled, licence: str, record: Mapping[str, Any]) -> str:
    """Return the README.md that lies beside the weights.

    Args:
        done: The student.
        licence: Of the teacher's weights, "" if unknown.
        record: What it learned from.
    """
    heads, rows = done.table()
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows))
    return f"""# {done.path.name}

A CLIP that was distilled from {done.teacher} by rsclip {record["rsclip"]}: {len(done.blocks)} of \
its {done.teacher_blocks} image blocks, its text tower unchanged. \
`rsclip segment --model FOLDER` takes it.

- teacher: {done.teacher}, SHA-256 of the weights {record["teacher_sha256"]}
- licence of the teacher's weights: {licence or "not stated"}; it may bind the student
- images: {done.images} rasters below {record["folder"]}
- method: {record["method"]}

{table}

The figures are of {done.held_out} rasters that training left out. report.json has all \
settings and the names of the images.
"""
