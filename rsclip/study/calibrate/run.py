"""`calibrate`: scenes and a few labels in, a class file out."""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from rsclip.config import ADAPT_OPTIONS, SegmentConfig, build_config
from rsclip.errors import warn
from rsclip.keywords import AdaptKeywords
from rsclip.outputs.files.staging import Staging
from rsclip.run.encoder import Model, load_model
from rsclip.run.scenes_and_classes import ClassesRead, files_read, open_scene
from rsclip.scene.scene import gdal_env
from rsclip.study.adapt.choosing import Candidate, best_of
from rsclip.study.adapt.examples import Examples, gather
from rsclip.study.adapt.labels import read_labels
from rsclip.study.calibrate.class_file import check_class_file, write_class_file
from rsclip.study.calibrate.fitting import Numbers, candidates_of, fit_numbers
from rsclip.words.calibration import Calibration
from rsclip.words.legend import Legend, LegendSpec

if TYPE_CHECKING:
    from rsclip.model import Backbone

__all__ = ["Calibrated", "calibrate"]


@dataclass(frozen=True)
class Calibrated:
    """What was fitted.

    Attributes:
        path: The class file.
        legend: The classes as the file has them.
        labels: Class -> number of its labels.
        before: The model as it is, on labels held out.
        after: Calibrated, on labels held out.
        used: Whether the file holds the numbers: enough was gained on labels held out.
        folds: Number of folds.
        windows: Windows that were encoded.
        seconds: Wall time.
    """

    path: Path
    legend: Legend
    labels: Mapping[str, int]
    before: Candidate
    after: Candidate
    used: bool
    folds: int
    windows: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        gain, error = self.after.gain(self.before)
        return {
            "classes_file": str(self.path),
            "used": self.used,
            "labels": dict(self.labels),
            "miou": {"before": self.before.miou, "after": self.after.miou},
            "gain": gain,
            "standard_error": error,
            "folds": self.folds,
            "logit_scale": self.legend.calibration.logit_scale,
            "bias": {item.name: item.bias for item in self.legend.classes},
            "threshold": {item.name: item.threshold for item in self.legend.foreground},
            "windows": self.windows,
            "seconds": self.seconds,
        }


def calibrate(
    scenes: str | Path | Sequence[str | Path],
    labels: str | Path,
    classes: LegendSpec,
    output: str | Path,
    *,
    config: SegmentConfig | None = None,
    backbone: "Backbone | None" = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Unpack[AdaptKeywords],
) -> Calibrated:
    """Fit a bias for each class, the logit scale and thresholds, into a class file.

    Thresholds are learned from labels that say "other" (none of the classes); without such labels
    those of the classes stay. Numbers that the classes bring from an earlier calibration are
    replaced. Where nothing is gained on labels held out, the file holds the classes as they are.

    Args:
        scenes: A file, URL or GDAL virtual path, or several.
        labels: Polygons or points with a column that tells their class, for all scenes.
        classes: As `rsclip.segment` takes them.
        output: The class file, YAML.
        config: Settings; `config.ADAPT_OPTIONS` are those that count.
        backbone: A ready model, in place of the configuration's.
        progress: Called with (windows done, windows in all), anew for each scene.
        **options: Fields of `SegmentConfig`.

    Raises:
        InputError: Scenes, labels, classes or options are wrong, no label lies on a scene, or
            labels are too few or too near one another to be validated.
        RunError: A read or the write failed; nothing is left under the final name.
    """
    began = time.perf_counter()
    names = [scenes] if isinstance(scenes, str | Path) else list(scenes)
    path = Path(output)
    check_class_file(path)
    merged = build_config({} if config is None else config.to_dict(), options).to_dict()
    settings = build_config({name: merged[name] for name in ADAPT_OPTIONS})
    read = ClassesRead.read(classes, settings.background)
    legend = _uncalibrated(read.legend)
    if ruled := [item.name for item in legend.classes if item.evidence]:
        warn(
            f"rules of evidence do not count while fitting: {', '.join(ruled)}; what is fitted is "
            "for the model alone, and `rsclip segment` adds the rules to it"
        )
    few = read_labels(labels, legend, keep_others=True)
    inputs = [*names, labels, *files_read(read.file, settings)]
    with (
        gdal_env(),
        Staging.for_file(path, "classes", overwrite=settings.overwrite, inputs=inputs) as staging,
        contextlib.ExitStack() as stack,
    ):
        opened = [stack.enter_context(open_scene(name, settings)) for name in names]
        model = load_model(legend, settings, backbone)
        found = gather(opened, few, model, legend, settings, progress, must="")
        before, *others = candidates_of(found.task, found.label, found.folds)
        after = best_of(others)
        used = _is_sure(before, after)
        if used:
            numbers = fit_numbers(found.task, after.settings)
            legend = _calibrated(legend, numbers, found, model, settings)
        else:
            # An earlier calibration stays, too.
            legend = read.legend
            gain, error = after.gain(before)
            warn(
                "calibration does not gain more than twice the standard error, with a lower cross "
                f"entropy ({100 * gain:+.1f} points of mean IoU, standard error "
                f"{100 * error:.1f}): the file holds the classes as they are"
            )
        write_class_file(staging.path("classes"), legend)
        staging.publish()
    return Calibrated(
        path, legend, found.counts, before, after, used, len(found.folds), found.windows,
        round(time.perf_counter() - began, 1),
    )  # fmt: skip


def _is_sure(before: Candidate, after: Candidate) -> bool:
    """Say whether a calibration gains in mean IoU and in cross entropy.

    Stricter than for adapters: of random points, twice the standard error and both scores are
    needed so that few of them do not make a map worse.
    """
    gain, error = after.gain(before)
    less = before.entropy - after.entropy
    return gain > 2 * error and bool(less.mean() > less.std(ddof=1) / len(less) ** 0.5)


def _uncalibrated(legend: Legend) -> Legend:
    """Return a legend without the numbers of an earlier calibration; its pixel size stays."""
    plain = tuple(replace(item, bias=0.0) for item in legend.classes)
    return replace(legend, classes=plain, calibration=Calibration(gsd=legend.calibration.gsd))


def _calibrated(
    legend: Legend, numbers: Numbers, found: Examples, model: Model, settings: SegmentConfig
) -> Legend:
    assert numbers.adapter is not None
    tensors = numbers.adapter.tensors
    scale = found.task.logit_scale * float(tensors["log_factor"].exp())
    own = []
    # Labels do not tell background classes apart.
    for item, bias in zip(legend.classes, tensors["bias"].tolist(), strict=True):
        level = 0.0 if item.background else float(numbers.thresholds[item.value - 1])
        own.append(
            replace(
                item,
                bias=round(bias, 4),
                threshold=round(level, 4) if level else item.threshold,
            )
        )
    calibration = Calibration(
        float(f"{scale:.6g}"),
        settings.gsd or legend.calibration.gsd,
        model.facts["name"],
        model.facts["weights_sha256"],
        model.facts["method"],
    )
    return replace(legend, classes=tuple(own), calibration=calibration)
