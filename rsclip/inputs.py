"""The files that a run reads besides its scenes: no output may replace one of them."""

import contextlib
from pathlib import Path

from rsclip.config import SegmentConfig
from rsclip.legend import LegendSpec, class_file
from rsclip.prompts import template_file

__all__ = ["files_read"]


def files_read(classes: LegendSpec, config: SegmentConfig) -> list[Path]:
    """Return the class file, templates, weights, area and model files that a run would read.

    Args:
        classes: As `segment` takes them.
        config: Settings.
    """
    files = [class_file(classes), template_file(config.templates)]
    files += [Path(name).expanduser() for name in (config.weights, config.model) if name]
    # An area may be a text too long for a file's name.
    with contextlib.suppress(OSError, ValueError):
        if config.aoi is not None and Path(config.aoi).expanduser().is_file():
            files.append(Path(config.aoi).expanduser())
    found = [path for path in files if path is not None]
    # A model may be a folder.
    inside = [item for path in found if path.is_dir() for item in path.iterdir()]
    return [path for path in (*found, *inside) if path.is_file()]
