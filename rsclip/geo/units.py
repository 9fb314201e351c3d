"""What a CRS is measured in, its true latitudes and longitudes, and the errors of PROJ."""

import pyproj
from pyproj.exceptions import ProjError
from rasterio.crs import CRS

__all__ = ["PROJ_ERRORS", "geodetic_base", "metres_per_unit", "to_pyproj"]

# rasterio's own error of a CRS is a ValueError.
PROJ_ERRORS = (ProjError, ValueError)


def to_pyproj(crs: CRS) -> pyproj.CRS:
    """Return a CRS of rasterio's as one of pyproj's.

    Raises:
        One of PROJ_ERRORS: It cannot be put into words, or PROJ does not understand them.
    """
    return pyproj.CRS.from_user_input(crs.to_wkt())


def geodetic_base(own: pyproj.CRS) -> pyproj.CRS | None:
    """Return the CRS of true latitudes and longitudes that a CRS stands on, or None.

    The degrees of a rotated pole are not true ones: its base has them.
    """
    base = own.geodetic_crs
    while base is not None and base.is_derived and base.source_crs is not None:
        base = base.source_crs
    return base


def metres_per_unit(crs: CRS) -> float:
    """Return the metres of a CRS's unit of length, projected or local.

    Raises:
        ValueError: Its unit is no length.
    """
    own = to_pyproj(crs)
    axes = own.axis_info
    # A unit that is not given counts as none.
    if crs.is_geographic or not axes or not axes[0].unit_conversion_factor or _is_angle(own):
        raise ValueError("no unit of length")
    return float(axes[0].unit_conversion_factor)


def _is_angle(own: pyproj.CRS) -> bool:
    """Say whether a local CRS is one of angles or plain numbers: their units have factors too."""
    axes = own.to_json_dict().get("coordinate_system", {}).get("axis", [])
    unit = axes[0].get("unit", "metre") if axes else "metre"
    kind = unit["type"] if isinstance(unit, dict) else unit
    return kind not in ("metre", "LinearUnit")
