"""`adapt`: scenes and a few labels in, an adapter out."""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from safetensors import SafetensorError

from rsclip.adapters.adapter_file import NONE, write_adapter
from rsclip.adapters.fitted_for import CARRIED
from rsclip.adapters.kinds import KINDS, TRIED
from rsclip.config import ADAPT_OPTIONS, SegmentConfig, build_config
from rsclip.errors import OptionError, warn
from rsclip.geo.grid import pixel_size_m
from rsclip.keywords import AdaptKeywords
from rsclip.methods.segmenter import Segmenter
from rsclip.outputs.files.disk import write_error
from rsclip.outputs.files.staging import Staging
from rsclip.outputs.records.record import to_plain
from rsclip.outputs.styles.qml import write_text
from rsclip.run.encoder import Model, load_model
from rsclip.run.provenance import software
from rsclip.run.scenes_and_classes import ClassesRead, files_read, open_scene
from rsclip.scene.scene import Scene, gdal_env
from rsclip.study.adapt.adaptation import Adaptation
from rsclip.study.adapt.choosing import Candidate, Choice, best_of, choose, shortfall, validate
from rsclip.study.adapt.examples import gather
from rsclip.study.adapt.fitting import fit_adapter
from rsclip.study.adapt.labels import read_labels
from rsclip.study.adapt.report import draw_windows, render_report
from rsclip.words.legend import Legend, LegendSpec

if TYPE_CHECKING:
    from rsclip.model import Backbone

__all__ = ["AUTO", "adapt"]

AUTO = "auto"

_NO_FOLDS = ", or name a --kind, which is then used unvalidated"


def adapt(
    scenes: str | Path | Sequence[str | Path],
    labels: str | Path,
    classes: LegendSpec,
    output: str | Path,
    *,
    kind: str = AUTO,
    report: str | Path | None = None,
    config: SegmentConfig | None = None,
    backbone: "Backbone | None" = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Unpack[AdaptKeywords],
) -> Adaptation:
    """Fit an adapter to a few labels; the model stays as it is.

    Only windows that hold labels are encoded. `segment(scene, adapter=output)` uses it.

    Args:
        scenes: A file, URL or GDAL virtual path, or several.
        labels: Polygons or points with a column that tells their class, for all scenes.
        classes: As `rsclip.segment` takes them.
        output: The adapter's file.
        kind: A kind (`rsclip.adapters.kinds.KINDS`), or "auto": the first that gains
            more accuracy than its standard error, the model as it is among the candidates.
        report: An HTML page to write: the scores, and windows before and after.
        config: Settings; `config.ADAPT_OPTIONS` are those that count.
        backbone: A ready model, in place of the configuration's.
        progress: Called with (windows done, windows in all), anew for each scene.
        **options: Fields of `SegmentConfig`.

    Raises:
        InputError: Scenes, labels, classes or options are wrong, no label lies on a scene, or
            labels are too few or too near one another for "auto".
        RunError: A read or the write failed; nothing is left under the final name.
    """
    began = time.perf_counter()
    names = [scenes] if isinstance(scenes, str | Path) else list(scenes)
    if kind != AUTO and kind not in KINDS:
        raise OptionError(
            f"no kind {kind!r}", where="--kind", remedy=f"Choose {', '.join((AUTO, *KINDS))}."
        )
    path = Path(output)
    if report is not None and Path(report).resolve() == path.resolve():
        raise OptionError(
            "it is the adapter's file", where=f"--report={report}", remedy="Choose another name."
        )
    settings = _settings(config, options)
    read = ClassesRead.read(classes, settings.background, without_words=True)
    settings = read.legend.calibration.fill(settings)
    few = read_labels(labels, read.legend)
    inputs = [*names, labels, *files_read(read.file, settings)]
    with (
        gdal_env(),
        Staging.for_file(path, "adapter", overwrite=settings.overwrite, inputs=inputs) as staging,
        contextlib.ExitStack() as stack,
    ):
        page = None
        if report is not None:
            page = stack.enter_context(
                Staging.for_file(
                    report, "report", flag="--report", overwrite=settings.overwrite, inputs=inputs
                )
            )
        opened = [stack.enter_context(open_scene(name, settings)) for name in names]
        model = load_model(read.legend, settings, backbone)
        encoder = model.encoder
        assert isinstance(encoder, Segmenter)
        found = gather(
            opened,
            few,
            model,
            read.legend,
            settings,
            progress,
            must=_NO_FOLDS if kind == AUTO else None,
        )
        task, folds, scale = found.task, found.folds, found.task.logit_scale
        encoded = time.perf_counter()
        kinds = TRIED if kind == AUTO else [kind]
        choice = None
        chosen = Candidate(kind, KINDS[kind].settings[0]) if kind in KINDS else None
        if folds:
            choice = choose(validate(kinds, task, found.label, folds), auto=kind == AUTO)
            _warn_of_no_gain(choice, read.legend)
            chosen = choice.chosen
        assert chosen is not None
        adapter = None
        if chosen.kind is not None:
            adapter = fit_adapter(KINDS[chosen.kind], task, chosen.settings)
        seconds = {"encoding": encoded - began, "fitting": time.perf_counter() - encoded}
        done = Adaptation(
            path, chosen.kind or NONE, read.legend, found.counts, choice,
            len(folds), found.windows, {key: round(value, 1) for key, value in seconds.items()},
        )  # fmt: skip
        facts = _facts(done, model, settings.replace(logit_scale=scale), opened)
        try:
            write_adapter(staging.path("adapter"), adapter, to_plain(facts))
        except (OSError, SafetensorError) as error:
            raise write_error(error, path) from error
        if page is not None:
            pictures = draw_windows(opened, few, encoder, adapter, task, read.legend, settings)
            write_text(page.path("report"), render_report(done, few, pictures, read.legend))
            page.publish()
        staging.publish()
    return done


def _settings(config: SegmentConfig | None, options: Mapping[str, Any]) -> SegmentConfig:
    merged = build_config({} if config is None else config.to_dict(), options)
    kept = merged.to_dict()
    return build_config({name: kept[name] for name in ADAPT_OPTIONS})


def _warn_of_no_gain(choice: Choice, legend: Legend) -> None:
    chosen, others = choice.chosen, choice.candidates[1:]
    best = best_of(others) if chosen.kind is None else chosen
    if best.beats(choice.candidates[0]):
        return
    gain, error = best.accuracy_gain(choice.candidates[0])
    found = f"{100 * gain:+.1f} points of accuracy, standard error {100 * error:.1f}"
    if chosen.kind is None:
        warn(
            "no adapter gains more accuracy than its standard error, and a point of mean IoU (the "
            f"best of them, {best.kind}: {found}): this one changes nothing"
        )
        if bare := [item.name for item in legend.classes if not item.words]:
            warn(
                "without words, and with nothing learned, a class can hardly win a pixel: "
                f"{', '.join(bare)}. Label more places, or name a --kind"
            )
    else:
        warn(f"the adapter {shortfall(best, choice.candidates[0])} ({found})")


def _facts(
    done: Adaptation, model: Model, settings: SegmentConfig, scenes: Sequence[Scene]
) -> dict[str, Any]:
    """Return the header of the adapter's file."""
    default, own = SegmentConfig().to_dict(), settings.to_dict()
    carried = {name: own[name] for name in CARRIED if own[name] != default[name]}
    named = settings.model if settings.model != default["model"] else model.facts["name"]
    sizes = [
        pixel_size_m(scene.crs, scene.working_transform, scene.working_shape) for scene in scenes
    ]
    known = [side for size in sizes if size is not None for side in size]
    return {
        "software": software(),
        "legend": done.legend.to_dict(),
        "model": {"name": model.facts["name"], "weights_sha256": model.facts["weights_sha256"]},
        "method": model.facts["method"],
        "method_options": model.facts["method_options"],
        "settings": {**carried, "model": named, "templates": settings.templates},
        "pixel_size": [min(known), max(known)] if known else None,
        # The same labels give the same file: how long it took is no part of it.
        "report": {key: each for key, each in done.to_dict().items() if key != "seconds"},
    }
