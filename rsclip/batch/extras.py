"""Files over all scenes of a batch: mosaics, one layer of polygons, a catalogue."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from rsclip.batch import catalogue, merging, mosaic
from rsclip.batch.manifest import TABLE, Manifest, is_table, read_extras
from rsclip.batch.tasks import Outcome
from rsclip.errors import OutputError

__all__ = ["Extras"]

# What `mosaic.write_mosaics` may call its files.
_MOSAICS = re.compile(r"mosaic(_EPSG\d+|_custom)?(_\d+)?\.vrt")

_SUFFIXES = frozenset({".vrt", ".gpkg", ".json"})


@dataclass(frozen=True, slots=True)
class Extras:
    """Which of them are asked for.

    Attributes:
        mosaic: mosaic.vrt, or one a CRS and set of classes.
        merge_polygons: polygons.gpkg.
        stac_catalog: catalog.json.
    """

    mosaic: bool = False
    merge_polygons: bool = False
    stac_catalog: bool = False

    def check(self, root: Path, inputs: Collection[str], *, overwrite: bool) -> None:
        """Refuse to replace a file that is no earlier batch's, or is an input.

        Raises:
            OutputError: Names the first of them.
            InputError: The manifest there cannot be used.
        """
        own = read_extras(root)
        table = root / TABLE
        if table.exists() and not is_table(table):
            raise OutputError(
                "a file of this name exists, which no batch wrote",
                where=table,
                remedy="Every batch writes its table there: rename it, or choose another folder "
                "(-o).",
            )
        files = [Path(item).resolve() for item in inputs if Path(item).suffix in _SUFFIXES]
        for path in self._in_the_way(root):
            if path.resolve() in files:
                raise OutputError(
                    "it is an input, and has the name of an output",
                    where=path,
                    remedy="Rename it, or choose another output folder (-o).",
                )
            if path.name not in own and not overwrite:
                raise OutputError(
                    "a file of this name exists, which no batch wrote",
                    where=path,
                    remedy="Move it, choose another folder (-o), or replace it with --overwrite.",
                )

    def write(
        self,
        root: Path,
        outcomes: Sequence[Outcome],
        manifest: Manifest,
        note: Callable[[str], None],
    ) -> list[Path]:
        """Write what is asked for; mosaics of an earlier batch that are none now go.

        Raises:
            WriteError: A file cannot be written.
        """
        written: list[Path] = []
        if self.mosaic:
            old = {name for name in read_extras(root) if _MOSAICS.fullmatch(name)}
            written += mosaic.write_mosaics(root, outcomes, note, manifest.append_extras)
            for name in old - {path.name for path in written}:
                # Of another selection of scenes: it would pass for this batch's.
                (root / name).unlink(missing_ok=True)
        if self.merge_polygons:
            manifest.append_extras([merging.NAME])
            written += merging.merge_polygons(root, outcomes, note)
        if self.stac_catalog:
            manifest.append_extras([catalogue.NAME])
            written += catalogue.write_catalogue(root, outcomes)
        return written

    def _in_the_way(self, root: Path) -> list[Path]:
        names = [merging.NAME] * self.merge_polygons + [catalogue.NAME] * self.stac_catalog
        found = [root / name for name in names if (root / name).exists()]
        if self.mosaic and root.is_dir():
            found += [path for path in sorted(root.iterdir()) if _MOSAICS.fullmatch(path.name)]
        return found
