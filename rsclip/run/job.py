"""Scenes, classes and settings, checked together before any work."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from rsclip.config import SegmentConfig
from rsclip.errors import OutputError, RsclipError, collect_warnings, warn
from rsclip.files import expand
from rsclip.labelling.refinement import parse_dilations
from rsclip.labelling.windows import plan_grid
from rsclip.outputs.companions import kept_scores, output_names
from rsclip.outputs.files.staging import Staging, check_reach
from rsclip.outputs.polygons.formats import check_length, check_path, check_place, has_prj
from rsclip.run.encoder import Model, ModelLoader, load_model
from rsclip.run.request import describe_request, is_same_request
from rsclip.run.resume import (
    Decision,
    Places,
    decide,
    input_facts,
    read_record,
    reading_hash,
    settings_hash,
)
from rsclip.scene.scene import Scene
from rsclip.scene.stretch import parse_stretch
from rsclip.vectors.shaping import find_values
from rsclip.words.legend import Legend, LegendSpec, class_file, load_legend
from rsclip.words.prompts import template_file

if TYPE_CHECKING:
    from rsclip.model import Backbone, ModelOutline

__all__ = ["ClassesRead", "Job", "Source", "files_read", "open_scene"]


@dataclass(frozen=True)
class ClassesRead:
    """Classes as a run takes them.

    Attributes:
        legend: The classes, background words among them.
        file: The class file that they were read from, if any.
        warnings: What was said of them.
    """

    legend: Legend
    file: Path | None = None
    warnings: Sequence[str] = ()

    @classmethod
    def read(cls, classes: LegendSpec, background: str | None = None) -> Self:
        """Read classes.

        Raises:
            LegendError: They are wrong.
        """
        with collect_warnings() as said:
            legend = load_legend(classes, background=background)
        return cls(legend, class_file(classes), tuple(said))


@dataclass(frozen=True)
class Source:
    """A scene of a run, looked at once.

    Attributes:
        name: As it was named.
        stem: What its outputs' names begin with.
        scene: What is known of it, closed; None where it cannot be opened.
        error: Why it cannot be opened.
        warnings: What was said of it.
    """

    name: str | Path
    stem: str
    scene: Scene | None
    error: RsclipError | None = None
    warnings: Sequence[str] = ()

    @classmethod
    def look(cls, name: str | Path, stem: str, config: SegmentConfig) -> Self:
        """Open a scene and see whether it can be segmented as the settings say."""
        try:
            with collect_warnings() as said, open_scene(name, config) as scene:
                check_place(config.vector_format, scene.crs, name)
        except RsclipError as error:
            return cls(name, stem, None, error)
        return cls(name, stem, scene, warnings=tuple(said))

    def open(self) -> Scene:
        """Return the scene, open again; nothing of it is worked out anew.

        Raises:
            RsclipError: It could not be opened at first.
        """
        if self.scene is None:
            assert self.error is not None
            raise self.error
        return self.scene.reopen()


@dataclass(frozen=True)
class Job:
    """What a run was asked for.

    Attributes:
        sources: Its scenes.
        legend: Classes.
        settings: Settings.
        folder: The output folder.
        inputs: Files that no output may replace.
        methods: How many methods read each image.
        warnings: What was said of classes and settings: it holds for every scene.
    """

    sources: Sequence[Source]
    legend: Legend
    settings: SegmentConfig
    folder: Path
    inputs: Sequence[str]
    methods: int = 1
    warnings: Sequence[str] = ()

    @classmethod
    def prepare(
        cls,
        scenes: Sequence[str | Path],
        classes: "LegendSpec | ClassesRead",
        output_dir: str | Path,
        config: SegmentConfig | None,
        protect: Sequence[str | Path] = (),
    ) -> "Job":
        """Check classes, options and names, and open every scene once.

        Raises:
            InputError: Classes or options are wrong, or two scenes would have the same outputs.
        """
        settings = config or SegmentConfig()
        if not isinstance(classes, ClassesRead):
            classes = ClassesRead.read(classes, settings.background)
        with collect_warnings() as said:
            find_values(settings.orthogonal, classes.legend.names)
            if settings.stretch is not None:
                parse_stretch(settings.stretch)
            if settings.refine is not None:
                parse_dilations(settings.refine)
            check_reach(output_dir)
            check_path(output_dir, settings.vector_format)
            if settings.qgis_project and settings.vector_format == "parquet":
                _warn_of_parquet()
        stems = _unique_stems(scenes)
        for stem in stems:
            polygons = Path(output_dir, f"{stem}_polygons.gpkg")
            check_length(polygons, settings.vector_format, f"{stem}_run.json")
        sources = [
            Source.look(name, stem, settings) for name, stem in zip(scenes, stems, strict=True)
        ]
        inputs = [str(path) for path in (*scenes, *protect, *files_read(classes.file, settings))]
        inputs += [file for each in sources if each.scene is not None for file in each.scene.files]
        return cls(
            sources, classes.legend, settings, Path(output_dir), inputs,
            warnings=(*classes.warnings, *said),
        )  # fmt: skip

    @property
    def usable(self) -> list[Scene]:
        """The scenes that can be opened."""
        return [each.scene for each in self.sources if each.scene is not None]

    def names(self, stem: str, scene: Scene | None = None) -> dict[str, str]:
        """Return the file names of a scene's outputs: unless it is given, all there may be."""
        placed = scene is None or has_prj(scene.crs)
        return output_names(stem, self.settings, placed=placed)

    def check_outputs(self) -> None:
        """Refuse outputs that are in the way.

        Raises:
            OutputError: One exists and may not be replaced, or is an input.
        """
        # Whether what is there may stay is known only with the model.
        replace = self.settings.overwrite or self.settings.resume
        for source in self.sources:
            if source.scene is not None:
                names = self.names(source.stem)
                Staging.check(self.folder, names, overwrite=replace, inputs=self.inputs)

    def outline(self, backbone: "Backbone | None") -> "ModelOutline":
        """Return what is known of the model before it is loaded."""
        from rsclip.model import model_outline

        if backbone is not None:
            return backbone.outline
        return model_outline(self.settings.model, self.settings.weights)

    def load(self, backbone: "Backbone | None" = None, loader: ModelLoader | None = None) -> Model:
        """Load the model, with a batch that keeps the memory limit.

        Raises:
            InputError: The model, its weights, or an option of it is wrong.
        """
        settings = self.settings
        if settings.max_memory is not None:
            settings = settings.replace(batch_size=self._batch_within(backbone))
        if loader is not None:
            model = loader(self.legend, settings)
        else:
            model = load_model(self.legend, settings, backbone)
        model.check_windows(settings)
        return model

    def check_memory(self) -> None:
        """Refuse a memory limit that no scene, however small, could keep.

        Raises:
            OptionError: It is too small, or no size.
        """
        if self.settings.max_memory is not None:
            self._batch_within(None)

    def input_identity(self, scene: Scene) -> dict[str, Any]:
        """Return what a finished run's input must have in common with this one's."""
        return {
            "reading_hash": reading_hash(scene),
            "input": input_facts(scene, checksum=self.settings.checksum),
        }

    def settings_hash(self, scene: Scene, model: Model) -> dict[str, str]:
        """Return what a finished run's settings must have in common with this one's."""
        hashed = settings_hash(self.legend, self.settings, model.facts, _area(scene))
        return {"settings_hash": hashed}

    def request(self, scene: Scene, model: Model) -> dict[str, Any]:
        """Return what the record keeps so that `decide_without_model` knows the run again."""
        return describe_request(self.legend, self.settings, _area(scene), model.facts)

    def decide_without_model(
        self, scene: Scene, names: Mapping[str, str], places: Places, identity: Mapping[str, Any]
    ) -> Decision | None:
        """Say what to do about a finished run of the same request; None: the model has to tell.

        Args:
            scene: The scene.
            names: As the method of that name gives them.
            places: Key -> path of every output.
            identity: As `input_identity` gives it.

        Raises:
            ExistsError: The input has changed since, or outputs may be somebody's own.
        """
        record = read_record(places["record"])
        if not self.settings.resume or record is None:
            return None
        if not is_same_request(record, self.legend, self.settings, _area(scene)):
            return None
        known = {**identity, "settings_hash": record.get("settings_hash")}
        facts = {"model": record.get("model"), "classes": self.legend.to_dict()}
        found = decide(places, known, self.settings, facts, self.folder / names["record"])
        return found if found.action in ("skip", "add") else None

    def decide(
        self, names: Mapping[str, str], places: Places, identity: Mapping[str, Any], model: Model
    ) -> Decision:
        """Say what to do about outputs that are there; `rsclip.run.resume.decide` has the rules.

        Args:
            names: As the method of that name gives them.
            places: Key -> path of every output.
            identity: As the method of that name gives it.
            model: The model.

        Raises:
            ExistsError: They were made otherwise, or may be somebody's own.
        """
        facts = {"model": model.facts, "classes": self.legend.to_dict()}
        where = self.folder / names["record"]
        return decide(places, identity, self.settings, facts, where)

    def fingerprint(
        self, names: Mapping[str, str], identity: Mapping[str, Any], model: Model
    ) -> dict[str, Any]:
        """Return what a begun run must have in common with this one, to give the same bits."""
        facts = identity["input"]
        if self.settings.checksum:
            facts = [{k: v for k, v in fact.items() if k != "mtime_ns"} for fact in facts]
        return {
            **identity,
            "input": facts,
            # Logged rows are of these files, and what could not be read is nodata among them.
            "scores": kept_scores(names),
            "on_read_error": self.settings.on_read_error,
            "device": model.facts.get("device"),
            "batch_size": model.encoder.batch_size,
        }

    def _batch_within(self, backbone: "Backbone | None") -> int:
        from rsclip.run.memory import batch_within

        outline = self.outline(backbone)
        assert self.settings.max_memory is not None
        widest = max((each.working_shape for each in self.usable), key=lambda each: each[1],
                     default=(1, 1))  # fmt: skip
        queries = sum(len(item.words) + len(item.descriptions) for item in self.legend.classes)
        grid = plan_grid(widest, outline, self.settings)
        return batch_within(
            self.settings.max_memory, grid, outline, queries * self.methods, self.settings,
            held_bytes=max((each.held_bytes for each in self.usable), default=0),
        )  # fmt: skip


def open_scene(source: str | Path, config: SegmentConfig) -> Scene:
    """Open a scene as the settings say.

    Raises:
        InputError: It cannot be opened, or an option does not fit it.
    """
    return Scene.open(
        source,
        bidx=config.bidx,
        nodata=config.nodata,
        gsd=config.gsd,
        aoi=config.aoi,
        on_read_error=config.on_read_error,
        resample_output=config.resample_output,
    )


def _area(scene: Scene) -> str | None:
    return None if scene.aoi is None else scene.aoi.digest


def _warn_of_parquet() -> None:
    warn(
        "--qgis-project leaves the polygons out: many builds of QGIS cannot open GeoParquet "
        "(--vector-format=gpkg opens in all)"
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


def files_read(classes: Path | None, config: SegmentConfig) -> list[Path]:
    """Return the class file, templates, weights, area and model files that a run would read.

    Args:
        classes: The class file, if there is one.
        config: Settings.
    """
    files = [classes, template_file(config.templates)]
    files += [expand(name) for name in (config.weights, config.model) if name]
    # An area may be a text too long for a file's name.
    with contextlib.suppress(OSError, ValueError):
        if config.aoi is not None and expand(config.aoi).is_file():
            files.append(expand(config.aoi))
    found = [path for path in files if path is not None]
    # A model may be a folder.
    inside = [item for path in found if path.is_dir() for item in path.iterdir()]
    return [path for path in (*found, *inside) if path.is_file()]
