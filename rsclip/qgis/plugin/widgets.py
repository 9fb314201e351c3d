"""A combo box that offers values and takes others, for the dialogs of Processing."""

from __future__ import annotations

from typing import Any

from processing.gui.wrappers import WidgetWrapper
from qgis.PyQt.QtWidgets import QComboBox

__all__ = ["ChoiceWrapper"]


class ChoiceWrapper(WidgetWrapper):
    """Shows the choices of a text parameter; what is not among them may be typed."""

    def createWidget(self, choices: list[str]) -> QComboBox:  # noqa: N802
        """Return the combo box; QGIS passes the rest of the parameter's metadata."""
        box = QComboBox()
        box.setEditable(True)
        box.addItems(choices)
        box.setCurrentText("")
        box.lineEdit().setPlaceholderText(self.parameterDefinition().help())
        box.setToolTip(self.parameterDefinition().help())
        box.currentTextChanged.connect(lambda _: self.widgetValueHasChanged.emit(self))
        return box

    def setValue(self, value: Any) -> None:  # noqa: N802
        """Show a value."""
        self.widget.setCurrentText("" if value is None else str(value))

    def value(self) -> str:
        """Return what is shown."""
        return str(self.widget.currentText())
