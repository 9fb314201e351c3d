"""Small regions of labels merged into their largest neighbour, until none is left.

GDAL's sieve does most of it, fast. It merges once, and never into a neighbour that is small itself:
what it leaves is merged here, the smallest region first, and a region that grew is looked at again.
"""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.features import sieve
from rasterio.io import DatasetReader
from rasterio.windows import Window

from rsclip.scene.gdal import open_dataset
from rsclip.types import Shape
from rsclip.vectors.components import connect, find_runs

__all__ = ["sieve_labels", "write_scratch"]

# Of the rows whose regions are found at once.
_STRIP_PIXELS = 500_000
_LAYOUT = {"tiled": True, "blockxsize": 512, "blockysize": 128, "compress": "DEFLATE"}

Blocks = Iterator[tuple[int, NDArray[Any]]]


def sieve_labels(labels: Path, valid: Path, sieved: Path, pixels: int) -> NDArray[Any]:
    """Return the labels (H, W) with small regions merged, as a map of a scratch file.

    Pixels of a region touch by their sides. Nodata is no region and gains no pixels. No region of
    fewer pixels remains unless nodata and the raster's edge enclose it. Pixels are read some rows
    at a time; what is held is some bytes per region.

    Args:
        labels: A raster of uint8, uint16, int16 or int32.
        valid: A raster that is 0 where there is no data.
        sieved: The scratch file; the caller removes it.
        pixels: The least size of a region that stays.
    """
    with open_dataset(labels) as source, open_dataset(valid) as mask:
        out = np.memmap(sieved, source.dtypes[0], "w+", shape=source.shape)
        # No region is larger than the raster, and GDAL refuses to look for one.
        least = min(pixels, source.width * source.height)
        sieve(rasterio.band(source, 1), least, out=out, mask=rasterio.band(mask, 1))
        _merge_the_rest(out, mask, least)
    return out


def write_scratch(path: Path, shape: Shape, dtype: Any, blocks: Blocks, **options: Any) -> None:
    """Write a raster of one band that only this process reads.

    Args:
        path: A GeoTIFF.
        shape: (height, width).
        dtype: Of the pixels.
        blocks: First row and pixels (n, W), from top to bottom.
        **options: Of the driver.
    """
    height, width = shape
    settings = {"driver": "GTiff", "dtype": dtype, "count": 1, "bigtiff": "IF_SAFER", **_LAYOUT}
    with open_dataset(path, "w", height=height, width=width, **settings, **options) as out:
        for top, block in blocks:
            out.write(block, 1, window=Window(0, top, width, len(block)))


@dataclass(frozen=True, slots=True)
class _Regions:
    """The regions of a raster and how they touch.

    Attributes:
        strips: First row, and the region of each component of the strip, int64 (K,).
        size: int64 (R,) pixels.
        label: (R,) their label.
        valid: bool (R,) False for regions of nodata.
        touching: int64 (2, E) pairs of regions that share a side, each pair once.
    """

    strips: list[tuple[int, NDArray[np.int64]]]
    size: NDArray[np.int64]
    label: NDArray[Any]
    valid: NDArray[np.bool_]
    touching: NDArray[np.int64]


def _merge_the_rest(labels: NDArray[Any], mask: DatasetReader, least: int) -> None:
    """Merge in place what GDAL's sieve has left of fewer pixels than `least`."""
    regions = _find_regions(labels, mask)
    label = _merged_labels(regions, least)
    changed = label != regions.label
    if not changed.any():
        return
    for top, region in regions.strips:
        block, valid = _strip(labels, mask, top)
        runs = find_runs(*_keys(block, valid))
        own = region[runs.component]
        if changed[own].any():
            block[...] = np.repeat(label[own], runs.lengths).reshape(block.shape)


def _strip(
    labels: NDArray[Any], mask: DatasetReader, top: int
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    height, width = labels.shape
    rows = min(max(1, _STRIP_PIXELS // width), height - top)
    return labels[top : top + rows], mask.read(1, window=Window(0, top, width, rows)) > 0


def _keys(labels: NDArray[Any], valid: NDArray[np.bool_]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return what pixels of a region have in common, int64 (n, W), and where that changes."""
    # Nodata may hold the number of a class.
    keys = labels.astype(np.int64) * 2 + valid
    changes = np.ones((keys.shape[0], keys.shape[1] + 1), np.bool_)
    np.not_equal(keys[:, 1:], keys[:, :-1], out=changes[:, 1:-1])
    return keys, changes


def _find_regions(labels: NDArray[Any], mask: DatasetReader) -> _Regions:
    strips, sizes, keys_of, same, apart = [], [], [], [], []
    count, top, above = 0, 0, None
    while top < labels.shape[0]:
        keys, changes = _keys(*_strip(labels, mask, top))
        runs = find_runs(keys, changes)
        ids = runs.paint(keys.shape).astype(np.int64) + count
        sizes.append(np.bincount(runs.component, runs.lengths, runs.count).astype(np.int64))
        keys_of.append(keys.reshape(-1)[runs.first])
        pairs = [(ids[:, :-1], ids[:, 1:]), (ids[:-1], ids[1:])]
        if above is not None:
            # The strip's first row against the last one of the strip before.
            alike = above[0] == keys[0]
            same.append(np.stack([above[1][alike], ids[0][alike]]))
            pairs.append((above[1][~alike], ids[0][~alike]))
        apart.append(_unlike(pairs))
        strips.append((top, np.arange(count, count + runs.count)))
        above, count, top = (keys[-1], ids[-1]), count + runs.count, top + len(keys)
    joined = np.concatenate(same, axis=1) if same else np.zeros((2, 0), np.int64)
    region, total = connect(count, *joined)
    size = np.bincount(region, np.concatenate(sizes), total).astype(np.int64)
    key = np.zeros(total, np.int64)
    key[region] = np.concatenate(keys_of)
    touching = _unlike([tuple(region[np.concatenate(apart, axis=1)])])
    return _Regions(
        [(top, region[own]) for top, own in strips],
        size,
        (key >> 1).astype(labels.dtype),
        (key & 1).astype(np.bool_),
        touching,
    )


def _unlike(pairs: Sequence[tuple[NDArray[np.int64], ...]]) -> NDArray[np.int64]:
    """Return the pairs of different numbers, (2, E), each once."""
    one, other = (np.concatenate([pair[side].reshape(-1) for pair in pairs]) for side in (0, 1))
    differs = one != other
    low, high = np.minimum(one, other)[differs], np.maximum(one, other)[differs]
    span = int(high.max(initial=0)) + 1
    return np.stack(np.divmod(np.unique(low * span + high), span))


def _merged_labels(regions: _Regions, least: int) -> NDArray[Any]:
    """Return the label of every region after merging, (R,)."""
    touching = regions.touching[:, regions.valid[regions.touching].all(axis=0)]
    small = regions.size < least
    one, other = touching[:, small[touching].any(axis=0)]
    label = regions.label.copy()
    if not len(one):
        return label
    size, into = regions.size.copy(), np.arange(len(label))
    near: dict[int, set[int]] = {}
    for a, b in zip(one.tolist(), other.tolist(), strict=True):
        for own, its in ((a, b), (b, a)):
            if small[own]:
                near.setdefault(own, set()).add(its)

    def now(region: int) -> int:
        while into[region] != region:
            into[region] = into[into[region]]
            region = int(into[region])
        return region

    queue = [(int(size[region]), region) for region in near]
    heapq.heapify(queue)
    while queue:
        pixels, region = heapq.heappop(queue)
        if into[region] != region or size[region] != pixels:
            continue
        around = {now(other) for other in near.pop(region)} - {region}
        if not around:
            continue
        largest = max(around, key=lambda other: (size[other], -other))
        # Neighbours of the same label as the largest touch it from now on through this region.
        alike = [other for other in around if label[other] == label[largest]]
        around.difference_update(alike)
        for other in (region, *alike):
            if other != largest:
                into[other] = largest
                size[largest] += size[other]
            around |= near.pop(other, set())
        if size[largest] < least:
            near[largest] = around
            heapq.heappush(queue, (int(size[largest]), largest))
    return _final(label, into)


def _final(label: NDArray[Any], into: NDArray[np.int64]) -> NDArray[Any]:
    """Return the label of what each region has become a part of."""
    while not np.array_equal(further := into[into], into):
        into = further
    return np.asarray(label[into])
