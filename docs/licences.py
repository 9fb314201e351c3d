"""Write docs/licences.md: the licences of what rsclip installs, from the packages' own metadata."""

from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

PAGE = Path(__file__).with_name("licences.md")
TEXT = """# Licences

rsclip is Apache-2.0. This is what `pip install rsclip` brings, as each package states it
(`python docs/licences.py`). Wheels of rasterio, pyogrio, pyproj and shapely hold GDAL (MIT), PROJ
(MIT), GEOS (LGPL-2.1) and what these need; PyTorch's CUDA build brings NVIDIA's libraries, under
NVIDIA's own terms.

| package | licence | needed by |
|---|---|---|
{rows}

Data that come with rsclip:

| data | licence |
|---|---|
| the nano model | Apache-2.0; [every source of its training](nano.md#what-it-was-trained-on) |
| sample tiles | Apache-2.0: drawn by rsclip |
| prompt templates `imagenet80` | MIT: OpenAI's CLIP |
| class sets | names and codes of the data sets and standards that each file names as its source |
| Noto Sans, in previews | OFL-1.1 |

Weights that `rsclip models fetch` downloads have licences of their own, which the page of each
model states.
"""
_LONG = 60


def main():
    """Write the page."""
    rows = "\n".join(f"| {name} | {licence} | {by} |" for name, licence, by in packages("rsclip"))
    PAGE.write_text(TEXT.format(rows=rows), encoding="utf-8")


def packages(root):
    """Return (name, licence, what needs it) of all that a package requires here, extras aside."""
    found, todo = {}, [root]
    while todo:
        name = todo.pop(0)
        for text in distribution(name).requires or ():
            requirement = Requirement(text)
            if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
                continue
            key = distribution(requirement.name).metadata["Name"]
            if key not in found:
                found[key] = (key, licence(key), name)
                todo.append(key)
    return sorted(found.values(), key=lambda row: row[0].lower())


def licence(name):
    """Return what a package says of its licence, briefly."""
    facts = distribution(name).metadata
    if stated := facts["License-Expression"]:
        return stated
    classes = [
        entry.rpartition(" :: ")[2]
        for entry in facts.get_all("Classifier", ())
        if entry.startswith("License :: OSI Approved :: ")
    ]
    first = (facts["License"] or "").strip().partition("\n")[0]
    return ", ".join(classes) or (first if 0 < len(first) < _LONG else "see the package")


if __name__ == "__main__":
    main()
