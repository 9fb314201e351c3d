"""What a run reads, looked at once: scenes, classes, and the files that they come from."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from rsclip.adapters.fitted_for import read_header
from rsclip.config import SegmentConfig
from rsclip.errors import LegendError, RsclipError, collect_warnings
from rsclip.files import expand
from rsclip.outputs.polygons.formats import check_place
from rsclip.scene.scene import Scene
from rsclip.words.evidence_choice import evidence_file
from rsclip.words.legend import Legend, LegendSpec, class_file, load_legend
from rsclip.words.prompts import template_file

__all__ = ["ClassesRead", "Source", "files_read", "open_scene"]


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
    def read(
        cls,
        classes: LegendSpec | None,
        background: str | None = None,
        adapter: str | None = None,
        *,
        without_words: bool = False,
    ) -> Self:
        """Read classes.

        Args:
            classes: As `load_legend` takes them; None: those of the adapter.
            background: Likewise.
            adapter: An adapter's file.
            without_words: Classes may have no words without an adapter too.

        Raises:
            LegendError: They are wrong, or there are none.
            AdapterError: The adapter is damaged, or was fitted for other classes.
        """
        if classes is None and adapter is None:
            raise LegendError("no classes", where="--classes", remedy="Name what to find.")
        header = None if adapter is None else read_header(adapter)
        with collect_warnings() as said:
            # An adapter knows its background words already.
            spec = header.legend if classes is None and header is not None else classes
            assert spec is not None
            legend = load_legend(
                spec, background=background, without_words=without_words or header is not None
            )
        if header is not None:
            header.check_classes(legend)
        return cls(legend, class_file(spec), tuple(said))


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


def files_read(classes: Path | None, config: SegmentConfig) -> list[Path]:
    """Return the class file, templates, weights, adapter, area and model files of a run.

    Args:
        classes: The class file, if there is one.
        config: Settings.
    """
    files = [classes, template_file(config.templates), evidence_file(config.evidence)]
    named = (config.weights, config.model, config.affinity, config.adapter)
    files += [expand(name) for name in named if name]
    files += [expand(path) for path in config.rasters.values()]
    # An area may be a text too long for a file's name.
    with contextlib.suppress(OSError, ValueError):
        if config.aoi is not None and expand(config.aoi).is_file():
            files.append(expand(config.aoi))
    found = [path for path in files if path is not None]
    # A model may be a folder.
    inside = [item for path in found if path.is_dir() for item in path.iterdir()]
    return [path for path in (*found, *inside) if path.is_file()]
