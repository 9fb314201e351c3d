"""A QGIS profile with the plugin, and a way to run code in it."""

import shutil
import subprocess
import sys

import pytest

from tests.conftest import said_by

PRELUDE = """
import json, os, sys
sys.path[:0] = [sys.argv.pop(1)]
from qgis.core import *
profile = os.path.dirname(os.path.dirname(sys.path[0]))
QgsApplication.setPrefixPath('/usr', True)
app = QgsApplication([], True, profile)
app.initQgis()
sys.path.append('/usr/share/qgis/python/plugins')
import processing
from processing.core.Processing import Processing
Processing.initialize()
import rsclip_qgis
plugin = rsclip_qgis.classFactory(None)
plugin.initProcessing()
project = QgsProject.instance()


class Feedback(QgsProcessingFeedback):
    def __init__(self):
        super().__init__(False)
        self.said = []

    def pushWarning(self, text):
        self.said.append('warning: ' + text)

    def pushInfo(self, text):
        self.said.append('info: ' + text)

    def reportError(self, text, fatal=False):
        self.said.append('error: ' + text)


def tree():
    return {group.name(): [[node.name(), node.isVisible(), node.layer().isValid()]
                           for node in group.findLayers()]
            for group in project.layerTreeRoot().findGroups()}


def error_of(name, **parameters):
    try:
        return processing.run(name, parameters, feedback=Feedback())
    except QgsProcessingException as error:
        return str(error)


said = None
"""

WINDOW = """
from qgis.gui import QgsLayerTreeView, QgsMapCanvas
from qgis.PyQt.QtWidgets import QMainWindow
import qgis.utils

window = QMainWindow()
canvas, view, told = QgsMapCanvas(window), QgsLayerTreeView(), []
view.setModel(QgsLayerTreeModel(QgsProject.instance().layerTreeRoot()))

class Messages:
    def pushMessage(self, *words):
        told.append(words[0])

class Interface:
    '''As much of QGIS's window as plugins and their manager ask for.'''
    def mapCanvas(self):
        return canvas
    def mainWindow(self):
        return window
    def layerTreeView(self):
        return view
    def addDockWidget(self, area, dock):
        window.addDockWidget(area, dock)
    def removeDockWidget(self, dock):
        window.removeDockWidget(dock)
    def pluginManagerInterface(self):
        return Messages()
    def __getattr__(self, name):
        return lambda *_: None

iface = qgis.utils.iface = Interface()
"""


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """A QGIS home with one profile that holds the plugin; the profile's folder."""
    home = tmp_path_factory.mktemp("qgis")
    subprocess.run(
        [sys.executable, "-m", "rsclip", "qgis", "install", "--qgis-home", home], check=True
    )
    return home / "profiles" / "default"


@pytest.fixture
def in_profile(qgis_python, installed, tmp_path):
    """Return a function that runs code in QGIS with the plugin; returns what it assigns to said."""
    plugins = installed / "python" / "plugins"

    def run(code, *arguments, timeout=300):
        script = tmp_path / "script.py"
        script.write_text(
            f"{PRELUDE}\n{code}\nprint('SAID', json.dumps(said), flush=True)\nos._exit(0)\n"
        )
        return said_by(qgis_python(script, plugins, *arguments, timeout=timeout))

    return run


@pytest.fixture(scope="session")
def qgis_process():
    """The program of that name; Debian's wrapper script passes an option that it does not know."""
    found = shutil.which("qgis_process.bin") or shutil.which("qgis_process")
    if found is None:
        pytest.skip("qgis_process is not installed (Debian: apt-get install qgis)")
    return found
