"""rsclip in QGIS. Nothing of rsclip is imported here: its command runs as a process of its own."""

from typing import Any


def classFactory(iface: Any) -> Any:  # noqa: N802
    """Return the plugin; QGIS calls this."""
    from .plugin import RsclipPlugin

    return RsclipPlugin(iface)
