"""pyogrio, without the libraries of data frames that it asks for as it is imported.

It asks whether geopandas and pandas are there, and in which release; to import them takes longer
than to write the polygons of a scene. Its functions for data frames import them when called. In
other programs than the command line it is imported as it is.
"""

import importlib
import importlib.metadata
import sys
from types import ModuleType
from typing import Any

from rsclip.own_process import is_own

__all__ = ["pyogrio"]

_FRAMES = ("geopandas", "pandas")


def _import() -> Any:
    if not is_own():
        return importlib.import_module("pyogrio")
    stand_ins = {name: ModuleType(name) for name in _FRAMES if name not in sys.modules}
    try:
        for name, module in stand_ins.items():
            vars(module)["__version__"] = importlib.metadata.version(name)
        sys.modules.update(stand_ins)
        return importlib.import_module("pyogrio")
    except (AttributeError, ImportError):
        # A release that needs more of them, or libraries that were not installed by pip.
        for name in [name for name in sys.modules if name.partition(".")[0] == "pyogrio"]:
            del sys.modules[name]
    finally:
        for name, module in stand_ins.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
    return importlib.import_module("pyogrio")


pyogrio: Any = _import()
