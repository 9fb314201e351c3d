"""The dialogs of Processing: each opens, and what is chosen in batch mode is run and loaded."""

from tests.qgis.conftest import WINDOW

DIALOGS = f"""
{WINDOW}
from qgis.gui import QgsGui
from processing.gui.AlgorithmDialog import AlgorithmDialog
from processing.gui.BatchAlgorithmDialog import BatchAlgorithmDialog
QgsGui.editorWidgetRegistry().initEditors()
scene, model, out = sys.argv[1:4]
layer = QgsRasterLayer(scene, 'scene')
project.addMapLayer(layer)
algorithms = QgsApplication.processingRegistry().providerById('rsclip').algorithms()
said = dict()
for each in algorithms:
    for kind in (AlgorithmDialog, BatchAlgorithmDialog):
        dialog = kind(each.create(), parent=window)
        dialog.show()
        app.processEvents()
    panel = dialog.mainWidget()
    said[each.name()] = panel.tblParameters.columnCount()

dialog = AlgorithmDialog(algorithms[[each.name() for each in algorithms].index('segment')].create())
dialog.setParameters(dict(INPUT=layer, CLASSES='set:flood', MODEL=model, AREAS=False,
                          OUTPUT=out + '/single'))
taken = dialog.createProcessingParameters()
taken = [taken[name] for name in ('CLASSES', 'MODEL', 'METHOD', 'GSD', 'AREAS', 'MARGIN')]

batch = BatchAlgorithmDialog(dialog.algorithm().create(), parent=window)
panel = batch.mainWidget()
panel.addRow()
at = panel.parameter_to_column
for row in range(2):
    for name, value in dict(INPUT=layer, CLASSES='road, water', MODEL=model,
                            TEMPLATES='simple').items():
        panel.wrappers[row][at[name]].setParameterValue(value, QgsProcessingContext())
    panel.tblParameters.cellWidget(row + 1, at['OUTPUT']).setValue(out + str(row))
panel.checkLoadLayersOnCompletion.setChecked(True)
batch.runAlgorithm()
said = [said, taken, tree()]
"""


def test_dialogs_open_and_batch_mode_runs(in_profile, make_scene, tiny_model, tmp_path):
    columns, taken, layers = in_profile(DIALOGS, make_scene(), tiny_model, tmp_path / "out")
    assert len(columns) == 9
    # Click's own help option is none of them.
    assert columns.pop("models") == 1
    assert all(count > 1 for count in columns.values())
    assert taken == ["set:flood", tiny_model, "", None, False, False]
    assert (tmp_path / "out0/scene_mask.tif").exists()
    assert (tmp_path / "out1/scene_mask.tif").exists()
    assert [name for name, *_ in layers["scene"]] == ["polygons", "classes"] * 2
