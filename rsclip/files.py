"""Find the files that come with rsclip: configs/ and rsclip/data/."""

import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

import yaml

from rsclip.errors import InputError

__all__ = ["cache_folder", "config_path", "data_path", "parse_yaml"]

_PACKAGE = Path(__file__).resolve().parent


def config_path(*parts: str) -> Path:
    """Return a path under configs/, installed (as `rsclip_configs`) or in a checkout."""
    spec = importlib.util.find_spec("rsclip_configs")
    # Without an installation (a checkout on sys.path) configs/ stands beside rsclip/.
    folder = Path(spec.origin).parent if spec and spec.origin else _PACKAGE.parent / "configs"
    return folder.joinpath(*parts)


def data_path(*parts: str) -> Path:
    """Return a path under rsclip/data/."""
    return _PACKAGE.joinpath("data", *parts)


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


def parse_yaml(text: str, where: object, kind: type[InputError]) -> Any:
    """Read YAML into plain Python values.

    Args:
        text: The document.
        where: The file, for the message.
        kind: The error to raise.

    Raises:
        InputError: Of `kind`: the text is not YAML, or a key stands twice in one mapping.
    """
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f" at line {mark.line + 1}" if mark else ""
        raise kind(f"not valid YAML{line}: {error.problem}", where=where) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise kind(f"not valid YAML: {reason}", where=where) from error


class _StrictLoader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue
            if key.value in seen:
                problem = f"the key `{key.value}` stands twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)
