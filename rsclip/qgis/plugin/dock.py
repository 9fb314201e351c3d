"""The panel: a list of classes with colours, a map of what is seen now, and its log."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsApplication,
    QgsCoordinateTransform,
    QgsMapLayerProxyModel,
    QgsProcessingAlgRunnerTask,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputLayerDefinition,
    QgsProject,
    QgsReferencedRectangle,
)
from qgis.gui import QgsColorButton, QgsMapLayerComboBox
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDockWidget,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from . import settings
from .legend_clicks import CLASS_MAP, class_names, isolate
from .process import ProcessError, run

__all__ = ["RsclipDock"]

# Entries of a class file that the panel keeps but does not show.
_FURTHER = ("descriptions", "threshold", "background")
_COLUMNS = ("", "Class", "Words")
# Far apart, and to be told apart by the colour-blind (Okabe and Ito).
_COLOURS = ("#d55e00", "#0072b2", "#009e73", "#f0e442", "#cc79a7", "#56b4e9", "#e69f00", "#999999")

# The classes that a new panel lists, in the colours that rsclip gives these words.
_FIRST = {"building": "#f21d12", "road": "#e68cb6", "water": "#1459de", "tree": "#2fa76b"}
# How long rsclip may take to show a class set, while QGIS waits.
_PATIENCE_SECONDS = 30.0


class RsclipDock(QDockWidget):
    """Maps what the map canvas shows into the listed classes.

    Args:
        canvas: The map canvas, whose extent is segmented.
    """

    def __init__(self, canvas: Any, parent: Any = None) -> None:
        super().__init__("rsclip", parent)
        self.setObjectName("RsclipDock")
        self._canvas = canvas
        self._task: Any = None
        self._kept: Any = None
        self._log = QPlainTextEdit(readOnly=True)
        self._log.setPlaceholderText("What rsclip says is shown here.")
        self._layers = QgsMapLayerComboBox()
        self._layers.setFilters(QgsMapLayerProxyModel.RasterLayer)
        self._model = _editable(settings.choices("model"), "auto")
        self._sets = _editable(settings.choices("classes"), "")
        self._sets.lineEdit().setPlaceholderText("a bundled set or a class file")
        self._table = QTableWidget(0, len(_COLUMNS))
        self._table.setHorizontalHeaderLabels(_COLUMNS)
        self._table.verticalHeader().hide()
        self._table.setColumnWidth(0, 44)
        self._table.horizontalHeader().setSectionResizeMode(2, QHeaderView.ResizeMode.Stretch)
        self._go = QPushButton("Segment this view")
        self._suggest = QPushButton("Suggest labels here")
        self._stop = QPushButton("Cancel", enabled=False)
        self._bar = QProgressBar()
        self._only, self._margin = QCheckBox("Only this class"), QCheckBox("Margin")
        self._lay_out()
        self._go.clicked.connect(self.segment)
        self._suggest.clicked.connect(self.suggest)
        self._stop.clicked.connect(self.cancel)
        for name, colour in _FIRST.items():
            self.add_class(name, name, colour)

    def _lay_out(self) -> None:
        body = QWidget()
        column = QVBoxLayout(body)
        form = QFormLayout()
        form.addRow("Image", self._layers)
        form.addRow("Model", self._model)
        load = QPushButton("Load")
        load.clicked.connect(lambda: self.load_classes(self._sets.currentText()))
        form.addRow("Classes", _row(self._sets, load))
        column.addLayout(form)
        column.addWidget(self._table, 3)
        add, remove = QPushButton("Add"), QPushButton("Remove")
        add.clicked.connect(lambda: self.add_class("", ""))
        remove.clicked.connect(lambda: self._table.removeRow(self._table.currentRow()))
        self._only.setToolTip("On the newest map, hide all classes but the selected one.")
        self._margin.setToolTip("Show where the newest map is unsure: the best class's lead.")
        self._suggest.setToolTip("Draw squares where a label would teach the model most.")
        self._only.toggled.connect(lambda _: self._show_classes())
        self._table.currentCellChanged.connect(
            lambda *_: self._show_classes() if self._only.isChecked() else None
        )
        self._margin.toggled.connect(self._show_margin)
        column.addWidget(_row(add, remove, self._only, self._margin))
        column.addWidget(_row(self._go, self._suggest, self._stop))
        column.addWidget(self._bar)
        column.addWidget(self._log, 2)
        self.setWidget(body)

    def add_class(self, name: str, words: str, colour: str = "", more: Any = None) -> None:
        """Add a row.

        Args:
            name: As shown in legends.
            words: English synonyms, `|` between them.
            colour: "#rrggbb"; "" for the next of a few that are easy to tell apart.
            more: Further entries of a class file that the row keeps.
        """
        at = self._table.rowCount()
        self._table.insertRow(at)
        button = QgsColorButton()
        button.setColor(QColor(colour or _COLOURS[at % len(_COLOURS)]))
        self._table.setCellWidget(at, 0, button)
        for column, text in ((1, name), (2, words)):
            self._table.setItem(at, column, QTableWidgetItem(text))
        self._table.item(at, 1).setData(Qt.ItemDataRole.UserRole, more or {})
        self._table.setCurrentCell(at, 1)

    def load_classes(self, name: str) -> None:
        """Replace the rows by a bundled set or a class file, as `rsclip classes` shows it."""
        name = name.strip()
        name = name[len("set:") :] if name.startswith("set:") else name
        if not name:
            self.tell("Choose a bundled set, or give the path of a class file.")
            return
        end = time.monotonic() + _PATIENCE_SECONDS
        try:
            command = [*settings.executable(), "classes", "--json", "--", name]
            code, said, complaint = run(command, canceled=lambda: time.monotonic() > end)
        except ProcessError as error:
            self.tell(str(error))
            return
        if code:
            self.tell(complaint.strip() or f"{command[0]} does not answer as rsclip does.")
            return
        self._table.setRowCount(0)
        for item in json.loads(said)["classes"]:
            more = {key: item[key] for key in _FURTHER if item.get(key)}
            self.add_class(item["name"], "|".join(item["words"]), item["colour"] or "", more)
        self._table.setCurrentCell(0, 1)

    def classes(self) -> list[dict[str, Any]]:
        """Return the rows as the entries of a class file; empty rows are left out."""
        found = []
        for at in range(self._table.rowCount()):
            name, words = self._texts(at)
            if words:
                colour = self._table.cellWidget(at, 0).color().name()
                more = self._table.item(at, 1).data(Qt.ItemDataRole.UserRole)
                found.append({**more, "name": name, "words": words, "colour": colour})
        return found

    def _texts(self, at: int) -> tuple[str, list[str]]:
        """Return the name and the words of a row; where one is empty, the other stands for it."""
        name, words = (self._table.item(at, column).text().strip() for column in (1, 2))
        listed = [word.strip() for word in words.split("|") if word.strip()]
        listed = listed or [name] * bool(name)
        return name or "".join(listed[:1]), listed

    def segment(self) -> None:
        """Segment the part of the image that the canvas shows, in the background."""
        self._start("segment", lambda folder: str(folder / "out"), MARGIN=True)

    def suggest(self) -> None:
        """Choose places in it that are worth a label, in the background."""
        project = QgsProject.instance()
        self._start(
            "suggest",
            lambda folder: QgsProcessingOutputLayerDefinition(str(folder / "labels.gpkg"), project),
        )

    def _start(self, name: str, output: Callable[[Path], Any], **more: Any) -> None:
        """Run an algorithm on what the canvas shows, with the listed classes."""
        layer = self._layers.currentLayer()
        if layer is None:
            self.tell("Add a raster layer to the project first.")
            return
        classes = self.classes()
        if not classes:
            self.tell("List a class first: Add one, or load a set.")
            return
        project = QgsProject.instance()
        shown = self._canvas.mapSettings().destinationCrs()
        turn = QgsCoordinateTransform(shown, layer.crs(), project)
        extent = turn.transformBoundingBox(self._canvas.extent()).intersect(layer.extent())
        if extent.isEmpty():
            self.tell(f"The view does not show {layer.name()}: zoom to it.")
            return
        file = Path(tempfile.mkdtemp(prefix="rsclip-"), "classes.json")
        file.write_text(json.dumps({"classes": classes}), encoding="utf-8")
        parameters = {
            "INPUT": layer, "CLASSES": str(file), "MODEL": self._model.currentText(),
            "AOI": QgsReferencedRectangle(extent, layer.crs()),
            "OUTPUT": output(file.parent), **more,
        }  # fmt: skip
        context, feedback = QgsProcessingContext(), _Feedback()
        context.setProject(project)
        algorithm = QgsApplication.processingRegistry().createAlgorithmById(f"rsclip:{name}")
        self._log.clear()
        self._task = QgsProcessingAlgRunnerTask(algorithm, parameters, context, feedback)
        self._kept = (algorithm, context, feedback)
        self._task.executed.connect(self._end)
        feedback.said.connect(self.tell)
        feedback.progressChanged.connect(lambda percent: self._bar.setValue(int(percent)))
        self._busy(True)
        QgsApplication.taskManager().addTask(self._task)

    def cancel(self) -> None:
        """End the run; rsclip leaves nothing half-written."""
        if self._kept is not None:
            self._kept[2].cancel()

    def _end(self, successful: bool, results: dict[str, Any]) -> None:
        from processing.gui.Postprocessing import handleAlgorithmResults

        algorithm, context, feedback = self._kept
        self._busy(False)
        if successful and results:
            handleAlgorithmResults(algorithm, context, feedback)
            self._show_margin(self._margin.isChecked())
            if self._only.isChecked():
                self._show_classes()
            self.tell(f"Temporary output: {results['OUTPUT']}")
        self._kept = self._task = None

    def _busy(self, on: bool) -> None:
        self._go.setEnabled(not on)
        self._suggest.setEnabled(not on)
        self._stop.setEnabled(on)
        self._bar.setValue(0)

    def _show_classes(self) -> None:
        """On the newest map, show the selected class alone, or all."""
        at = self._table.currentRow()
        name = self._texts(at)[0] if at >= 0 and self._only.isChecked() else None
        node = _newest(_is_class_map)
        if node is None:
            return
        layer = node.layer()
        if name is not None and name not in class_names(layer):
            self.tell(f"The newest map, of {node.parent().name()}, has no class {name!r}.")
            name = None
        isolate(layer, name)

    def _show_margin(self, on: bool) -> None:
        """Show or hide the margin of the newest map."""
        node = _newest(lambda layer: layer.name() == "margin")
        if node is not None:
            node.setItemVisibilityChecked(on)

    def tell(self, text: str) -> None:
        """Add a line to the log."""
        self._log.appendPlainText(text)


class _Feedback(QgsProcessingFeedback):
    """What an algorithm says, as a signal: it runs in another thread."""

    said = pyqtSignal(str)

    def __init__(self) -> None:
        super().__init__(False)

    def pushInfo(self, info: str) -> None:  # noqa: N802
        """Pass a message on."""
        self.said.emit(info)

    def pushWarning(self, warning: str) -> None:  # noqa: N802
        """Pass a warning on."""
        self.said.emit(f"Warning: {warning}")

    def pushCommandInfo(self, info: str) -> None:  # noqa: N802
        """Pass the command on."""
        self.said.emit(info)

    def reportError(self, error: str, fatalError: bool = False) -> None:  # noqa: N802
        """Pass an error on."""
        self.said.emit(f"Error: {error}")


def _is_class_map(layer: Any) -> bool:
    # A map of errors is drawn alike, and its legend takes clicks too.
    return bool(layer.customProperty(CLASS_MAP) and class_names(layer) and layer.name() != "errors")


def _newest(wanted: Callable[[Any], bool]) -> Any:
    """Return the uppermost node whose layer is wanted, or None."""
    nodes = QgsProject.instance().layerTreeRoot().findLayers()
    return next((node for node in nodes if node.layer() and wanted(node.layer())), None)


def _editable(choices: list[str], text: str) -> QComboBox:
    box = QComboBox()
    box.setEditable(True)
    box.addItems(choices)
    box.setCurrentText(text)
    return box


def _row(*widgets: QWidget) -> QWidget:
    holder = QWidget()
    row = QHBoxLayout(holder)
    row.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        row.addWidget(widget)
    return holder
