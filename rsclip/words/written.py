"""Classes written as the class file that gives them."""

from pathlib import Path

import yaml

from rsclip.words.legend import Legend

__all__ = ["write_classes"]

_OF_MASKS = ("dtype", "nodata")


def write_classes(path: Path, legend: Legend) -> None:
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
