"""The plugin under Qt 6, which QGIS 4 is built on; stand-ins take the place of QGIS's classes."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import rsclip.qgis
from tests.conftest import said_by

PLUGIN = Path(rsclip.qgis.__file__).parent / "plugin"
FILES = sorted(PLUGIN.glob("*.py"))

QT6 = """
import importlib, json, sys, types
from PyQt6 import QtCore, QtGui, QtWidgets

class Anything(types.ModuleType):
    '''A module that has a class of every name.'''
    __path__ = []
    def __getattr__(self, name):
        if name.startswith('__'):
            raise AttributeError(name)
        return self.__dict__.setdefault(name, type(name, (), {}))

for name in ('qgis', 'qgis.core', 'qgis.gui', 'qgis.PyQt', 'processing', 'processing.gui',
             'processing.gui.wrappers'):
    sys.modules[name] = Anything(name)
sys.modules.update({'qgis.PyQt.QtCore': QtCore, 'qgis.PyQt.QtGui': QtGui,
                    'qgis.PyQt.QtWidgets': QtWidgets})

class Layers(QtWidgets.QComboBox):
    def setFilters(self, kinds):
        pass

class Colour(QtWidgets.QToolButton):
    def setColor(self, colour):
        self.chosen = colour
    def color(self):
        return self.chosen

class Settings:
    def value(self, name, default):
        return default

core, gui = sys.modules['qgis.core'], sys.modules['qgis.gui']
core.QgsSettings, core.QgsProcessingFeedback = Settings, QtCore.QObject
core.QgsMapLayerProxyModel.RasterLayer = 1
gui.QgsMapLayerComboBox, gui.QgsColorButton = Layers, Colour

app = QtWidgets.QApplication([])
sys.path.insert(0, sys.argv[1])
import rsclip_qgis
for name in sys.argv[3:]:
    importlib.import_module('rsclip_qgis.' + name)
dock = rsclip_qgis.dock.RsclipDock(None)
dock.show()
dock.load_classes('set:flood')
dock.add_class('Straße', 'road|street', '#ff0000')
dock.segment = lambda: None
app.processEvents()
dock.grab().save(sys.argv[2])
print('SAID', json.dumps(dock.classes()))
"""


def test_the_panel_under_qt6(installed, tmp_path):
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen"}
    try:
        import PyQt6.QtWidgets
    except ImportError as error:
        pytest.skip(f"PyQt6 cannot be imported: {error}")
    assert PyQt6.QtWidgets
    names = [file.stem for file in FILES if file.stem != "__init__"]
    done = subprocess.run(
        [sys.executable, "-c", QT6, installed / "python/plugins", tmp_path / "panel.png", *names],
        capture_output=True, text=True, env=environment, timeout=300,
    )  # fmt: skip
    entries = said_by(done)
    assert len(entries) > 3
    assert entries[-1] == {"name": "Straße", "words": ["road", "street"], "colour": "#ff0000"}
    assert (tmp_path / "panel.png").stat().st_size > 5000


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_names_are_those_of_both_qt5_and_qt6(file):
    """Qt 6 knows members of an enum by the enum only, and has no `exec_`."""
    assert unfit(file.read_text(encoding="utf-8")) == []


def test_names_of_qt5_alone_are_found():
    code = (
        "from PyQt5 import x\nfrom qgis.PyQt.QtCore import Qt\nQt.UserRole\n"
        "Qt.ItemDataRole.UserRole\nd.exec_()\n"
    )
    assert unfit(code) == ["PyQt5", "Qt.UserRole", "exec_"]


def unfit(code):
    tree = ast.parse(code)
    found, ours = [], set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("PyQt"):
            found.append(node.module)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("qgis.PyQt"):
            ours |= {name.asname or name.name for name in node.names}
    scopes = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        if node.attr == "exec_":
            found.append(node.attr)
        of_qt = isinstance(node.value, ast.Name) and node.value.id in ours
        if of_qt and node.attr[0].isupper() and id(node) not in scopes:
            found.append(ast.unparse(node))
    return found
