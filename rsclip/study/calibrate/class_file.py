"""The class file that `calibrate` writes."""

from pathlib import Path

import yaml

from rsclip.errors import OutputError
from rsclip.words.legend import Legend

__all__ = ["check_class_file", "write_class_file"]

_SUFFIXES = (".yaml", ".yml")
_OF_MASKS = ("dtype", "nodata")


def check_class_file(path: str | Path) -> None:
    """Refuse a name that is none of a YAML file.

    Raises:
        OutputError: It is not.
    """
    if Path(path).suffix.lower() not in _SUFFIXES:
        raise OutputError("a class file is YAML", where=path, remedy="End it in .yaml (-o).")


def write_class_file(path: Path, legend: Legend) -> None:
    """Write a class file (YAML) that `load_legend` reads as the same classes.

    Args:
        path: A new file.
        legend: Classes.
    """
    content = legend.to_dict()
    for key in _OF_MASKS:
        del content[key]
    for item in content["classes"]:
        del item["value"]
        # What is as it is anyway is not said; a background class has no colour.
        if item["background"]:
            del item["colour"]
        for key in ("descriptions", "threshold", "background"):
            if not item[key]:
                del item[key]
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
    path.write_text(text, encoding="utf-8")
