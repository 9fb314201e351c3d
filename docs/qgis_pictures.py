"""Render the pictures of docs/qgis.md in QGIS: QGIS_PYTHON docs/qgis_pictures.py PROFILE.

PROFILE is a profile's folder that holds the plugin (`rsclip qgis install --qgis-home DIR` makes
DIR/profiles/default). Needs QGIS's own Python, and QT_QPA_PLATFORM=offscreen without a screen.
"""

import os
import sys
import time
from pathlib import Path

import qgis.utils
from qgis.core import QgsApplication, QgsProject, QgsRasterLayer
from qgis.gui import QgsLayerTreeMapCanvasBridge, QgsLayerTreeView, QgsMapCanvas
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QDockWidget, QMainWindow

HERE = Path(__file__).resolve().parent
IMAGES = HERE / "images"
WAIT_SECONDS = 600


def wait(until):
    """Let QGIS work until something is true."""
    end = time.monotonic() + WAIT_SECONDS
    while not until() and time.monotonic() < end:
        app.processEvents()
        time.sleep(0.02)


def main(profile):
    """Write the pictures."""
    import processing  # noqa: F401
    from processing.core.Processing import Processing

    Processing.initialize()
    import rsclip_qgis

    window = QMainWindow()
    project = QgsProject.instance()
    canvas = QgsMapCanvas()
    window.setCentralWidget(canvas)

    class Interface:
        """As much of QGIS's window as the plugin asks for."""

        def mapCanvas(self):  # noqa: N802
            return canvas

        def mainWindow(self):  # noqa: N802
            return window

        def layerTreeView(self):  # noqa: N802
            return tree

        def addDockWidget(self, area, dock):  # noqa: N802
            window.addDockWidget(area, dock)

        def __getattr__(self, name):
            return lambda *_: None

    qgis.utils.iface = Interface()
    tree = QgsLayerTreeView()
    plugin = rsclip_qgis.classFactory(qgis.utils.iface)
    plugin.initGui()
    tile = QgsRasterLayer(str(HERE.parent / "sample_tiles/town_river.tif"), "town_river")
    project.addMapLayer(tile)
    model = _model(project)
    tree.setModel(model)
    holder = QDockWidget("Layers")
    holder.setWidget(tree)
    window.addDockWidget(Qt.DockWidgetArea.LeftDockWidgetArea, holder)
    bridge = QgsLayerTreeMapCanvasBridge(project.layerTreeRoot(), canvas)
    canvas.setDestinationCrs(tile.crs())
    dock = plugin._dock
    dock.show()
    window.resize(1250, 760)
    window.resizeDocks([holder, dock], [210, 400], Qt.Orientation.Horizontal)
    window.show()
    app.processEvents()
    canvas.setExtent(tile.extent())
    dock.load_classes("set:landcover")
    dock._model.setCurrentText("nano")
    dock.segment()
    wait(lambda: dock._task is None)
    mask = project.mapLayersByName("classes")[0]
    mask.setOpacity(0.6)
    tree.expandAll()
    # The command is full of paths of the machine at hand.
    dock._log.setPlainText("\n".join(dock._log.toPlainText().splitlines()[1:-1]))
    bridge.setCanvasLayers()
    canvas.refresh()
    app.processEvents()
    canvas.waitWhileRendering()
    app.processEvents()
    window.grab().save(str(IMAGES / "qgis_panel.png"))
    _dialog(window, tile)
    return plugin, window, model


def _dialog(window, tile):
    """Write the picture of the dialog of Segment, filled in."""
    from processing.gui.AlgorithmDialog import AlgorithmDialog

    algorithm = QgsApplication.processingRegistry().createAlgorithmById("rsclip:segment")
    dialog = AlgorithmDialog(algorithm, parent=window)
    dialog.resize(1000, 720)
    dialog.setParameters({"INPUT": tile, "CLASSES": "building|house, road, water, tree"})
    dialog.show()
    app.processEvents()
    dialog.grab().save(str(IMAGES / "qgis_segment.png"))


def _model(project):
    from qgis.core import QgsLayerTreeModel

    model = QgsLayerTreeModel(project.layerTreeRoot())
    model.setFlag(QgsLayerTreeModel.ShowLegend)
    return model


if __name__ == "__main__":
    folder = Path(sys.argv[1]).resolve()
    sys.path.insert(0, str(folder / "python/plugins"))
    sys.path.append("/usr/share/qgis/python/plugins")
    QgsApplication.setPrefixPath("/usr", True)
    app = QgsApplication([], True, str(folder))
    app.initQgis()
    kept = main(folder)
    os._exit(0)
