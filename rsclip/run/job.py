"""Scenes, classes and settings, checked together before any work."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from rsclip.config import SegmentConfig
from rsclip.errors import OutputError, RsclipError, collect_warnings, warn
from rsclip.labelling.guidance import Guidance
from rsclip.outputs.companions import output_names
from rsclip.outputs.files.staging import Staging, check_reach
from rsclip.outputs.polygons.formats import check_length, check_path, has_prj
from rsclip.run.evidence_bands import BandEvidence
from rsclip.run.scenes_and_classes import ClassesRead, Source, files_read
from rsclip.scene.scene import Scene
from rsclip.scene.stretch import parse_stretch
from rsclip.vectors.shaping import find_values
from rsclip.words.evidence_choice import with_evidence
from rsclip.words.legend import Legend, LegendSpec

__all__ = ["Job"]


@dataclass(frozen=True)
class Job:
    """What a run was asked for.

    Attributes:
        sources: Its scenes.
        legend: Classes.
        settings: Settings.
        folder: The output folder.
        inputs: Files that no output may replace.
        warnings: What was said of classes and settings: it holds for every scene.
    """

    sources: Sequence[Source]
    legend: Legend
    settings: SegmentConfig
    folder: Path
    inputs: Sequence[str]
    warnings: Sequence[str] = ()

    @classmethod
    def prepare(
        cls,
        scenes: Sequence[str | Path],
        classes: "LegendSpec | ClassesRead | None",
        output_dir: str | Path,
        config: SegmentConfig | None,
        protect: Sequence[str | Path] = (),
    ) -> Self:
        """Check classes, options and names, and open every scene once.

        Raises:
            InputError: Classes or options are wrong, or two scenes would have the same outputs.
        """
        settings = config or SegmentConfig()
        if not isinstance(classes, ClassesRead):
            classes = ClassesRead.read(classes, settings.background, settings.adapter)
        settings = classes.legend.calibration.fill(settings)
        with collect_warnings() as said:
            legend = with_evidence(classes.legend, settings.evidence)
            find_values(settings.orthogonal, classes.legend.names)
            if settings.stretch is not None:
                parse_stretch(settings.stretch)
            Guidance.of(settings)
            check_reach(output_dir)
            check_path(output_dir, settings.vector_format)
            if settings.qgis_project and settings.vector_format == "parquet":
                warn(
                    "--qgis-project leaves the polygons out: many builds of QGIS cannot open "
                    "GeoParquet (--vector-format=gpkg opens in all)"
                )
        stems = _unique_stems(scenes)
        for stem in stems:
            polygons = Path(output_dir, f"{stem}_polygons.gpkg")
            check_length(polygons, settings.vector_format, f"{stem}_run.json")
        sources = [
            _with_rules(Source.look(name, stem, settings), legend, settings)
            for name, stem in zip(scenes, stems, strict=True)
        ]
        inputs = [str(path) for path in (*scenes, *protect, *files_read(classes.file, settings))]
        inputs += [file for each in sources if each.scene is not None for file in each.scene.files]
        return cls(
            sources, legend, settings, Path(output_dir), inputs,
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


def _with_rules(source: Source, legend: Legend, settings: SegmentConfig) -> Source:
    """Return a source, as one in error where its bands do not answer the classes' rules."""
    if source.scene is None:
        return source
    try:
        with collect_warnings() as said:
            BandEvidence.check(source.scene, legend, settings)
    except RsclipError as error:
        return replace(source, scene=None, error=error)
    return replace(source, warnings=(*source.warnings, *said))


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
