"""The QGIS plugin, and its way into QGIS's profiles."""

from rsclip.qgis.installing import Installed, install, status, uninstall, write_zip

__all__ = ["Installed", "install", "status", "uninstall", "write_zip"]
