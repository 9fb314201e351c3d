"""CRSs of tables that pyogrio writes: it asks for an old form of WKT, which not every CRS has."""

import pyproj
from pyproj.enums import WktVersion
from pyproj.exceptions import CRSError

__all__ = ["FrameCRS"]


class FrameCRS(pyproj.CRS):
    """A CRS that gives its WKT in the newest form where it has none in the one asked for."""

    def to_wkt(
        self,
        version: WktVersion | str = WktVersion.WKT2_2019,
        pretty: bool = False,
        output_axis_rule: bool | None = None,
    ) -> str:
        """Return the CRS as WKT."""
        try:
            return str(super().to_wkt(version, pretty, output_axis_rule))
        except CRSError:
            return str(super().to_wkt(WktVersion.WKT2_2019, pretty, output_axis_rule))
