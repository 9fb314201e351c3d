"""Methods that are named as FILE.py:NAME: such a file is run, so the user has to name it."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rsclip.errors import OptionError

__all__ = ["names_a_file", "refuse_code"]


def names_a_file(text: str) -> bool:
    """Tell whether a method is named as FILE.py:NAME (or FILE.py, without what it is called)."""
    return re.fullmatch(r".*\.py(:\w+)?", text, re.DOTALL) is not None


def refuse_code(
    settings: Mapping[str, Any], where: str | Path, *given: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return the settings that a file holds, unless it alone names a Python file as the method.

    Files such as configurations, adapters and records are passed on; code in them would be run
    unseen.

    Args:
        settings: Fields of `SegmentConfig`.
        where: The file.
        *given: Settings that the user has given outright.

    Raises:
        OptionError: It would run a Python file that the user has not named.
    """
    method = settings.get("method")
    outright = any(layer.get("method") is not None for layer in given)
    if isinstance(method, str) and names_a_file(method) and not outright:
        raise OptionError(
            f"it names a Python file as the method, {method!r}, which would be run",
            where=where,
            remedy=f"If you trust the file, name it yourself: --method={shlex.quote(method)}.",
        )
    return settings
