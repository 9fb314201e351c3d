"""What a CRS is measured in: its true latitudes and longitudes, the length of its unit."""

import pyproj
from rasterio.crs import CRS

__all__ = ["geodetic_base", "metres_per_unit"]


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
    own = pyproj.CRS.from_user_input(crs.to_wkt())
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
