"""The provider: rsclip's algorithms in the Processing toolbox."""

from __future__ import annotations

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from . import settings
from .algorithms import SPECS, RsclipAlgorithm
from .process import FACTS

__all__ = ["RsclipProvider"]


class RsclipProvider(QgsProcessingProvider):
    """Algorithms `rsclip:segment` and others."""

    def id(self) -> str:
        """Return the name before the colon."""
        return "rsclip"

    def name(self) -> str:
        """Return the name in the toolbox."""
        return "rsclip"

    def versionInfo(self) -> str:  # noqa: N802
        """Return the version of the rsclip that installed the plugin."""
        return str(FACTS["version"])

    def icon(self) -> QIcon:
        """Return rsclip's icon."""
        return settings.icon()

    def load(self) -> bool:
        """Add the setting of the executable, then the algorithms."""
        from processing.core.ProcessingConfig import ProcessingConfig, Setting

        ProcessingConfig.settingIcons[self.name()] = self.icon()
        text = "rsclip executable (empty: the one that installed the plugin)"
        ProcessingConfig.addSetting(
            Setting(self.name(), settings.EXECUTABLE, text, "", valuetype=Setting.FILE)
        )
        ProcessingConfig.readSettings()
        self.refreshAlgorithms()
        return True

    def unload(self) -> None:
        """Remove the setting."""
        from processing.core.ProcessingConfig import ProcessingConfig

        ProcessingConfig.removeSetting(settings.EXECUTABLE)

    def loadAlgorithms(self) -> None:  # noqa: N802
        """Add the algorithms of the commands that this rsclip has."""
        for spec in SPECS:
            if spec.command in FACTS["commands"]:
                self.addAlgorithm(RsclipAlgorithm(spec))

    def supportedOutputVectorLayerExtensions(self) -> list[str]:  # noqa: N802
        """Return what rsclip writes polygons to."""
        return ["gpkg", "geojson", "fgb", "shp", "parquet"]

    def defaultVectorFileExtension(self, hasGeometry: bool = True) -> str:  # noqa: N802
        """Return the format of new vector files."""
        return "gpkg"
