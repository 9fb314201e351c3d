"""The plugin as QGIS loads it."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsApplication

from .provider import RsclipProvider
from .settings import icon

__all__ = ["RsclipPlugin"]

_TOLD_MILLISECONDS = 8000


class RsclipPlugin:
    """Adds the provider, and with a window the panel."""

    def __init__(self, iface: Any) -> None:
        self._iface = iface
        self._provider: RsclipProvider | None = None
        self._dock: Any = None
        self._action: Any = None
        self._clicks: Any = None

    def initProcessing(self) -> None:  # noqa: N802
        """Add the provider; `qgis_process` calls this alone."""
        self._provider = RsclipProvider()
        QgsApplication.processingRegistry().addProvider(self._provider)

    def initGui(self) -> None:  # noqa: N802
        """Add all; QGIS with a window calls this."""
        from qgis.PyQt.QtCore import Qt

        from .dock import RsclipDock
        from .legend_clicks import LegendClicks

        self.initProcessing()
        self._dock = RsclipDock(self._iface.mapCanvas(), self._iface.mainWindow())
        self._iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self._dock)
        self._dock.hide()
        self._action = self._dock.toggleViewAction()
        self._action.setIcon(icon())
        self._iface.addToolBarIcon(self._action)
        self._iface.addPluginToRasterMenu("rsclip", self._action)
        self._clicks = LegendClicks(
            self._iface.layerTreeView(),
            lambda text: self._iface.statusBarIface().showMessage(text, _TOLD_MILLISECONDS),
        )

    def unload(self) -> None:
        """Remove all."""
        if self._dock is not None:
            self._clicks.stop()
            self._dock.cancel()
            self._iface.removeToolBarIcon(self._action)
            self._iface.removePluginRasterMenu("rsclip", self._action)
            self._iface.removeDockWidget(self._dock)
            self._dock.deleteLater()
            self._dock = self._action = self._clicks = None
        if self._provider is not None:
            QgsApplication.processingRegistry().removeProvider(self._provider)
            self._provider = None
