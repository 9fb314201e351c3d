"""Find the files that come with rsclip: configs/ and rsclip/data/."""

import importlib.util
from pathlib import Path

__all__ = ["config_path", "data_path"]

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
