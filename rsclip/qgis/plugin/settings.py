"""What the user has chosen in QGIS, and what the plugin remembers."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsSettings
from qgis.PyQt.QtGui import QIcon

from .process import FACTS, find_executable

__all__ = ["EXECUTABLE", "choices", "executable", "icon", "remember_models"]

EXECUTABLE = "RSCLIP_EXECUTABLE"
"""Name of the setting among those of Processing's providers."""
_MODELS = "rsclip/models"


def executable() -> list[str]:
    """Return the words that begin a command.

    Raises:
        ProcessError: There is no rsclip.
    """
    chosen = QgsSettings().value(f"Processing/Configuration/{EXECUTABLE}", "") or ""
    return find_executable(str(chosen).strip())


def choices(name: str) -> list[str]:
    """Return the values that are offered for an option; others may be typed."""
    offered = list(FACTS["choices"].get(name, ()))
    if name == "model":
        later = QgsSettings().value(_MODELS, []) or []
        # QSettings gives a list of one back as that one.
        offered += [later] if isinstance(later, str) else later
    return list(dict.fromkeys(offered))


def remember_models(names: list[str]) -> None:
    """Offer the models that are on this machine now."""
    QgsSettings().setValue(_MODELS, names)


def icon() -> QIcon:
    """Return rsclip's icon."""
    return QIcon(str(Path(__file__).with_name("icon.svg")))
