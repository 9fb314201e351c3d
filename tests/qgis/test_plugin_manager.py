"""The zip through QGIS's own plugin manager: unpacked, started with a window, and unloaded."""

from rsclip.version import __version__
from tests.conftest import said_by
from tests.qgis.conftest import WINDOW

INSTALL = f"""
import json, os, sys
profile, file = sys.argv[1:]
sys.path.append('/usr/share/qgis/python')
sys.path.append('/usr/share/qgis/python/plugins')
from qgis.core import *
from qgis.gui import *
QgsApplication.setPrefixPath('/usr', True)
app = QgsApplication([], True, profile)
app.initQgis()
{WINDOW}
qgis.utils.home_plugin_path = profile + '/python/plugins'
qgis.utils.plugin_paths = [qgis.utils.home_plugin_path]
sys.path.insert(0, qgis.utils.home_plugin_path)
import processing
from processing.core.Processing import Processing
Processing.initialize()
from pyplugin_installer import installer
installer.iface = qgis.utils.iface

class Manager(installer.QgsPluginInstaller):
    def __init__(self):
        pass
    def tr(self, text):
        return text
    def exportPluginsToManager(self):
        pass

Manager().installFromZipFile(file)
registry = QgsApplication.processingRegistry()

def there():
    provider = registry.providerById('rsclip')
    return provider and sorted(each.name() for each in provider.algorithms())

plugin = qgis.utils.plugins['rsclip_qgis']
said = [told, list(qgis.utils.active_plugins), there(), plugin._dock.windowTitle(),
        plugin._action.icon().isNull(), qgis.utils.pluginMetadata('rsclip_qgis', 'version')]
said += [qgis.utils.unloadPlugin('rsclip_qgis'), there()]
print('SAID', json.dumps(said), flush=True)
os._exit(0)
"""


def test_the_plugin_manager_installs_it(qgis_python, rsclip, tmp_path):
    packed = tmp_path / "rsclip_qgis.zip"
    assert rsclip("qgis", "zip", "-o", packed).exit_code == 0
    profile = tmp_path / "home/profiles/default"
    profile.mkdir(parents=True)
    told, active, algorithms, title, blank, version, unloaded, after = said_by(
        qgis_python("-c", INSTALL, profile, packed, timeout=300)
    )
    assert told == ["<b>Plugin installed successfully</b>"]
    assert active == ["rsclip_qgis"]
    assert algorithms == [
        "adapt", "batch", "compare", "evaluate", "models", "polygonize", "sample", "segment",
        "suggest",
    ]  # fmt: skip
    assert (title, blank, version) == ("rsclip", False, __version__)
    assert (unloaded, after) == (True, None)
    assert (profile / "python/plugins/rsclip_qgis/installed.json").is_file()
