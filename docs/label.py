"""Stand for the person who labels suggestions: python docs/label.py TODO.gpkg TRUTH.tif

Each square gets the class that covers most of it in the truth; a mixed one (less than three
quarters) stays blank, as a careful person would leave it.
"""

import sys

import geopandas
import numpy as np
import rasterio
from rasterio.mask import mask

__all__ = ["fill_in"]

ENOUGH = 0.75


def fill_in(path: str, truth: str) -> int:
    """Fill in the column `label` of a file of squares; return how many were labelled."""
    frame = geopandas.read_file(path, layer="suggestions")
    with rasterio.open(truth) as dataset:
        frame["label"] = [_class(dataset, shape) for shape in frame.geometry]
    frame.to_file(path, layer="suggestions", driver="GPKG")
    return int(frame["label"].notna().sum())


def _class(dataset: rasterio.DatasetReader, shape: object) -> str | None:
    values = mask(dataset, [shape], crop=True, filled=False)[0].compressed()
    found, counts = np.unique(values, return_counts=True)
    if not len(found) or counts.max() < ENOUGH * counts.sum():
        return None
    return str(found[counts.argmax()])


if __name__ == "__main__":
    print(f"{fill_in(*sys.argv[1:])} places are labelled")
