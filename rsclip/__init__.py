"""rsclip turns words into maps: training-free segmentation of GeoTIFFs with a frozen CLIP.

    import rsclip
    result = rsclip.segment("scene.tif", "building|house, road, water", "out")
    result.mask_path, result.shares

Names load on first use, so that `import rsclip` stays light.
"""

from typing import TYPE_CHECKING, Any

from rsclip.version import __version__

if TYPE_CHECKING:
    from rsclip.api import SegmentResult, segment
    from rsclip.backbone import Backbone, wrap
    from rsclip.comparison import Comparison, compare
    from rsclip.config import SegmentConfig
    from rsclip.dense import similarity
    from rsclip.legend import Legend, load_legend
    from rsclip.polygons import polygonize, write_polygons

__all__ = [
    "Backbone",
    "Comparison",
    "Legend",
    "SegmentConfig",
    "SegmentResult",
    "__version__",
    "compare",
    "load_legend",
    "polygonize",
    "segment",
    "similarity",
    "wrap",
    "write_polygons",
]

_HOMES = {
    "Backbone": "rsclip.backbone",
    "Comparison": "rsclip.comparison",
    "Legend": "rsclip.legend",
    "SegmentConfig": "rsclip.config",
    "SegmentResult": "rsclip.api",
    "compare": "rsclip.comparison",
    "load_legend": "rsclip.legend",
    "polygonize": "rsclip.polygons",
    "segment": "rsclip.api",
    "similarity": "rsclip.dense",
    "wrap": "rsclip.backbone",
    "write_polygons": "rsclip.polygons",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rsclip' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
