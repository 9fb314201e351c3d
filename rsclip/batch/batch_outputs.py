"""Files over all scenes of a batch: mosaics, one layer of polygons, a catalogue."""

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from rsclip.batch import catalogue, mosaic
from rsclip.batch.manifest import POLYGONS, TABLE, Manifest, is_table, read_extras
from rsclip.batch.tasks import Outcome, Task
from rsclip.batch.worker import as_our_error
from rsclip.errors import OptionError, OutputError, RsclipError
from rsclip.outputs.files.disk import write_error

__all__ = ["Extras"]

# What `mosaic.write_mosaics` may call its files.
_MOSAICS = re.compile(r"mosaic(_EPSG\d+|_custom)?(_\d+)?\.vrt")

_SUFFIXES = frozenset({".vrt", ".gpkg", ".json"})


@dataclass(frozen=True, slots=True)
class Extras:
    """Which files over all scenes are wanted.

    Attributes:
        mosaic: mosaic.vrt, or one a CRS and set of classes.
        merge_polygons: polygons.gpkg.
        stac_catalog: catalog.json.
    """

    mosaic: bool = False
    merge_polygons: bool = False
    stac_catalog: bool = False

    def check(
        self, root: Path, tasks: Sequence[Task], inputs: Collection[str], *, overwrite: bool
    ) -> None:
        """Refuse to replace an input, or a file that no earlier batch wrote.

        Raises:
            OptionError: Polygons are to be merged, and no scene will have any.
            OutputError: Names the first such file.
            InputError: The manifest there cannot be used.
        """
        if self.merge_polygons and all(task.config().vector_format == "none" for task in tasks):
            raise OptionError(
                "no scene has polygons with --vector-format=none",
                where="--merge-polygons",
                remedy="Leave one of the two out.",
            )
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
            if not overwrite and not (path.name in own and _is_own(path)):
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
    ) -> tuple[list[Path], list[RsclipError]]:
        """Write the wanted files; remove those of an earlier batch that have no content any more.

        Returns:
            The files, and why others could not be written; one failure does not stop the others.
        """

        def polygons() -> list[Path]:
            from rsclip.batch.merged_polygons import merge_polygons

            return merge_polygons(root, outcomes, note, claim)

        def mosaics() -> list[Path]:
            return mosaic.write_mosaics(root, outcomes, note, claim)

        def catalogued() -> list[Path]:
            claim([catalogue.NAME])
            return catalogue.write_catalogue(root, outcomes)

        claim = manifest.append_extras
        written: list[Path] = []
        unwritten: list[RsclipError] = []
        for wanted, names, write in (
            (self.mosaic, _MOSAICS, mosaics),
            (self.merge_polygons, re.compile(re.escape(POLYGONS)), polygons),
            (self.stac_catalog, re.compile(re.escape(catalogue.NAME)), catalogued),
        ):
            if not wanted:
                continue
            try:
                old = {name for name in read_extras(root) if names.fullmatch(name)}
                made = write()
                written += made
                for name in sorted(old - {path.name for path in made}):
                    # It has other scenes, and would be mistaken for this batch's.
                    if (root / name).exists() and _is_own(root / name):
                        (root / name).unlink()
                        note(f"{name} of an earlier batch is removed: it does not match this one")
            except RsclipError as error:
                unwritten.append(error)
            except OSError as error:
                unwritten.append(write_error(error, root))
            except Exception as error:
                unknown = as_our_error(error, str(root), "rsclip batch")
                unknown.__cause__ = error
                unwritten.append(unknown)
        return written, unwritten

    def _in_the_way(self, root: Path) -> list[Path]:
        names = [POLYGONS] * self.merge_polygons + [catalogue.NAME] * self.stac_catalog
        found = [root / name for name in names if (root / name).exists()]
        if self.mosaic and root.is_dir():
            found += [path for path in sorted(root.iterdir()) if _MOSAICS.fullmatch(path.name)]
        return found


def _is_own(path: Path) -> bool:
    """Say whether a batch wrote a file: the user may have put another in its place."""
    if path.name == POLYGONS:
        # It loads geopandas, which takes most of a second.
        from rsclip.batch.merged_polygons import is_own

        return is_own(path)
    return catalogue.is_own(path) if path.name == catalogue.NAME else mosaic.is_own(path)
