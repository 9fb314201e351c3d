"""`suggest`: where a label would teach most, as squares to fill in."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np
import shapely

from rsclip.adapters.fitted_for import adapter_layer
from rsclip.config import ADAPT_OPTIONS, SegmentConfig, build_config
from rsclip.errors import OptionError, OutputError, SceneError, warn
from rsclip.keywords import SuggestKeywords
from rsclip.methods.segmenter import Segmenter
from rsclip.outputs.files.disk import write_error
from rsclip.outputs.files.staging import Staging
from rsclip.outputs.polygons.formats import check_length
from rsclip.outputs.polygons.frame_crs import FrameCRS
from rsclip.outputs.polygons.gpkg_style import embed_qml
from rsclip.run.encoder import load_model
from rsclip.run.scenes_and_classes import ClassesRead, files_read, open_scene
from rsclip.run.working_pixel_size import apply_defaults, warn_of_pixel_size
from rsclip.scene.gdal import GDAL_ERRORS
from rsclip.scene.scene import Scene, gdal_env
from rsclip.study.adapt.labels import lie_on, read_labels, say_outside
from rsclip.study.label_form import form_qml
from rsclip.study.suggest.candidates import Candidates, find_candidates
from rsclip.study.suggest.choosing import choose
from rsclip.study.suggest.finished_run import read_run
from rsclip.words.class_scores import Layout
from rsclip.words.legend import Legend, LegendSpec

if TYPE_CHECKING:
    from rsclip.model import Backbone

__all__ = ["LAYER", "suggest"]

LAYER = "suggestions"
_CELLS = 2


def suggest(
    scene: str | Path,
    output: str | Path,
    count: int = 20,
    *,
    classes: LegendSpec | None = None,
    labels: str | Path | None = None,
    config: SegmentConfig | None = None,
    backbone: "Backbone | None" = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Unpack[SuggestKeywords],
) -> Path:
    """Choose places of a scene where a label would teach the model most.

    Squares of two patches that look as one class, each typical of its cluster of the scene's
    features, the largest cluster first. Opened in QGIS, the form of the file offers the classes as
    a list; `adapt` reads what is filled in.

    Args:
        scene: A file, URL or GDAL virtual path; or the output folder of a run of one scene, whose
            classes and settings hold where nothing else is said.
        output: A GeoPackage.
        count: How many places.
        classes: As `rsclip.segment` takes them; None: those of the run, or of the `adapter`.
        labels: Labels that there are already, as `adapt` takes them: places lie away from them.
        config: Settings; `config.ADAPT_OPTIONS`, `adapter` and `aoi` (places lie in it) are those
            that count.
        backbone: A ready model, in place of the configuration's.
        progress: Called with (windows done, windows in all).
        **options: Fields of `SegmentConfig`.

    Returns:
        The path of the file.

    Raises:
        InputError: The scene, classes, labels or an option is wrong, or the file exists.
        RunError: A read or the write failed; nothing is left under the final name.
    """
    if count < 1:
        raise OptionError(f"{count} places", where="-n", remedy="Ask for one at least.")
    path = Path(output)
    if path.suffix.lower() != ".gpkg":
        raise OutputError("suggestions are a GeoPackage", where=path, remedy="End it in .gpkg.")
    check_length(path, "gpkg")
    base = {} if config is None else config.to_dict()
    if Path(scene).is_dir():
        run = read_run(scene)
        scene, base = run.scene, base or run.beside(options)
        if classes is None and not options.get("adapter"):
            classes = run.legend
    merged = build_config(base, adapter_layer(options), options)
    kept = merged.to_dict()
    settings = build_config({name: kept[name] for name in (*ADAPT_OPTIONS, "adapter", "aoi")})
    read = ClassesRead.read(classes, settings.background, settings.adapter, without_words=True)
    settings = read.legend.calibration.fill(settings)
    few = None if labels is None else read_labels(labels, read.legend)
    inputs = [each for each in (scene, labels) if each is not None]
    inputs += files_read(read.file, settings)
    with (
        gdal_env(),
        Staging.for_file(
            path, "suggestions", overwrite=settings.overwrite, inputs=inputs
        ) as staging,
        contextlib.ExitStack() as stack,
    ):
        opened = stack.enter_context(open_scene(scene, settings))
        model = load_model(read.legend, settings, backbone)
        model.check_windows(settings)
        warn_of_pixel_size(opened, settings, model.defaults.gsd_range)
        settings = apply_defaults(opened, settings, model.defaults)
        encoder = model.encoder
        assert isinstance(encoder, Segmenter)
        layout = Layout.of(read.legend, model.queries, settings.synonyms)
        shapes = np.empty(0, object)
        if few is not None:
            shapes = few.on(opened)
            say_outside(few, ~lie_on(shapes, opened))
        found = find_candidates(opened, encoder, layout, settings, _CELLS, shapes, progress)
        side = _CELLS * encoder.patch
        chosen = _chosen(found, side, count)
        if not len(chosen.places):
            raise SceneError(
                "no place is left to label", where=scene,
                remedy="`rsclip info` shows what of a scene is valid; existing labels are avoided, "
                "and an area of interest must hold whole squares of two patches.",
            )  # fmt: skip
        if len(chosen.places) < count:
            warn(f"{scene}: {len(chosen.places)} places instead of {count}: there are no more")
        _write(staging.path("suggestions"), opened, chosen, side, read.legend)
        return staging.publish()["suggestions"]


def _chosen(found: Candidates, side: int, count: int) -> Candidates:
    """Return places that do not overlap."""
    chosen: list[int] = []
    for at in choose(found.features, found.label, found.clear, count):
        if len(chosen) == count:
            break
        apart = np.abs(found.places[chosen] - found.places[at]).max(axis=1, initial=0)
        if (apart >= side).all():
            chosen.append(int(at))
    return found.of(np.array(chosen, np.int64))


def _write(path: Path, scene: Scene, found: Candidates, side: int, legend: Legend) -> None:
    import geopandas
    import pandas  # type: ignore[import-untyped]
    import pyogrio

    grid = scene.working_transform

    def placed(xy: Any) -> Any:
        x, y = xy.T
        return np.stack([grid.a * x + grid.b * y + grid.c, grid.d * x + grid.e * y + grid.f], 1)

    blank: Any = pandas.Series([None] * len(found.places), dtype="object")
    frame = geopandas.GeoDataFrame(
        {
            "place": np.arange(1, len(found.places) + 1),
            "guess": [legend.classes[position].name for position in found.guess],
            "margin": found.margin.astype(float).round(3),
            "label": blank,
            "comment": blank,
        },
        geometry=shapely.transform(found.squares(side), placed),
        crs=FrameCRS(scene.crs.to_wkt()) if scene.crs else None,
    )
    try:
        pyogrio.write_dataframe(frame, path, layer=LAYER, driver="GPKG")
    except GDAL_ERRORS as error:
        raise write_error(error, path) from error
    embed_qml(path, LAYER, form_qml(legend, ["place", "guess", "margin"], polygons=True))
