"""The plugin's files: into a profile, out of it, or into a zip for the plugin manager."""

import contextlib
import json
import re
import shutil
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rsclip.errors import OutputError
from rsclip.files import new_file
from rsclip.qgis.profiles import PLUGIN, Profile
from rsclip.version import __version__

__all__ = ["Installed", "executable", "install", "status", "uninstall", "write_zip"]

_SOURCE = Path(__file__).resolve().parent / "plugin"
_FACTS = "installed.json"
"""What the plugin knows of rsclip: its executable, version, commands, class sets and models."""


@dataclass(frozen=True, slots=True)
class Installed:
    """What is in a profile.

    Attributes:
        profile: Folder of the profile.
        version: Version of the plugin; None where it is not installed.
        enabled: Whether QGIS loads it.
        executable: The command that it calls; None where it looks on the PATH.
        problem: What is wrong and what to do, or None.
    """

    profile: str
    version: str | None
    enabled: bool
    executable: str | None
    problem: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)


def executable() -> str:
    """Return the path of this environment's `rsclip`, or of its Python where there is none."""
    script = Path(sysconfig.get_path("scripts"), f"rsclip{'.exe' * (sys.platform == 'win32')}")
    return str(script if script.is_file() else sys.executable)


def install(profile: Profile, facts: Mapping[str, Any]) -> None:
    """Put the plugin into a profile, in place of an earlier one, and switch it on.

    Args:
        profile: The profile; its folders are made if missing.
        facts: `commands`, `sets` and `models` as the plugin reads them.

    Raises:
        OutputError: It cannot be written.
    """
    target = profile.plugin
    with _writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{PLUGIN}-", dir=target.parent) as folder:
            whole = Path(folder, PLUGIN)
            _write_plugin(whole, {**facts, "executable": executable()})
            _remove(target)
            whole.rename(target)
        profile.enable(True)


def uninstall(profile: Profile) -> bool:
    """Take the plugin out of a profile, and say whether it was there.

    Raises:
        OutputError: It cannot be removed.
    """
    with _writing(profile.plugin):
        there = profile.plugin.is_dir()
        _remove(profile.plugin)
        profile.enable(False)
    return there


def status(profile: Profile) -> Installed:
    """Say what is in a profile, and whether it works."""
    try:
        facts = json.loads((profile.plugin / _FACTS).read_text(encoding="utf-8"))
        version, command = str(facts["version"]), facts["executable"]
    except FileNotFoundError:
        return Installed(str(profile.folder), None, False, None, None)
    except (OSError, ValueError, KeyError, TypeError):
        version, command = "damaged", None
    problem, remedy = None, "`rsclip qgis install` mends it"
    if version == "damaged":
        problem = f"its {_FACTS} cannot be read: {remedy}"
    elif command and not Path(command).exists():
        problem = f"{command} is gone: {remedy}"
    elif version != __version__:
        problem = f"the plugin is of rsclip {version}, this is {__version__}: {remedy}"
    elif not profile.enabled:
        problem = f"QGIS does not load it: {remedy}, or tick it in QGIS's plugin manager"
    return Installed(str(profile.folder), version, profile.enabled, command, problem)


def write_zip(path: Path, facts: Mapping[str, Any]) -> Path:
    """Write the plugin as a zip for QGIS's plugin manager; it looks for rsclip on the PATH.

    Raises:
        OutputError: It cannot be written, or does not end in .zip.
    """
    if path.suffix.lower() != ".zip" or path.is_dir():
        raise OutputError(
            "is no name for a zip", where=path, remedy="Name a file that ends in .zip."
        )
    with _writing(path, "Choose another place."), tempfile.TemporaryDirectory() as folder:
        _write_plugin(Path(folder, PLUGIN), {**facts, "executable": None})
        path.parent.mkdir(parents=True, exist_ok=True)
        with new_file(path) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as pack:
            for file in sorted(Path(folder).rglob("*")):
                pack.write(file, file.relative_to(folder))
    return path


def _write_plugin(folder: Path, facts: Mapping[str, Any]) -> None:
    shutil.copytree(_SOURCE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    metadata = folder / "metadata.txt"
    text = metadata.read_text(encoding="utf-8")
    text = re.sub(r"(?m)^version=.*$", f"version={__version__}", text)
    metadata.write_text(text, encoding="utf-8")
    told = json.dumps({"version": __version__, **facts}, ensure_ascii=False, indent=1)
    (folder / _FACTS).write_text(told, encoding="utf-8")


def _remove(target: Path) -> None:
    if target.is_symlink():
        # A developer's link: what it points at stays.
        target.unlink()
    elif target.is_dir():
        shutil.rmtree(target)


@contextlib.contextmanager
def _writing(
    path: Path,
    remedy: str = "Close QGIS, check the folder's permissions and the disk, and try again.",
) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"the plugin cannot be written or removed there: {error.strerror or error}",
            where=path,
            remedy=remedy,
        ) from error
