"""The library's front door: `segment` one scene, or many with one loaded model."""

import contextlib
import dataclasses
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import rasterio

from rsclip.config import POLYGON_OPTIONS, SegmentConfig, build_config
from rsclip.errors import OutputError, RsclipError, RsclipWarning, RunError
from rsclip.inputs import files_read
from rsclip.legend import Legend, load_legend
from rsclip.outputs import open_scores, output_names, write_companions
from rsclip.pipeline import Encoder, Progress, SceneRun, plan_grid
from rsclip.prompts import Query, class_queries, load_templates
from rsclip.provenance import describe_outcome, describe_run
from rsclip.radiometry import parse_stretch
from rsclip.scene import Scene, gdal_env
from rsclip.vectors.shape import find_values
from rsclip.writers.mask import MaskWriter
from rsclip.writers.record import provenance_tags, write_record
from rsclip.writers.staging import Staging
from rsclip.writers.vectors import check_place

if TYPE_CHECKING:
    import geopandas
    import PIL.Image

    from rsclip.backbone import Backbone

__all__ = [
    "Failure",
    "Model",
    "SegmentResult",
    "load_model",
    "output_names",
    "segment",
    "segment_scenes",
]


@dataclass(frozen=True)
class SegmentResult:
    """What a finished segmentation left behind.

    Attributes:
        scene: The scene as it was named.
        paths: Key ("mask", "areas", "record", ...) -> path of every output; docs/outputs.md.
        legend: Classes with values and colours; 0 is unclassified, `legend.nodata` no data.
        shares: Class name -> share (0 to 1) of the valid pixels, "unclassified" included.
        run: The run record as a mapping.
    """

    scene: str
    paths: Mapping[str, Path]
    legend: Legend
    shares: Mapping[str, float]
    run: Mapping[str, Any] = field(repr=False)

    @property
    def mask_path(self) -> Path:
        """Path of the mask, a COG on the scene's grid."""
        return self.paths["mask"]

    @property
    def record(self) -> Path:
        """Path of the run record (JSON)."""
        return self.paths["record"]

    def mask(self) -> np.ndarray:
        """Read the labels: legend.dtype (H, W)."""
        with rasterio.open(self.mask_path) as dataset:
            labels: np.ndarray = dataset.read(1)
        return labels

    def polygons(self) -> "geopandas.GeoDataFrame":
        """Return the polygons: those that were written, else made now from the mask.

        Columns are docs/outputs.md's, geometry in the scene's CRS (in WGS84 if GeoJSON was asked
        for). All are in memory; polygons of a file larger than that are read piece by piece with
        pyogrio.

        Raises:
            RunError: A read or a write failed.
        """
        from rsclip.polygons import polygonize, read_polygons

        if "polygons" in self.paths:
            return read_polygons(self.paths["polygons"])
        options = {
            name: value
            for name, value in self.run["settings"].items()
            if name in POLYGON_OPTIONS and name != "overwrite"
        }
        return polygonize(self.mask_path, confidence=self.paths.get("confidence"), **options)

    def preview(self) -> "PIL.Image.Image":
        """Return the preview: the one that was written, else drawn now from scene and mask.

        Raises:
            InputError: The scene cannot be opened any more.
            ReadError: Its pixels cannot be read.
        """
        import PIL.Image

        from rsclip.outputs import draw_preview

        if "preview" in self.paths:
            with PIL.Image.open(self.paths["preview"]) as picture:
                return picture.copy()
        return draw_preview(self.run, self.mask_path)


@dataclass(frozen=True)
class Failure:
    """A scene of several that could not be segmented."""

    scene: str
    error: RsclipError


@dataclass(frozen=True)
class Model:
    """An encoder ready for a legend's words, and what the record says of it.

    Attributes:
        encoder: Gives similarities; one channel per query.
        queries: The queries, in the encoder's order.
        facts: Name, weights hash and whatever else describes the model, for the record.
    """

    encoder: Encoder
    queries: Sequence[Query]
    facts: Mapping[str, Any]


ModelLoader = Callable[[Legend, SegmentConfig], Model]


def segment(
    scene: str | Path,
    classes: "str | Path | Sequence[str] | Mapping[str, Any] | Legend",
    output_dir: str | Path = ".",
    *,
    config: SegmentConfig | None = None,
    backbone: "Backbone | None" = None,
    progress: Progress | None = None,
    **options: Any,
) -> SegmentResult:
    """Segment one scene by class words into a georeferenced mask.

    Args:
        scene: A file, URL or GDAL virtual path.
        classes: Words ("building|house, road"), a class file, "set:NAME", or a `Legend`.
        output_dir: Where `<stem>_mask.tif` and the other outputs go.
        config: Settings; `options` beat them.
        backbone: A ready model (`rsclip.wrap`), in place of `model` and `weights`.
        progress: Called with (windows done, windows in all).
        **options: Fields of `SegmentConfig`, such as overlap=0.25.

    Raises:
        InputError: Something is wrong before any pixel is read.
        RunError: Something failed after; nothing is left under a final name.
    """
    settings = _merge(config, options)
    (result,) = segment_scenes(
        [scene], classes, output_dir, config=settings, backbone=backbone, progress=progress
    )
    if isinstance(result, Failure):
        raise result.error
    return result


def segment_scenes(
    scenes: Sequence[str | Path],
    classes: "str | Path | Sequence[str] | Mapping[str, Any] | Legend",
    output_dir: str | Path = ".",
    *,
    config: SegmentConfig | None = None,
    backbone: "Backbone | None" = None,
    model_loader: ModelLoader | None = None,
    progress: Progress | None = None,
    protect: Sequence[str | Path] = (),
) -> Iterator[SegmentResult | Failure]:
    """Segment scenes one after the other with one loaded model.

    Args:
        scenes: Files, URLs or GDAL virtual paths, each with a stem of its own.
        classes: As `segment` takes them.
        output_dir: One folder for all.
        config: Settings.
        backbone: A ready model, in place of the configuration's.
        progress: Called with (windows done, windows in all), anew for each scene.
        model_loader: Builds the encoder in place of `load_model` (tests, benchmarks).
        protect: Further files that no output may replace, such as the class file.

    Yields:
        A result, or the failure of one scene; the others still run.

    Raises:
        InputError: Classes, options, output names or the model are wrong: no scene is begun.
    """
    settings = config or SegmentConfig()
    legend = load_legend(classes, background=settings.background)
    find_values(settings.orthogonal, legend.names)
    if settings.stretch is not None:
        parse_stretch(settings.stretch)
    folder = Path(output_dir)
    stems = _unique_stems(scenes)
    inputs = [str(path) for path in (*scenes, *protect, *files_read(classes, settings))]
    # Scenes that cannot be opened are known before the model is loaded, which takes longer.
    unusable: dict[int, RsclipError] = {}
    for index, source in enumerate(scenes):
        try:
            with _open(source, settings) as opened:
                inputs += opened.files
                check_place(settings.vector_format, opened.crs, source)
        except RsclipError as error:
            unusable[index] = error
    for index, stem in enumerate(stems):
        if index not in unusable:
            names = output_names(stem, settings)
            Staging.check(folder, names, overwrite=settings.overwrite, inputs=inputs)
    model = None
    if len(unusable) < len(scenes):
        loader = model_loader or _default_loader(backbone)
        model = loader(legend, settings)
        # A window that does not fit the model fits it in no scene.
        plan_grid((1, 1), model.encoder, settings)
    for index, (scene, stem) in enumerate(zip(scenes, stems, strict=True)):
        if index in unusable:
            yield Failure(str(scene), unusable[index])
            continue
        assert model is not None
        try:
            yield _segment_one(scene, stem, folder, legend, settings, model, inputs, progress)
        except RsclipError as error:
            yield Failure(str(scene), error)
        except MemoryError:
            yield Failure(str(scene), _out_of_memory(scene))


def load_model(legend: Legend, config: SegmentConfig, backbone: "Backbone | None" = None) -> Model:
    """Load the backbone that a configuration names, with a legend's words encoded.

    Raises:
        InputError: The model, its weights, method, templates or device are wrong.
    """
    from rsclip.backbone import load_backbone
    from rsclip.methods import get_method, parse_options
    from rsclip.segmenter import Segmenter

    templates = load_templates(config.templates)
    queries = class_queries(legend, templates)
    method = get_method(config.method)
    method_options = parse_options(config.method, config.method_option)
    backbone = backbone or load_backbone(config.model, config.weights)
    segmenter = Segmenter(
        backbone,
        [query.prompts for query in queries],
        method=config.method,
        options=method_options,
        device=config.device,
        precision=config.precision,
        batch_size=config.batch_size,
    )
    _warn_of_far_words(backbone, legend)
    facts = {
        **backbone.facts(),
        "method": method.name,
        "method_options": dataclasses.asdict(method_options),
        "templates": list(templates),
        "device": str(segmenter.device),
        "batch_size": segmenter.batch_size,
    }
    return Model(segmenter, queries, facts)


def _warn_of_far_words(backbone: "Backbone", legend: Legend) -> None:
    """Name the words that a model of few concepts has not learned: it answers for them anyway."""
    if backbone.vocabulary is None:
        return
    from rsclip.vocabulary import check_words

    def embed(prompts: list[str]) -> np.ndarray:
        features: np.ndarray = (
            backbone.text_features([[prompt] for prompt in prompts]).cpu().numpy()
        )
        return features

    words = [word for item in legend.classes for word in item.words]
    for far in check_words(embed, words, backbone.vocabulary):
        warnings.warn(
            f"{far.word!r} is far from every word that {backbone.name} has learned (the nearest is "
            f"{far.nearest!r}): expect nonsense for it, or use a larger model (--model)",
            RsclipWarning,
            stacklevel=2,
        )


def _merge(config: SegmentConfig | None, options: Mapping[str, Any]) -> SegmentConfig:
    if config is None:
        return build_config(options)
    return build_config(config.to_dict(), options) if options else config


def _default_loader(backbone: "Backbone | None") -> ModelLoader:
    return lambda legend, config: load_model(legend, config, backbone)


def _open(scene: str | Path, config: SegmentConfig) -> Scene:
    return Scene.open(scene, bidx=config.bidx, nodata=config.nodata, gsd=config.gsd)


def _out_of_memory(source: str | Path) -> RunError:
    return RunError(
        "the memory of this machine does not suffice",
        where=source,
        remedy="Try a smaller --batch-size, or fewer classes; `rsclip info` estimates the need.",
    )


def _unique_stems(scenes: Sequence[str | Path]) -> list[str]:
    stems = [Scene.stem_of(scene) for scene in scenes]
    for index, stem in enumerate(stems):
        # Case too: Windows and macOS file systems would write one over the other.
        twins = [other for other in stems[:index] if other.lower() == stem.lower()]
        if twins:
            first = scenes[stems.index(twins[0])]
            raise OutputError(
                f"both would be written as {output_names(stem)['mask']}",
                where=f"{first} and {scenes[index]}",
                remedy="Run them one at a time into folders of their own (-o).",
            )
    return stems


def _segment_one(
    source: str | Path,
    stem: str,
    folder: Path,
    legend: Legend,
    config: SegmentConfig,
    model: Model,
    inputs: Sequence[str],
    progress: Progress | None,
) -> SegmentResult:
    names = output_names(stem, config)
    index = [query.class_index for query in model.queries]
    with gdal_env(), contextlib.ExitStack() as stack:
        scene = stack.enter_context(_open(source, config))
        run = SceneRun(scene, model.encoder, legend, index, config)
        staging = stack.enter_context(
            Staging(folder, names, overwrite=config.overwrite, inputs=inputs)
        )
        record = describe_run(scene, run, legend, config, model.queries, model.facts)
        tags = provenance_tags(record)
        grid = scene.shape, scene.crs, scene.transform
        writer = stack.enter_context(MaskWriter(staging.path("mask"), *grid, legend, tags))
        scores = open_scores(stack, staging, names, scene, legend, tags)
        counts = run.write(writer, progress, scores)
        record.update(describe_outcome(run, counts, legend))
        assert run.radiometry is not None
        write_companions(staging, names, folder, scene, run.radiometry, legend, record, config)
        write_record(staging.path("record"), record)
        paths = staging.publish()
    if record["valid_pixels"] == 0:
        warnings.warn(
            f"{source}: no valid pixel: the mask is nodata throughout", RsclipWarning, stacklevel=2
        )
    return SegmentResult(
        str(source),
        paths,
        legend,
        {item["name"]: item["share"] for item in record["results"]},
        record,
    )
