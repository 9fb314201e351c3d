"""Where rsclip keeps what it can make or fetch again.

The folder is RSCLIP_CACHE, else the platform's own for caches; RSCLIP_CACHE=off keeps nothing.
Weights from the hub are not here but in the hub's own cache, shared with other programs.
"""

import os
import sys
from pathlib import Path

__all__ = ["cache_folder"]

_VARIABLE = "RSCLIP_CACHE"
_OFF = "off"


def cache_folder() -> Path | None:
    """Return rsclip's cache folder, which need not exist; None where caching is off."""
    own = os.environ.get(_VARIABLE)
    if own:
        return None if own.lower() == _OFF else Path(own).expanduser()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "rsclip"
