"""A raster of labels: which of its values or colours mean which class, and whether it fits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rasterio.crs import CRS

from rsclip.errors import warn
from rsclip.study.truth_classes import LabelClasses, names_nothing, names_unknown, pack_colour
from rsclip.study.truth_grids import UNKNOWN, Grid, Labels, RasterTruth
from rsclip.study.truth_messages import (
    all_ignored,
    elsewhere,
    nothing_common,
    outside_mapping,
    say_crs,
    say_grid,
    say_left_out,
    written,
    written_colour,
)
from rsclip.types import Window
from rsclip.vectors.label_raster import LabelRaster
from rsclip.words.legend import Legend

__all__ = ["LabelFile"]

_PROBE = 256


@dataclass(frozen=True)
class LabelFile:
    """A raster of labels that is to be opened; arguments as `open_labels` takes them."""

    path: Path
    scene: Grid
    legend: Legend
    classes: LabelClasses
    crs: CRS | None
    part: bool
    other: int
    mapped: bool

    def open_coloured(self) -> Labels:
        """Open a raster whose pixels are colours."""
        said = self.classes.said_colours()
        own = said if self.classes.strict else {**self.classes.by_colour, **said}
        say_others = not (self.classes.strict or self.part)
        return self._checked(own, written_colour, say_others=say_others)

    def open_values(self) -> Labels:
        """Open a raster of class values."""
        classes, path = self.classes, self.path
        with LabelRaster(path) as raster:
            names, table = raster.names(), raster.colours()
        meant = classes.said_colours()
        said = classes.said_values(names) | {
            value: meant[colour]
            for value, rgb in table.items()
            if (colour := pack_colour(*rgb)) in meant
        }
        # As with polygons: of such a place nothing is known. Names of nothing are of an empty
        # entry.
        unknown = {
            value: UNKNOWN
            for value, name in names.items()
            if name.strip() and names_unknown(name) and classes.named(name) is None
        }
        names = {value: name for value, name in names.items() if value not in unknown}
        if 0 in names and classes.named(names[0]) is None and names_nothing(names[0]):
            del names[0]
        if classes.strict:
            return self._checked(said, written)
        if not names:
            own = {**classes.by_value, **unknown, **said}
            taken = classes.taken()
            note = f"{path}: the labels have no class names: {taken}" if taken else None
            return self._checked(own, written, note=note, say_others=not self.part)
        found = {value: classes.named(name) for value, name in names.items()}
        own = {value: item for value, item in found.items() if item is not None}
        if not own:
            raise nothing_common(path, self.legend, names.values(), mapped=self.mapped)
        own |= {**unknown, **said}
        labels = self._checked(own, lambda value: names.get(value) or written(value))
        say_left_out(path, [name for value, name in names.items() if value not in own])
        return labels

    def _checked(
        self,
        own: Mapping[int, int],
        write: Callable[[Any], str],
        *,
        note: str | None = None,
        say_others: bool = False,
    ) -> Labels:
        """Open the raster, and see whether it fits the legend and the mapping."""
        source = RasterTruth(self.path, self.scene, own, other=self.other)
        found = tuple(sorted({*own.values()} - {0, UNKNOWN}))
        labels = Labels(source, found, self.scene.shape)
        try:
            self._check(source, labels, own, write)
        except BaseException:
            labels.close()
            raise
        say_crs(self.path, self.crs, self.scene)
        if source.placed and self.crs == self.scene.crs:
            say_grid(self.path, source.transform, self.scene.transform)
        if note is not None:
            warn(note)
        if say_others:
            others = source.all_values(self.scene.shape) - {0, *own}
            say_left_out(self.path, [write(value) for value in sorted(others)])
        return labels

    def _check(
        self,
        source: RasterTruth,
        labels: Labels,
        own: Mapping[int, int],
        write: Callable[[Any], str],
    ) -> None:
        path, scene = self.path, self.scene
        height, width = scene.shape
        windows = [
            Window(row, 0, min(_PROBE, height - row), width) for row in range(0, height, _PROBE)
        ]
        if self.classes.strict:
            # Every pixel is looked at.
            others = {value for each in windows for value in source.values(each)} - {*own}
            if others:
                raise outside_mapping(path, [write(value) for value in sorted(others)])
        if self.part or (labels.coarse() > 0).any():
            return
        # Few or none: every pixel is looked at.
        seen: set[Any] = set()
        for window in windows:
            if (labels.read(window) > 0).any():
                return
            seen |= source.values(window)
        if seen and all(own.get(value) == UNKNOWN for value in seen):
            raise all_ignored(path)
        if seen:
            labels_seen = [write(value) for value in sorted(seen)]
            raise nothing_common(path, self.legend, labels_seen, mapped=self.mapped)
        raise elsewhere(path)
