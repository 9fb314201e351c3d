"""The algorithms in QGIS itself: run, loaded, cancelled, and given what they cannot take."""

import json
import subprocess

import geopandas
import pandas as pd
import pyogrio
import rasterio
import shapely
from PIL import Image

from rsclip.qgis.installing import executable
from rsclip.version import __version__
from tests.conftest import qgis_environment

SEGMENT = """
scene, model, out = sys.argv[1:4]
feedback = Feedback()
# As EPSG:32633, but 100 km further west; no number tells it.
own = QgsCoordinateReferenceSystem.fromProj(
    '+proj=tmerc +lat_0=0 +lon_0=15 +k=0.9996 +x_0=400000 +datum=WGS84 +units=m')
results = processing.runAndLoadResults('rsclip:segment', {
    'INPUT': scene, 'CLASSES': 'road, water', 'MODEL': model, 'TEMPLATES': 'simple',
    'MARGIN': True, 'AREAS': False, 'BLEND': 'mean', 'ORTHOGONAL': None, 'THRESHOLD': 0.25,
    'AOI': QgsReferencedRectangle(QgsRectangle(400002, 4999975, 400030, 4999998), own),
    'OUTPUT': out}, feedback=feedback)
loaded = tree()
(mask,), (polygons,) = map(project.mapLayersByName, ['classes', 'polygons'])
colours = [[entry.label for entry in mask.renderer().classes()],
           polygons.renderer().classAttribute()]
project.write(out + '/project.qgz')
project.clear()
project.read(out + '/project.qgz')
said = [results, loaded, colours, tree(), feedback.said]
"""


def test_segment_loads_its_layers_with_their_styles(in_profile, make_scene, tiny_model, tmp_path):
    out = tmp_path / "out"
    results, loaded, colours, again, said = in_profile(
        SEGMENT, make_scene("nördlich.tif"), tiny_model, out
    )
    assert results["MASK"] == str(out / "nördlich_mask.tif")
    assert {"OUTPUT", "MASK", "POLYGONS", "MARGIN", "RECORD"} == set(results)
    layers = [["polygons", False, True], ["classes", True, True], ["margin", False, True]]
    assert loaded == {"nördlich": layers} == again
    assert colours == [["road", "water", "unclassified"], "class_id"]
    settings = json.loads((out / "nördlich_run.json").read_text())["settings"]
    assert (settings["blend"], settings["threshold"], settings["areas"]) == ("mean", 0.25, False)
    with rasterio.open(out / "nördlich_mask.tif") as mask:
        labels = mask.read(1)
    # Pixels of 0.5 m from (500000, 5000000): outside the area is nodata.
    assert (labels[:4] == 255).all()
    assert (labels[4:50, 4:60] != 255).all()
    # What QGIS itself says of the results aside.
    assert [line for line in said if not line.startswith("info: Results")] == []


CANCEL = """
class Impatient(Feedback):
    def setProgress(self, percent):
        super().setProgress(percent)
        if percent > 5:
            self.cancel()

feedback = Impatient()
context = QgsProcessingContext()
algorithm = QgsApplication.processingRegistry().createAlgorithmById('rsclip:segment')
results, ok = algorithm.run({
    'INPUT': sys.argv[1], 'CLASSES': 'road, water', 'MODEL': sys.argv[2], 'TEMPLATES': 'simple',
    'BATCH_SIZE': 1, 'OUTPUT': sys.argv[3]}, context, feedback)
said = [results, ok, feedback.said, list(context.layersToLoadOnCompletion())]
"""


def test_cancel_ends_the_process_and_leaves_nothing(in_profile, make_scene, tiny_model, tmp_path):
    out = tmp_path / "out"
    results, _, said, layers = in_profile(CANCEL, make_scene(shape=(1000, 1000)), tiny_model, out)
    assert results.get("MASK") is None
    assert len(said) == 1
    assert said[0].startswith("info: Interrupted: no half-made output was left behind.")
    assert layers == []
    assert not list(out.glob("scene_*"))


MUTE = """
import threading
from qgis.core import QgsSettings
scene, program, out = sys.argv[1:4]
QgsSettings().setValue('Processing/Configuration/RSCLIP_EXECUTABLE', program)
algorithm = QgsApplication.processingRegistry().createAlgorithmById('rsclip:segment')
said = []
for seconds in (0, 1):
    feedback = Feedback()
    threading.Timer(seconds, feedback.cancel).start()
    results, ok = algorithm.create().run({'INPUT': scene, 'CLASSES': 'a, b', 'OUTPUT': out},
                                         QgsProcessingContext(), feedback)
    said.append([results, feedback.said])
# Tests of one session share their settings.
QgsSettings().remove('Processing/Configuration/RSCLIP_EXECUTABLE')
"""


def test_a_process_that_ends_without_a_word_is_told_as_cancelled(in_profile, make_scene, tmp_path):
    """A signal may come before rsclip can hear it."""
    program = tmp_path / "rsclip"
    program.write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && exec echo "rsclip, version {__version__}"\n'
        "exec sleep 100\n"
    )
    program.chmod(0o755)
    for results, said in in_profile(MUTE, make_scene(), program, tmp_path / "out"):
        assert results == {}
        assert said == ["info: Interrupted: the process was ended."]


OTHERS = """
scene, truth, model, out = sys.argv[1:5]
more = {'MODEL': model, 'TEMPLATES': 'simple'}
said, errors = {}, {}
def run(name, **parameters):
    feedback = Feedback()
    results = processing.runAndLoadResults('rsclip:' + name, parameters, feedback=feedback)
    errors[name] = [line for line in feedback.said if line.startswith('error')]
    said[name] = {key: value for key, value in results.items() if value}
run('batch', INPUT=out + '/..', CLASSES='road, water', OUTPUT=out + '/batch', MOSAIC=True, **more)
mask = out + '/batch/scene_mask.tif'
run('compare', INPUT=scene, CLASSES='road, water', OUTPUT='TEMPORARY_OUTPUT', **more)
run('polygonize', INPUT=mask, SIMPLIFY=1.5, OUTPUT=out + '/my.gpkg')
run('polygonize', INPUT=mask, OUTPUT='TEMPORARY_OUTPUT')
run('evaluate', INPUT=mask, LABELS=truth, IGNORE='road\\n', OUTPUT=out + '/score')
run('sample', INPUT=mask, COUNT=20, OUTPUT=out + '/sample.gpkg')
run('adapt', INPUT=scene, LABELS=truth, CLASSES='road, water', KIND='prototype',
    OUTPUT=out + '/my.adapter', **more)
run('models', HERE=True)
said = [said, tree(), errors]
"""


def test_the_other_algorithms(in_profile, make_scene, tiny_model, tmp_path):
    scene = make_scene()
    boxes = [shapely.box(left, 4999970, left + 20, 5000000) for left in (500000, 500024)]
    truth = tmp_path / "truth.gpkg"
    geopandas.GeoDataFrame({"class_name": ["water", "road"]}, geometry=boxes, crs=32633).to_file(
        truth
    )
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "broken.tif").write_text("no raster")
    said, loaded, errors = in_profile(OTHERS, scene, truth, tiny_model, out, timeout=900)
    assert said["batch"]["MANIFEST"] == str(out / "batch/manifest.jsonl")
    # A batch's other scenes are loaded, and what failed is told.
    broken, whole = errors.pop("batch")
    assert "broken.tif: not a raster that GDAL can read" in broken
    assert "1 of 2 scenes failed" in whole
    assert not any(errors.values())
    # A temporary folder is the one that was written.
    assert said["compare"]["PICTURE"] == f"{said['compare']['OUTPUT']}/scene_compare.png"
    assert said["polygonize"]["POLYGONS"].endswith(".gpkg")
    assert said["evaluate"]["PAGE"] == str(out / "score/scene_evaluation.html")
    assert said["sample"] == {
        "OUTPUT": str(out / "sample.gpkg"),
        "SAMPLE": str(out / "sample.gpkg"),
    }
    assert said["adapt"]["ADAPTER"] == str(out / "my.adapter")
    assert (out / "my.adapter").exists()
    assert "nano" in said["models"]["MODELS"]
    assert len(geopandas.read_file(out / "sample.gpkg")) == 20
    assert (out / "my.gpkg").exists()
    assert sorted(name for name, _, valid in loaded["scene"] if valid) == [
        "clearclip", "errors", "polygons", "polygons", "sample", "sclip"
    ]  # fmt: skip
    assert loaded["batch"] == [["mosaic", True, True]]


BAD = """
from qgis.core import QgsSettings
scene, broken = sys.argv[1:3]
memory = QgsVectorLayer('Polygon?crs=EPSG:32633', 'drawn', 'memory')
tiles = QgsRasterLayer('type=xyz&url=file:///nowhere/{z}/{x}/{y}.png', 'tiles', 'wms')
project.addMapLayers([memory, tiles])
segment = {'CLASSES': 'a, b', 'OUTPUT': sys.argv[3]}
said = {
    'tiles': error_of('rsclip:segment', INPUT=tiles, **segment),
    'memory': error_of('rsclip:evaluate', INPUT=scene, LABELS=memory, OUTPUT=sys.argv[3]),
    'broken': error_of('rsclip:segment', INPUT=broken, **segment),
    'model': error_of('rsclip:segment', INPUT=scene, MODEL='no/such', **segment),
    'set': error_of('rsclip:segment', INPUT=scene, **{**segment, 'CLASSES': 'set:lancover'}),
    'usage': error_of('rsclip:evaluate', INPUT=scene, OUTPUT=sys.argv[3]),
}
feedback = Feedback()
try:
    processing.run('rsclip:segment', {'INPUT': scene, 'OUTPUT': sys.argv[3]}, feedback=feedback)
except QgsProcessingException as error:
    said['no classes'] = [str(error), feedback.said]

def labels(layer):
    return error_of('rsclip:evaluate', INPUT=scene, LABELS=layer, OUTPUT=sys.argv[3])

truth = sys.argv[4]
edited = QgsVectorLayer(truth + '|layername=truth', 'edited')
edited.startEditing()
edited.deleteFeature(next(edited.getFeatures()).id())
filtered = QgsVectorLayer(truth + '|layername=truth', 'filtered')
filtered.setSubsetString("class_name = 'road'")
project.addMapLayers([edited, filtered])
second = QgsVectorLayer(truth + '|layername=more', 'second')
project.addMapLayer(second)
said |= {layer.name(): labels(layer) for layer in (edited, filtered, second)}

import shutil
from rsclip_qgis.parameters import layer_file, words
piped = os.path.dirname(scene) + '/a|b.tif'
shutil.copy(scene, piped)
said['files'] = [layer_file(layer) for layer in (
    QgsRasterLayer(piped, 'piped'), QgsRasterLayer(scene + '|option:NUM_THREADS=2', 'opened'),
    QgsVectorLayer(truth + '|layername=truth', 'first'))]
bare = QgsRasterLayer(scene, 'bare')
bare.setCrs(QgsCoordinateReferenceSystem())
placed = QgsRasterLayer(scene, 'placed')
project.addMapLayers([bare, placed])
project.setCrs(QgsCoordinateReferenceSystem('EPSG:3857'))
context = QgsProcessingContext()
context.setProject(project)
aoi = {'name': 'aoi', 'flag': '--aoi'}
boxes = [(bare, 'EPSG:3857'), (bare, 'EPSG:4326'), (placed, 'EPSG:3857')]
said['boxes'] = [
    words(QgsApplication.processingRegistry().createAlgorithmById('rsclip:segment'), aoi, 'extent',
          {'INPUT': layer, 'AOI': f'1,2,3,4 [{crs}]'}, context)[0]
    for layer, crs in boxes]
key = 'Processing/Configuration/RSCLIP_EXECUTABLE'
algorithm = QgsApplication.processingRegistry().createAlgorithmById('rsclip:segment')
QgsSettings().setValue(key, '/no/rsclip')
said['absent'] = algorithm.canExecute()
QgsSettings().setValue(key, '/bin/ls')
said['other'] = error_of('rsclip:segment', INPUT=scene, **segment)
QgsSettings().remove(key)
import rsclip_qgis.process
rsclip_qgis.process.FACTS['version'] = '0.0.1'
feedback = Feedback()
try:
    processing.run(algorithm, {'INPUT': scene, 'MODEL': 'no/such', **segment}, feedback=feedback)
except QgsProcessingException:
    said['version'] = feedback.said[0]
"""


def test_bad_input_is_told(in_profile, make_scene, tmp_path):
    broken = tmp_path / "broken.tif"
    broken.write_bytes(b"II*\0 nothing")
    boxes = [shapely.box(500000, 4999970, 500020, 5000000)] * 2
    truth = tmp_path / "truth.gpkg"
    frame = geopandas.GeoDataFrame({"class_name": ["water", "road"]}, geometry=boxes, crs=32633)
    pyogrio.write_dataframe(pd.DataFrame({"note": ["no labels"]}), truth, layer="notes")
    for layer in ("truth", "more"):
        frame.to_file(truth, layer=layer)
    scene = make_scene()
    said = in_profile(BAD, scene, broken, tmp_path / "out", truth)
    assert "tiles comes from WMS, and rsclip reads files. Save it first" in said["tiles"]
    assert "drawn exists in memory only, and rsclip reads files. Save it" in said["memory"]
    assert "broken.tif" in said["broken"]
    assert "no/such" in said["model"]
    assert "no bundled set `lancover`. Did you mean landcover?" in said["set"]
    assert "Give either --labels or --points" in said["usage"]
    # How a command is typed is of no use in a dialog.
    assert said["no classes"] == ["Missing option '--classes'.", []]
    # What a layer shows, and its file does not hold.
    assert "edited has edits that are not saved, and rsclip reads its file. Save" in said["edited"]
    assert (
        "filtered is filtered, and rsclip reads its whole file. Save it first" in said["filtered"]
    )
    assert "second is not the first of its file, the one that rsclip reads" in said["second"]
    assert said["files"] == [str(tmp_path / "a|b.tif"), str(scene), str(truth)]
    # A scene without a CRS is seen as if it had the map's.
    assert said["boxes"] == [
        "--aoi=1,3,2,4", "--aoi=EPSG:4326;1,3,2,4", "--aoi=EPSG:3857;1,3,2,4"
    ]  # fmt: skip
    assert said["absent"][0] is False
    assert "/no/rsclip is not there. Install it (pip install rsclip)" in said["absent"][1]
    assert "/bin/ls does not answer as rsclip does" in said["other"]
    assert said["version"].startswith("warning: this plugin is of rsclip 0.0.1, but ")
    assert f"Run `{executable()} qgis install`" in said["version"]
    assert not (tmp_path / "out").exists()


MODEL = """
from qgis.core import QgsProcessingModelAlgorithm as Model
source = QgsProcessingModelChildParameterSource
model = Model('chain', 'chain')
model.addModelParameter(QgsProcessingParameterRasterLayer('scene', 'scene'),
                        QgsProcessingModelParameter('scene'))
first = QgsProcessingModelChildAlgorithm('rsclip:segment')
first.setChildId('first')
first.addParameterSources('INPUT', [source.fromModelParameter('scene')])
for name, value in {'CLASSES': 'road, water', 'MODEL': sys.argv[2], 'TEMPLATES': 'simple',
                    'OUTPUT': sys.argv[3], 'LOAD': False, 'OVERWRITE': True}.items():
    first.addParameterSources(name, [source.fromStaticValue(value)])
model.addChildAlgorithm(first)
second = QgsProcessingModelChildAlgorithm('rsclip:polygonize')
second.setChildId('second')
second.addParameterSources('INPUT', [source.fromChildOutput('first', 'MASK')])
output = QgsProcessingModelOutput('polygons', 'polygons')
output.setChildId('second')
output.setChildOutputName('OUTPUT')
second.setModelOutputs({'polygons': output})
model.addChildAlgorithm(second)
said = [model.validate(), model.toFile(sys.argv[4])]
model = Model()
said.append(model.fromFile(sys.argv[4]))
context = QgsProcessingContext()
results, ok = model.run({'scene': sys.argv[1], 'second:polygons': sys.argv[3] + '/a.gpkg'}, context,
                        Feedback())
said += [ok, list(context.layersToLoadOnCompletion())]
"""


def test_a_model_of_two_steps(in_profile, make_scene, tiny_model, tmp_path):
    """As its file has it."""
    out = tmp_path / "out"
    said = in_profile(MODEL, make_scene(), tiny_model, out, tmp_path / "chain.model3")
    assert said == [[True, []], True, True, True, []]
    assert len(geopandas.read_file(out / "a.gpkg", layer="polygons")) > 1


def test_qgis_process_runs_it(qgis_process, installed, make_scene, tiny_model, tmp_path):
    environment = qgis_environment() | {
        "QGIS_CUSTOM_CONFIG_PATH": str(installed.parent.parent), "XDG_RUNTIME_DIR": str(tmp_path)
    }  # fmt: skip
    done = subprocess.run(
        [qgis_process, "run", "rsclip:segment", f"--INPUT={make_scene()}", "--CLASSES=road, water",
         f"--MODEL={tiny_model}", "--TEMPLATES=simple", f"--OUTPUT={tmp_path / 'out'}"],
        capture_output=True, text=True, env=environment, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    assert f"MASK:\t{tmp_path / 'out/scene_mask.tif'}" in done.stdout
    assert (tmp_path / "out/scene_run.json").exists()


PANEL = """
import time
from qgis.gui import QgsLayerTreeView, QgsMapCanvas
from rsclip_qgis.dock import RsclipDock
from rsclip_qgis.legend_clicks import LegendClicks
scene, model, picture = sys.argv[1:4]
layer = QgsRasterLayer(scene, 'scene')
project.addMapLayer(layer)
canvas = QgsMapCanvas()
canvas.resize(400, 400)
canvas.setDestinationCrs(QgsCoordinateReferenceSystem('EPSG:3857'))
turn = QgsCoordinateTransform(layer.crs(), canvas.mapSettings().destinationCrs(), project)
canvas.setExtent(turn.transformBoundingBox(QgsRectangle(500000, 4999980, 500020, 5000000)))
dock = RsclipDock(canvas)
dock.show()
dock.load_classes('set:no')
log = [dock._log.toPlainText()]
dock.load_classes('set:flood')
said = [dock.classes()]
dock._table.setRowCount(0)
dock.add_class('Straße', 'road|street', '#ff0000')
dock.add_class('', 'water', '#0000ff')
dock._table.setCurrentCell(0, 1)
dock._model.setCurrentText(model)
dock._margin.setChecked(True)

def wait(until):
    while not until():
        app.processEvents()
        time.sleep(0.02)

percents = []
dock._bar.valueChanged.connect(percents.append)
dock.segment()
busy = [dock._go.isEnabled(), dock._stop.isEnabled()]
wait(lambda: dock._task is None)
busy.append(max(percents) > 0)
log.append(dock._log.toPlainText())

def alphas():
    (mask,) = project.mapLayersByName('classes')
    return {entry.label: [entry.color.name(), entry.color.alpha()]
            for entry in mask.renderer().classes()}

looks = [alphas()]
dock._only.setChecked(True)
looks.append(alphas())
dock._table.setCurrentCell(1, 1)
looks.append(alphas())
dock.add_class('moon', '')
looks.append(alphas())
dock._table.removeRow(2)
dock._only.setChecked(False)
log.append(dock._log.toPlainText())

(mask,) = project.mapLayersByName('classes')
mask.renderer().setOpacity(0.6)
view = QgsLayerTreeView()
model = QgsLayerTreeModel(project.layerTreeRoot())
view.setModel(model)
told = []
clicks = LegendClicks(view, told.append)

def click(label):
    nodes = model.layerLegendNodes(project.layerTreeRoot().findLayer(mask))
    (found,) = [node for node in nodes if node.data(0) == label]
    view.clicked.emit(view.legendNode2index(found))

for label in ('water', 'Straße', 'Straße'):
    click(label)
    looks.append(alphas())
click('water')
project.write(picture + '.qgz')
project.clear()
project.read(picture + '.qgz')
(mask,) = project.mapLayersByName('classes')
click('water')
looks.append(alphas())
looks.append([mask.renderer().opacity(), told])
shown = tree()
dock._layers.setLayer(project.mapLayersByName('scene')[0])
dock.suggest()
wait(lambda: dock._task is None)
(squares,) = project.mapLayersByName('suggestions')
setup = squares.editorWidgetSetup(squares.fields().indexOf('label'))
extent = squares.extent()
hints = [squares.featureCount(), setup.type(), squares.isValid(), sorted(tree()),
         [extent.xMinimum(), extent.yMinimum(), extent.xMaximum(), extent.yMaximum()]]
dock.grab().save(picture)
dock.segment()
wait(lambda: dock._log.toPlainText())
dock.cancel()
wait(lambda: dock._task is None)
canvas.setExtent(QgsRectangle(0, 0, 10, 10))
dock.segment()
dock._table.setRowCount(0)
dock.segment()
log.append(dock._log.toPlainText())
said += [log, busy, looks, shown, hints, len(project.mapLayersByName('classes'))]
"""


def test_the_panel(in_profile, make_scene, tmp_path):
    picture = tmp_path / "panel.png"
    sets, log, busy, looks, shown, hints, maps = in_profile(
        PANEL, make_scene(shape=(300, 300)), "nano", picture
    )
    assert len(sets) >= 4
    assert all(entry["words"] and entry["colour"].startswith("#") for entry in sets)
    assert "no bundled set `no`" in log[0]
    assert busy == [False, True, True]
    assert "nano" in log[1]
    assert "Temporary output: " in log[1]
    whole = {"Straße": ["#ff0000", 255], "water": ["#0000ff", 255]}
    alone, other, absent = looks[1:4]
    assert looks[0] | whole == looks[0] == absent
    assert [alone[name][1] for name in ("water", "Straße")] == [0, 255]
    # The second row has words, and no name.
    assert [other[name][1] for name in ("water", "Straße")] == [255, 0]
    assert "The newest map, of scene, has no class 'moon'." in log[2]
    # A click in the legend shows one class alone, also when the project was saved; one more, all.
    water, street, whole_again, reopened, (opacity, told) = looks[4:]
    assert [water[name][1] for name in ("water", "Straße")] == [255, 0]
    assert [street[name][1] for name in ("water", "Straße")] == [0, 255]
    assert whole_again == looks[0] == reopened
    assert opacity == 0.6
    assert told[0] == "Only water is shown: click it again to show all classes."
    assert len(told) == 3
    assert ["margin", True, True] in shown["scene"]
    # Squares to label, in the view, with the form that offers the classes.
    count, form, *_, extent = hints
    assert count >= 1
    assert form == "ValueMap"
    assert shapely.box(499990, 4999970, 500030, 5000010).contains(shapely.box(*extent))
    # A run that was cancelled adds no map.
    assert maps == 1
    assert "Interrupted" in log[3]
    assert "The view does not show scene: zoom to it." in log[3]
    assert "List a class first: Add one, or load a set." in log[3]
    with Image.open(picture) as image:
        assert image.width > 200
