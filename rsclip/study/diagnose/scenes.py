"""Which scenes a study looks at, and where their labels lie."""

from collections.abc import Sequence
from pathlib import Path

from rsclip.errors import SceneError
from rsclip.scene.raster_files import raster_files, raster_suffixes
from rsclip.scene.scene import Scene

__all__ = ["find_scenes", "labels_of"]

# In the order in which they are looked for; rasters of other formats come after.
_LABEL_SUFFIXES = (".tif", ".tiff", ".vrt", ".png", ".gpkg", ".geojson", ".json", ".shp", ".fgb")
_LABELS = "_labels"
# What rsclip writes beside its scenes is none.
_OTHERS = (_LABELS, "_mask", "_confidence", "_margin", "_probabilities", "_preview")


def find_scenes(source: str | Path) -> list[str]:
    """Return the scenes of a folder, sorted by name; or the scene itself.

    In a folder, label rasters (`<stem>_labels.*`) and what rsclip wrote are no scenes.

    Raises:
        SceneError: The folder holds no scene.
    """
    folder = Path(source)
    if not folder.is_dir():
        return [str(source)]
    found = [
        str(path)
        for path in raster_files(sorted(folder.iterdir()))
        if not path.stem.lower().endswith(_OTHERS)
    ]
    if not found:
        raise SceneError(
            "no scene in this folder",
            where=folder,
            remedy="No file has a suffix of GDAL's raster formats.",
        )
    return found


def labels_of(labels: str | Path | None, scene: str) -> Path | None:
    """Return the labels of a scene; None where there are none.

    Args:
        labels: A file for every scene, or a folder with `<stem>_labels.*` or `<stem>.*`.
        scene: The scene.
    """
    if labels is None or not Path(labels).is_dir():
        return None if labels is None else Path(labels)
    stems = dict.fromkeys([Scene.stem_of(scene), Path(scene).stem])
    names = [f"{stem}{end}" for stem in stems for end in (_LABELS, "")]
    return _first(Path(labels), names, Path(scene))


def _first(folder: Path, stems: Sequence[str], scene: Path) -> Path | None:
    for stem in stems:
        for suffix in (*_LABEL_SUFFIXES, *sorted(raster_suffixes() - {*_LABEL_SUFFIXES})):
            path = folder / f"{stem}{suffix}"
            # The folder may be the scenes' own.
            if path.is_file() and not (scene.exists() and path.samefile(scene)):
                return path
    return None
