"""The files that a run reads besides its scenes: no output may replace one of them."""

from pathlib import Path

from rsclip.config import SegmentConfig
from rsclip.legend import LegendSpec, class_file
from rsclip.prompts import template_file

__all__ = ["files_read"]


def files_read(classes: LegendSpec, config: SegmentConfig) -> list[Path]:
    """Return the class file, templates, weights and model files that a run would read.

    Args:
        classes: As `segment` takes them.
        config: Settings.
    """
    files = [class_file(classes), template_file(config.templates)]
    files += [Path(name).expanduser() for name in (config.weights, config.model) if name]
    found = [path for path in files if path is not None]
    # A model may be a folder.
    inside = [item for path in found if path.is_dir() for item in path.iterdir()]
    return [path for path in (*found, *inside) if path.is_file()]
